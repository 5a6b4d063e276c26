"""Weighted Whittaker smoother on a daily grid, many series at once."""

from __future__ import annotations

import numpy as np

from agro.schema.errors import ContractError


def whittaker(values: np.ndarray, weights: np.ndarray, lambda_: float) -> tuple[np.ndarray, np.ndarray]:
    """Smooth series by penalised least squares with second differences.

    Minimises ``sum w (y - z)^2 + lambda sum (z[t] - 2 z[t-1] + z[t-2])^2`` (Eilers 2003, doi
    10.1021/ac034173t). The normal equations are pentadiagonal; they are solved for all series at once by an
    LDL' factorisation along time, vectorised over the series.

    Parameters
    ----------
    values : numpy.ndarray
        (series, days). Where the weight is 0 the value is ignored and may be NaN.
    weights : numpy.ndarray
        (series, days), at least 0. Two positive weights a series are needed.
    lambda_ : float
        Roughness penalty, positive.

    Returns
    -------
    smoothed : numpy.ndarray
        (series, days); NaN for a series with fewer than two positive weights.
    variance : numpy.ndarray
        (series, days) diagonal of the inverse of the normal matrix: the variance of the estimate when weights
        are inverse variances and the penalty is the true prior.

    Raises
    ------
    ContractError
        Shapes differ, a weight is negative, or lambda is not positive.
    """
    if values.shape != weights.shape or values.ndim != 2:
        raise ContractError(f"values {values.shape} and weights {weights.shape} must be alike, (series, days)")
    if not lambda_ > 0 or (weights < 0).any():
        raise ContractError("lambda must be positive and no weight negative")
    n, m = values.shape
    enough = (weights > 0).sum(axis=1) >= 2
    out, variance = np.full((n, m), np.nan), np.full((n, m), np.nan)
    if not enough.any() or m < 3:
        return out, variance
    w = weights[enough].T.astype("float64")
    rhs = np.where(w > 0, w * np.nan_to_num(values[enough].T), 0.0)
    # Bands of lambda D'D.
    main = np.full(m, 6.0)
    main[[0, -1]], main[[1, -2]] = 1.0, 5.0
    first = np.full(m - 1, -4.0)
    first[[0, -1]] = -2.0
    if m == 3:
        main[:], first[:] = [1.0, 4.0, 1.0], -2.0
    series = w.shape[1]
    d = np.empty((m, series))
    l1, l2 = np.zeros((m, series)), np.zeros((m, series))  # L[t, t-1], L[t, t-2]
    z = np.empty((m, series))
    for t in range(m):
        d[t] = w[t] + lambda_ * main[t]
        z[t] = rhs[t]
        if t >= 2:
            l2[t] = lambda_ / d[t - 2]
            d[t] -= l2[t] ** 2 * d[t - 2]
            z[t] -= l2[t] * z[t - 2]
        if t >= 1:
            below = lambda_ * first[t - 1] - (l2[t] * d[t - 2] * l1[t - 1] if t >= 2 else 0.0)
            l1[t] = below / d[t - 1]
            d[t] -= l1[t] ** 2 * d[t - 1]
            z[t] -= l1[t] * z[t - 1]
    z /= d
    # Back substitution, and the diagonal of the inverse by the recursion of Takahashi et al. (1973).
    v0, v1, v2 = np.empty((m, series)), np.zeros((m, series)), np.zeros((m, series))  # V[t,t], V[t,t+1], V[t,t+2]
    for t in range(m - 1, -1, -1):
        a = l1[t + 1] if t + 1 < m else 0.0
        b = l2[t + 2] if t + 2 < m else 0.0
        if t + 1 < m:
            z[t] -= a * z[t + 1]
        if t + 2 < m:
            z[t] -= b * z[t + 2]
        if t + 1 < m:
            v1[t] = -a * v0[t + 1] - (b * v1[t + 1] if t + 2 < m else 0.0)
        if t + 2 < m:
            v2[t] = -a * v1[t + 1] - b * v0[t + 2]
        v0[t] = 1.0 / d[t] - a * v1[t] - b * v2[t]
    out[enough], variance[enough] = z.T, v0.T
    return out, variance
