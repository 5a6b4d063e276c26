"""Soil layers of parcels from SoilGrids 2.0 (ISRIC, CC BY 4.0)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy import sparse

from agro.schema.errors import ConfigError, NoDataError, SourceError
from agro.schema.region import SoilSpec
from agro.sources.net import Call, Estimate, Network, checked_url
from agro.sources.net.positions import outward
from agro.sources.providers import provider
from agro.sources.soil.link import LinkResult
from agro.sources.soil.pedotransfer import FC_ERROR_M3_M3, OM_PER_CARBON, WP_ERROR_M3_M3, saxton_rawls
from agro.sources.soil.soilgrids_tiles import CRS, DEPTHS, LIST_MB, PIXEL_M, TILE_M, TILE_MB, Pixels, SoilGridsMaps
from agro.sources.soil.table import LIMITS

PROVIDER = "soilgrids"
#: Ways to the water limits: the maps of water retention, from texture, or the second where the first are absent.
METHODS = ("auto", "maps", "pedotransfer")
#: Numbers of the maps per one: water 0.1 vol %, clay and sand g/kg, stones per mille of volume (ISRIC, FAQ SoilGrids).
PER_ONE = 1000.0
#: Soil organic carbon is stored in dg/kg.
CARBON_PER_PERCENT = 100.0
#: Standard deviations between the 5 % and 95 % quantiles of a normal distribution.
SD_BETWEEN_QUANTILES = 3.29
#: A parcel is served when pixels with values hold at least this share of it.
MIN_COVERED_FRAC = 0.5


@dataclass(frozen=True)
class _Limits:
    """Field capacity and wilting point with sd, (depth, parcel) m3/m3."""

    fc: np.ndarray
    wp: np.ndarray
    fc_sd: np.ndarray
    wp_sd: np.ndarray


def soilgrids_link(spec: SoilSpec, parcels: pd.DataFrame, uids: list[str], network: Network) -> LinkResult:
    """Six layers to 2 m for each parcel that lies on the maps.

    Parameters
    ----------
    spec : SoilSpec
        Options: ``url``, another address; ``method``, one of `METHODS`.
    parcels : geopandas.GeoDataFrame
        Table ``parcels``.
    uids : list of str
        Parcels wanted.
    network : Network

    Returns
    -------
    LinkResult
        ``source`` is ``soilgrids``, or ``soilgrids:pedotransfer`` where the water limits come from texture.

    Notes
    -----
    The box of the wanted parcels is rounded outward to 0.1 degree and the tiles (112 km) that hold it are fetched whole.
    Field capacity is the water content at 33 kPa, wilting point at 1500 kPa (Turek et al. 2023, Int. Soil Water Conserv.
    Res. 11:225-239); sd = (Q0.95 - Q0.05) / 3.29. A parcel's value is the mean of its pixels by the area it covers; the
    sd is not divided by their number, for errors of neighbours go together.

    Raises
    ------
    SourceError, NoDataError, BudgetError, PrivacyError
        As :meth:`agro.sources.net.Client.fetch`.
    ConfigError
        Unknown option, or parcels without outlines.
    """
    url, method = _options(spec)
    outlines = _outlines(parcels, uids)
    pixels, weights = _weights(outlines)
    maps = SoilGridsMaps(network.client(PROVIDER), url, outward(*outlines.total_bounds), tuple(uids))
    total = np.asarray(weights.sum(axis=1)).ravel()

    def layers(name: str, statistic: str = "mean") -> np.ndarray:
        return np.stack([_means(maps.values(name, depth, statistic, pixels), weights, total) for depth in DEPTHS])

    limits, source, said = _limits(layers, method)
    stones = layers("cfvo") / PER_ONE
    return _result(uids, limits, stones, source, said)


def clip_estimate(spec: SoilSpec, parcels: gpd.GeoDataFrame) -> Estimate:
    """What a region's soil costs the first time; nothing after.

    The number of tiles is the mean over all ways in which the box of the parcels may lie on them.

    Raises
    ------
    ConfigError
        Unknown option.
    """
    _, method = _options(spec)
    west, south, east, north = gpd.GeoSeries(
        [shapely.box(*outward(*parcels.to_crs("EPSG:4326").total_bounds))], crs="EPSG:4326"
    ).segmentize(0.1).to_crs(CRS).total_bounds  # fmt: skip
    tiles = round(((east - west) / TILE_M + 1) * ((north - south) / TILE_M + 1))
    # Stones with water at two tensions (mean and two quantiles) or with sand, clay and carbon.
    lists, layers = (4, 4 * len(DEPTHS)) if method == "pedotransfer" else (3, 7 * len(DEPTHS))
    return Estimate(lists + layers * tiles, 0.0, lists * LIST_MB + layers * tiles * TILE_MB)


def probe_soilgrids(spec: SoilSpec, network: Network) -> str:
    """Whether the maps answer: the beginning of one list of tiles, the cache left out.

    Raises
    ------
    SourceError, NoDataError, BudgetError
        As :meth:`agro.sources.net.Client.fetch`.
    ConfigError
        Unknown option.
    """
    url, method = _options(spec)
    name = "clay" if method == "pedotransfer" else "wv0033"
    layer = f"{name}_{DEPTHS[0]}cm_mean"
    network.client(PROVIDER).fetch(
        Call(
            f"{url}/{name}/{layer}.vrt", expects="bytes", byte_range=(0, 1023), ttl_s=0,
            estimate=Estimate(1, 0.0, 0.001), piece="probe",
            check=lambda body: "" if b"<VRTDataset" in body else "no list of tiles",
        )
    )  # fmt: skip
    return f"list of tiles of {layer.replace('_', ' ')} read"


def _limits(layers: Callable[..., np.ndarray], method: str) -> tuple[_Limits, str, str | None]:
    said = None
    if method != "pedotransfer":
        try:
            return _from_maps(layers), PROVIDER, None
        except SourceError as error:
            # An outage is for the next link; a map that does not exist is made up for by texture.
            if error.transient or method == "maps":
                raise
            said = f"no maps of water retention ({error.what}): from texture"
    sand, clay = layers("sand") / PER_ONE, layers("clay") / PER_ONE
    fc, wp = saxton_rawls(sand, clay, layers("soc") / CARBON_PER_PERCENT * OM_PER_CARBON)
    errors = np.full(fc.shape, FC_ERROR_M3_M3), np.full(wp.shape, WP_ERROR_M3_M3)
    return _Limits(fc, wp, *errors), f"{PROVIDER}:pedotransfer", said


def _from_maps(layers: Callable[..., np.ndarray]) -> _Limits:
    fc, wp = layers("wv0033") / PER_ONE, layers("wv1500") / PER_ONE
    sd = [
        (layers(name, "Q0.95") - layers(name, "Q0.05")) / PER_ONE / SD_BETWEEN_QUANTILES
        for name in ("wv0033", "wv1500")
    ]
    return _Limits(fc, wp, *sd)


def _result(uids: list[str], limits: _Limits, stones: np.ndarray, source: str, said: str | None) -> LinkResult:
    edges = [[float(cm) / 100 for cm in depth.split("-")] for depth in DEPTHS]
    count = len(uids)
    table = pd.DataFrame(
        {
            "parcel_uid": np.repeat(uids, len(DEPTHS)), "layer": np.tile(np.arange(1, len(DEPTHS) + 1), count),
            "top_m": np.tile([top for top, _ in edges], count), "bottom_m": np.tile([low for _, low in edges], count),
            "fc_m3_m3": limits.fc.T.ravel(), "wp_m3_m3": limits.wp.T.ravel(), "fc_sd_m3_m3": limits.fc_sd.T.ravel(),
            "wp_sd_m3_m3": limits.wp_sd.T.ravel(), "stones_frac": stones.T.ravel(), "source": source,
            "source_reason": said,
        }
    )  # fmt: skip
    reasons: dict[str, str] = {}
    numbers = table[list(LIMITS)]
    tests = [
        ("no value on the maps (water, town, or outside)", numbers.isna().any(axis=1)),
        ("wilting point not below field capacity", table["wp_m3_m3"] >= table["fc_m3_m3"]),
        *((f"{c} outside {low:g} .. {high:g}", ~table[c].between(low, high)) for c, (low, high) in LIMITS.items()),
    ]
    for reason, wrong in tests:
        for uid in table.loc[wrong, "parcel_uid"].unique():
            reasons.setdefault(str(uid), f"{PROVIDER}: {reason}")
    rejected = []
    for reason in dict.fromkeys(reasons.values()):
        hit = [uid for uid, told in reasons.items() if told == reason]
        more = f" and {len(hit) - 1} more" if len(hit) > 1 else ""
        rejected.append(
            {
                "input": "soil", "item": f"{PROVIDER} parcel {hit[0]}{more}", "reason": reason.split(": ", 1)[1],
                "remedy": "The next link of the chain is used",
            }
        )  # fmt: skip
    return LinkResult(table[~table["parcel_uid"].isin(list(reasons))], reasons, rejected)


def _options(spec: SoilSpec) -> tuple[str, str]:
    unknown = set(spec.options) - {"url", "method"}
    if unknown:
        raise ConfigError(
            f"unknown option {', '.join(sorted(unknown))}", where="soil soilgrids", do="Known: url, method"
        )
    method = spec.options.get("method", "auto")
    if method not in METHODS:
        raise ConfigError(f"method {method!r}", where="soil soilgrids", do=f"Known: {', '.join(METHODS)}")
    return checked_url(spec.options.get("url", provider(PROVIDER).url), "soil soilgrids url"), method


def _outlines(parcels: pd.DataFrame, uids: list[str]) -> gpd.GeoSeries:
    if not isinstance(parcels, gpd.GeoDataFrame):
        raise ConfigError("the parcels have no outlines", where="soil soilgrids", do="Read them with their geometry")
    return parcels.set_index("parcel_uid").geometry.loc[uids].to_crs("EPSG:4326")


def _weights(outlines: gpd.GeoSeries) -> tuple[Pixels, sparse.csr_array]:
    """Pixels under the parcels, and the area of each parcel on each pixel, (parcel, pixel) m2."""
    shapes = outlines.to_crs(CRS).to_numpy()
    if not all(np.isfinite(shapely.bounds(shapes)).ravel()):
        raise NoDataError("a parcel lies outside the projection of the maps", where="soilgrids")
    places: dict[tuple[int, int], int] = {}
    parcel_of, pixel_of, area = [], [], []
    for number, shape in enumerate(shapes):
        left, bottom, right, top = (math.floor(edge / PIXEL_M) for edge in shape.bounds)
        columns, rows = (grid.ravel() for grid in np.meshgrid(np.arange(left, right + 1), np.arange(bottom, top + 1)))
        squares = shapely.box(
            columns * PIXEL_M, rows * PIXEL_M, (columns + 1) * PIXEL_M, (rows + 1) * PIXEL_M
        )  # fmt: skip
        shares = shapely.area(shapely.intersection(shape, squares))
        for column, row, share in zip(columns[shares > 0], rows[shares > 0], shares[shares > 0], strict=True):
            parcel_of.append(number)
            pixel_of.append(places.setdefault((int(column), int(row)), len(places)))
            area.append(share)
    found = np.array(list(places), dtype=int).reshape(-1, 2)
    shape_of = (len(shapes), len(places))
    return Pixels(found[:, 0], found[:, 1]), sparse.csr_array((area, (parcel_of, pixel_of)), shape=shape_of)


def _means(values: np.ndarray, weights: sparse.csr_array, total: np.ndarray) -> np.ndarray:
    """Mean of each parcel over its pixels that have values; NaN where these hold less than half of it."""
    valid = np.isfinite(values)
    covered = weights @ valid.astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (weights @ np.where(valid, values, 0.0)) / covered
    return np.where(covered >= MIN_COVERED_FRAC * total - 1e-9, means, np.nan)
