"""Soil layers of parcels: own table, SoilGrids, default of a texture class, in the order of the region's chain."""

from agro.sources.soil.chain import SoilResult, load_soil, plan_soil, probe_soil

__all__ = ["SoilResult", "load_soil", "plan_soil", "probe_soil"]
