"""Sentinel Hub: pixels by the cell, statistics by the parcel, and what they cost before they are asked for."""

from agro.sources.imagery.sentinelhub.cost import plan_process, plan_search, plan_statistical, processing_units

__all__ = ["plan_process", "plan_search", "plan_statistical", "processing_units"]
