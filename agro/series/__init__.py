"""Daily series of an index: gaps filled, smoothed, flagged; seasons; anomalies against neighbours."""

from agro.series.anomaly import neighbour_anomaly, recent_change
from agro.series.penalty import crop_penalties
from agro.series.phenology import phenology
from agro.series.season_metrics import season_metrics
from agro.series.smooth import smooth, smooth_batches

__all__ = [
    "crop_penalties",
    "neighbour_anomaly",
    "phenology",
    "recent_change",
    "season_metrics",
    "smooth",
    "smooth_batches",
]
