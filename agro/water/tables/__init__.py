"""Shipped tables: crops (FAO-56) and water limits of texture classes, each value with unit and source."""

from pathlib import Path

CROPS_FILE = Path(__file__).with_name("crops.yaml")
SOILS_FILE = Path(__file__).with_name("soils.yaml")
