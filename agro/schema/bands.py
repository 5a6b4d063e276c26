"""Common band names (STAC ``eo:common_name`` style) of Sentinel-2 and the quality flags of a cube."""

from __future__ import annotations

from enum import IntFlag

#: Native Sentinel-2 name -> common name, as in the Earth Search assets.
SENTINEL2_COMMON_NAMES: dict[str, str] = {
    "B01": "coastal",
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B05": "rededge1",
    "B06": "rededge2",
    "B07": "rededge3",
    "B08": "nir",
    "B8A": "nir08",
    "B09": "nir09",
    "B11": "swir16",
    "B12": "swir22",
}
#: Native pixel size in metres.
SENTINEL2_RESOLUTION_M: dict[str, int] = {
    "coastal": 60, "blue": 10, "green": 10, "red": 10, "rededge1": 20, "rededge2": 20,
    "rededge3": 20, "nir": 10, "nir08": 20, "nir09": 60, "swir16": 20, "swir22": 20,
}  # fmt: skip


class Quality(IntFlag):
    """Bit flags of the cube's ``qa`` variable; 0 is a clear, valid pixel."""

    CLEAR = 0
    NODATA = 1
    CLOUD = 2
    SHADOW = 4
    CIRRUS = 8
    SNOW = 16
    SATURATED = 32
    #: Within the dilation distance of cloud or shadow.
    NEAR_CLOUD = 64
    #: Class that the user chose to drop (dark area, unclassified ...).
    EXCLUDED = 128
