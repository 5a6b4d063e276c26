"""Weighted Whittaker smoother on a daily grid, many series at once."""

from __future__ import annotations

import numpy as np

from agro.schema.errors import ContractError

#: Series solved together: enough to amortise the loop over days, few enough to stay in the cache.
CHUNK = 2000


def whittaker(values: np.ndarray, weights: np.ndarray, lambda_: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smooth series by penalised least squares with second differences.

    Minimises ``sum w (y - z)^2 + lambda sum (z[t] - 2 z[t-1] + z[t-2])^2`` (Eilers 2003, doi
    10.1021/ac034173t). The normal equations are pentadiagonal; they are solved for many series at once by an
    LDL' factorisation along time, vectorised over the series. The diagonal of the inverse comes from the same
    factors by the recursion of Takahashi et al. (1973; see Rue & Martino 2007, doi 10.1016/j.jspi.2006.07.016),
    exactly.

    Parameters
    ----------
    values : numpy.ndarray
        (series, days). Where the weight is 0 the value is ignored and may be NaN.
    weights : numpy.ndarray
        (series, days), at least 0. Two positive weights a series are needed.
    lambda_ : float or numpy.ndarray
        Roughness penalty, positive; of all series, or (series,) of each.

    Returns
    -------
    smoothed : numpy.ndarray
        (series, days); NaN for a series with fewer than two positive weights, and when there are fewer than
        three days (no second difference).
    variance : numpy.ndarray
        (series, days) diagonal of the inverse of the normal matrix: the variance of the estimate when weights
        are inverse variances and the penalty is the true prior.

    Raises
    ------
    ContractError
        Shapes differ, a weight is negative or NaN, a weighted value is not finite, or lambda is not positive.
    """
    if values.shape != weights.shape or values.ndim != 2:
        raise ContractError(f"values {values.shape} and weights {weights.shape} must be alike, (series, days)")
    if np.ndim(lambda_) and np.shape(lambda_) != (len(values),):
        raise ContractError(f"lambda {np.shape(lambda_)} must be one number, or one a series")
    penalties = np.broadcast_to(np.asarray(lambda_, dtype="float64"), (len(values),))
    if not (np.isfinite(penalties) & (penalties > 0)).all() or not (weights >= 0).all() or np.isinf(weights).any():
        raise ContractError("lambda must be positive, and weights finite and not negative")
    if not np.isfinite(values[weights > 0]).all():
        raise ContractError("a value that counts is not a number", do="Give it no weight")
    n, m = values.shape
    enough = np.flatnonzero((weights > 0).sum(axis=1) >= 2)
    out, variance = np.full((n, m), np.nan), np.full((n, m), np.nan)
    if m < 3:
        return out, variance
    for begin in range(0, enough.size, CHUNK):
        part = enough[begin : begin + CHUNK]
        out[part], variance[part] = _solve(values[part], weights[part], penalties[part])
    return out, variance


def _solve(values: np.ndarray, weights: np.ndarray, lambda_: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    m, n = values.shape[1], values.shape[0]
    w = np.ascontiguousarray(weights.T, dtype="float64")
    rhs = np.where(w > 0, w * np.nan_to_num(values.T), 0.0)
    # Bands of D'D: products of the rows of second differences.
    main, first = np.zeros(m), np.zeros(m - 1)
    for offset, step in enumerate((1.0, -2.0, 1.0)):
        main[offset : m - 2 + offset] += step**2
    first[: m - 2] -= 2.0
    first[1:] -= 2.0
    d, z = np.empty((m, n)), np.empty((m, n))
    l1, l2 = np.zeros((m, n)), np.zeros((m, n))  # L[t, t-1], L[t, t-2]
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
    # Back substitution, and V[t, t], V[t, t+1] of the inverse; only two rows of V beyond the present are needed.
    v0 = np.empty((m, n))
    v1_next, nothing = np.zeros(n), np.zeros(n)
    for t in range(m - 1, -1, -1):
        a = l1[t + 1] if t + 1 < m else nothing
        b = l2[t + 2] if t + 2 < m else nothing
        if t + 1 < m:
            z[t] -= a * z[t + 1]
        if t + 2 < m:
            z[t] -= b * z[t + 2]
        after = v0[t + 1] if t + 1 < m else nothing
        beyond = v0[t + 2] if t + 2 < m else nothing
        v1 = -a * after - b * v1_next
        v2 = -a * v1_next - b * beyond
        v0[t] = 1.0 / d[t] - a * v1 - b * v2
        v1_next = v1
    return z.T, v0.T
