"""Where a model may be asked: dissimilarity to what it was trained on, and the area of applicability.

Meyer and Pebesma 2021, doi 10.1111/2041-210X.13650.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Rows compared at once; bounds the memory of a distance matrix.
CHUNK = 2000


@dataclass(frozen=True)
class Applicability:
    """Training rows in the model's own space, and how far from them is too far.

    Attributes
    ----------
    seen : numpy.ndarray
        Weighted anomalies of the training rows (rows, features).
    weights : numpy.ndarray
        Importance of each feature, summing to the number of features.
    mean_distance : float
        Mean distance between training rows.
    limit : float
        Largest dissimilarity inside the area: upper whisker (third quartile plus 1.5 interquartile ranges) of those
        between training rows of different years.
    """

    seen: np.ndarray
    weights: np.ndarray
    mean_distance: float
    limit: float

    @classmethod
    def of(cls, features: np.ndarray, importance: np.ndarray, year: np.ndarray) -> Applicability:
        """Area of training rows (rows, features) with the importance of each feature (>= 0) and the year of each row."""
        total = float(np.sum(importance))
        weights = importance * len(importance) / total if total > 0 else np.ones(features.shape[1])
        seen = features * weights
        distance = _distances(seen, seen)
        rows = len(seen)
        mean = float(distance.sum() / max(rows * (rows - 1), 1))
        distance[year[:, None] == year[None, :]] = np.inf
        nearest = distance.min(axis=1)
        nearest = nearest[np.isfinite(nearest)] / (mean or 1.0)
        low, high = np.quantile(nearest, [0.25, 0.75]) if len(nearest) else (np.nan, np.inf)
        return cls(seen, weights, mean, float(high + 1.5 * (high - low)) if len(nearest) else np.inf)

    def dissimilarity(self, features: np.ndarray) -> np.ndarray:
        """Distance to the nearest training row over the mean distance among them (rows,); 0 = seen before."""
        rows = features * self.weights
        parts = [_distances(rows[i : i + CHUNK], self.seen).min(axis=1) for i in range(0, len(rows), CHUNK)]
        return np.concatenate(parts) / (self.mean_distance or 1.0) if parts else np.zeros(0)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T
    squared[squared < 1e-9] = 0.0
    return np.sqrt(squared)
