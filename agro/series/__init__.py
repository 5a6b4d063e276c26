"""Daily series of an index: gaps filled, smoothed, flagged; seasons; anomalies against neighbours."""

from agro.series.anomaly import neighbour_anomaly, recent_change
from agro.series.phenology import phenology
from agro.series.smooth import smooth

__all__ = ["neighbour_anomaly", "phenology", "recent_change", "smooth"]
