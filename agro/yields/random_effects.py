"""Linear model whose coefficients come in blocks, each drawn to zero by a variance estimated from the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

#: Iterations and tolerance (relative) of the variance estimates; floor of a block's variance, as a share of the data's.
ROUNDS, TOLERANCE, FLOOR = 60, 1e-3, 1e-6


@dataclass(frozen=True)
class BlockFit:
    """Coefficients by block, variances by block, and the variance of what is left."""

    coefficients: tuple[np.ndarray, ...]
    variances: tuple[float, ...]
    noise: float


def fit_blocks(blocks: list[np.ndarray], target: np.ndarray, free: int = 1) -> BlockFit:
    """Posterior means of a linear model with one Gaussian prior a block, variances by type-II maximum likelihood.

    A random-effects model in the sense of Searle, Casella and McCulloch (1992); the variances are found by the fixed-point
    iteration of MacKay (1992, doi 10.1162/neco.1992.4.3.415).

    Parameters
    ----------
    blocks : list of numpy.ndarray
        Designs (rows, columns of the block), no NaN.
    target : numpy.ndarray
        Values (rows,), no NaN.
    free : int
        The first so many blocks are not drawn to zero.

    Returns
    -------
    BlockFit
        ``variances`` of free blocks are infinite.
    """
    design = np.hstack(blocks)
    sizes = [b.shape[1] for b in blocks]
    ends = np.cumsum(sizes)
    slices = [slice(e - s, e) for s, e in zip(sizes, ends, strict=True)]
    gram, right, square = design.T @ design, design.T @ target, float(target @ target)
    rows = len(target)
    spread = float(np.var(target)) or 1.0
    # A block's variance starts at the size at which it would explain half of the spread.
    variance = []
    for number, block in enumerate(slices):
        size = float(np.trace(gram[block, block])) / rows
        variance.append(np.inf if number < free or size == 0 else 0.5 * spread / size)
    noise = 0.5 * spread
    floor = FLOOR * spread
    for _ in range(ROUNDS):
        prior = np.concatenate(
            [np.full(s, 0.0 if np.isinf(v) else 1.0 / v) for s, v in zip(sizes, variance, strict=True)]
        )
        factor = cho_factor(gram / noise + np.diag(prior + 1e-12))
        mean = cho_solve(factor, right / noise)
        covariance = np.diag(cho_solve(factor, np.eye(len(mean))))
        known, updated = 0.0, []
        for number, block in enumerate(slices):
            if number < free:
                known += sizes[number]
                updated.append(np.inf)
                continue
            told = sizes[number] - covariance[block].sum() / variance[number]
            told = min(max(told, 1e-9), sizes[number])
            known += told
            updated.append(max(float(mean[block] @ mean[block]) / told, floor))
        left = square - 2 * float(mean @ right) + float(mean @ gram @ mean)
        before = (*variance[free:], noise)
        noise = max(left / max(rows - known, 1.0), floor)
        variance = updated
        after = (*variance[free:], noise)
        if all(abs(a - b) <= TOLERANCE * b for a, b in zip(after, before, strict=True)):
            break
    return BlockFit(tuple(mean[b] for b in slices), tuple(variance), noise)


def indicator(codes: np.ndarray, count: int) -> np.ndarray:
    """One column a code (rows, count); rows with a negative code are zero."""
    out = np.zeros((len(codes), count))
    known = codes >= 0
    out[np.flatnonzero(known), codes[known]] = 1.0
    return out
