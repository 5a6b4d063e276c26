"""What requests to Sentinel Hub cost, by the provider's own rules.

The rules are those of "Processing Unit definition" (docs.sentinel-hub.com/api/latest/api/overview/processing-unit and the
page of the same name at documentation.dataspace.copernicus.eu), as of November 2026. The charge itself comes with each
answer, in the header ``x-processingunits-spent``; the ledger keeps both.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Literal

from agro.schema.errors import ContractError
from agro.schema.grid import CELL_M
from agro.sources.net.budget import Estimate

Api = Literal["process", "statistical"]

#: One unit is this many pixels ...
UNIT_PX = 512 * 512
#: ... of this many bands.
UNIT_BANDS = 3
#: Share of :data:`UNIT_PX` below which a smaller area is not cheaper: 0.26 km2 of pixels of 10 m.
LEAST_AREA = 0.01
#: Least charge of a request, by API.
LEAST_PU: dict[str, float] = {"process": 0.005, "statistical": 0.01}
#: Charge of a request to the catalogue.
CATALOGUE_PU = 0.01
#: Products of one page of the catalogue, the most that it gives.
PAGE = 100
#: Pixel size asked for.
PIXEL_M = 10.0
#: Bytes of a statistical answer: a parcel, a day and an index.
_STATISTIC_BYTES = 400


def processing_units(
    width_px: float,
    height_px: float,
    bands: int,
    samples: int = 1,
    bits: Literal[8, 16, 32] = 16,
    orthorectified: bool = False,
    api: Api = "process",
    octet_stream: bool = False,
) -> float:
    """Processing units of one request.

    ``max(least, max(0.01, w h / 512^2) * bands / 3 * format * samples * orthorectification)``

    Parameters
    ----------
    width_px, height_px : float
        Size of the box asked for, whether or not a polygon in it masks pixels.
    bands : int
        Bands that go in, ``dataMask`` not counted unless it is the only one.
    samples : int
        Acquisitions for each pixel.
    bits : {8, 16, 32}
        Of a number that comes out: 32 doubles the price.
    orthorectified : bool
        Sentinel-1 with orthorectification, which doubles it too.
    api : {"process", "statistical"}
        Decides the least charge: 0.005 and 0.01.
    octet_stream : bool
        ``application/octet-stream``, 1.4 times the price.

    Raises
    ------
    ContractError
        A size, a number of bands or of samples below 1, or an unknown API or number of bits.
    """
    if min(width_px, height_px, bands, samples) < 1:
        raise ContractError(
            f"{width_px} x {height_px} pixels of {bands} bands and {samples} samples hold nothing", where="cost"
        )
    if bits not in (8, 16, 32) or api not in LEAST_PU:
        raise ContractError(
            f"no price for {bits} bits from {api!r}", where="cost", do="8, 16, 32; process, statistical"
        )
    area = max(LEAST_AREA, width_px * height_px / UNIT_PX)
    kind = 1.4 if octet_stream else 2.0 if bits == 32 else 1.0
    units = area * bands / UNIT_BANDS * kind * samples * (2.0 if orthorectified else 1.0)
    return max(LEAST_PU[api], units)


def plan_search(products: int) -> Estimate:
    """Cost of finding so many products: the sign-in and the pages of the catalogue."""
    pages = max(1, math.ceil(products / PAGE))
    return Estimate(requests=1 + pages, pu=CATALOGUE_PU * pages, mb=pages * 0.2)


def plan_process(cells: int, days: int, bands: Collection[str]) -> Estimate:
    """Cost of pixels: one request a cell and day, all bands in it.

    Parameters
    ----------
    cells : int
        Cells of 5120 m that hold parcels.
    days : int
        Acquisitions.
    bands : collection of str
        Common names asked for, the scene classification (``"scl"``) among them.

    Returns
    -------
    Estimate
        Megabytes as for pixels that do not compress.
    """
    count = cells * days
    if not count:
        return Estimate()
    one = cell_estimate(len(bands))
    return Estimate(count, count * one.pu, count * one.mb)


def cell_estimate(bands: int) -> Estimate:
    """Cost of one cell on one day."""
    side = round(CELL_M / PIXEL_M)
    # Two bytes a pixel and band, and the data mask, which is free.
    return Estimate(1, processing_units(side, side, bands), side * side * 2 * (bands + 1) / 1e6)


def plan_statistical(n_parcels: int, areas: Sequence[float], days: int, bands: Collection[str]) -> Estimate:
    """Cost of statistics: one request a parcel, all days in it.

    Parameters
    ----------
    n_parcels : int
        Parcels asked for.
    areas : sequence of float
        Area of the box around each parcel (m2); it is the box that is charged.
    days : int
        Acquisitions of the period.
    bands : collection of str
        Bands that go in, ``"scl"`` among them.

    Raises
    ------
    ContractError
        Not one area for each parcel.
    """
    if len(areas) != n_parcels:
        raise ContractError(f"{len(areas)} areas for {n_parcels} parcels", where="cost", do="Give one for each parcel")
    if not n_parcels or not days:
        return Estimate()
    parts = [parcel_estimate(area, days, len(bands)) for area in areas]
    return Estimate(n_parcels, sum(part.pu for part in parts), sum(part.mb for part in parts))


def parcel_estimate(box_m2: float, days: int, bands: int, indices: int = 1) -> Estimate:
    """Cost of one parcel's statistics over so many acquisitions; numbers that come out have 32 bits."""
    side = max(1.0, math.sqrt(box_m2) / PIXEL_M)
    units = processing_units(side, side, bands, samples=days, bits=32, api="statistical")
    return Estimate(1, units, days * indices * _STATISTIC_BYTES / 1e6)
