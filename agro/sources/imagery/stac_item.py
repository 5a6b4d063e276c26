"""STAC items of the Earth Search, Planetary Computer and Copernicus Data Space kinds, as scenes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from agro.schema.errors import SourceError
from agro.sources.imagery.names import (
    common_name,
    offset_of_baseline,
    product_in,
    resolution_in,
    solar_day,
)
from agro.sources.imagery.protocol import Scene
from agro.sources.imagery.raster import is_remote


def items_in(body: Any) -> Iterator[dict[str, Any]]:
    """STAC items of a document; collections, catalogues and plain GeoJSON hold none."""
    if not isinstance(body, dict):
        return
    if body.get("type") == "FeatureCollection":
        features = body.get("features")
        for feature in features if isinstance(features, list) else []:
            if isinstance(feature, dict) and ("assets" in feature or "stac_version" in feature):
                yield feature
    elif body.get("type") == "Feature":
        yield body


def scene_from_item(item: dict[str, Any], folder: Path, provider: str = "stac") -> Scene:
    """A scene from a STAC item of the Earth Search, Planetary Computer or CDSE kind.

    The offset is that of ``raster:bands`` (in digital numbers); with ``earthsearch:boa_offset_applied`` the
    pixels are said to have it already; without either, the processing baseline decides.

    Parameters
    ----------
    item : dict
        The item.
    folder : Path
        Relative hrefs start here.
    provider : str
        Named on the scene.

    Raises
    ------
    SourceError
        Not an item, no date, no band, top-of-atmosphere numbers, or bands that contradict each other.
    """
    where = str(item.get("id", folder))
    try:
        return _scene(item, folder, where, provider)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise SourceError(
            f"not a STAC item ({type(error).__name__}: {error})", where=where, do="Fetch the item again"
        ) from error


def _scene(item: dict[str, Any], folder: Path, where: str, provider: str) -> Scene:
    properties = item["properties"]
    product = product_in(
        str(properties.get("s2:product_uri") or properties.get("sentinel:product_id") or item["id"])
    )  # fmt: skip
    _refuse_other_sensors(properties, where)
    if _is_top_of_atmosphere(item, properties) or (product and product.level == "L1C"):
        raise SourceError(
            "Level-1C is reflectance at the top of the atmosphere", where=where, do="Fetch the Level-2A product"
        )
    moment_text = properties.get("datetime") or properties.get("start_datetime")
    if not moment_text:
        raise SourceError("the item has no datetime", where=where, do="Fetch the item again")
    moment = datetime.fromisoformat(moment_text.replace("Z", "+00:00"))
    assets = _best_assets(item["assets"])
    if not set(assets) - {"scl"}:
        raise SourceError(
            "the item has no band known", where=where, do="Name assets B04, B08, SCL ... or red, nir, scl"
        )
    scale, stated = _scaling(assets, where)
    baseline = properties.get("s2:processing_baseline") or properties.get("processing:version")
    if baseline is None and product:
        baseline = product.baseline
    assumed = offset_of_baseline(str(baseline) if baseline else None)
    note = ""
    offset = stated
    if properties.get("earthsearch:boa_offset_applied") is True:
        offset, note = 0.0, "the provider says that the offset is applied"
    elif stated is None and assumed is not None:
        offset, note = assumed, "offset from the processing baseline"
    orbit = properties.get("sat:relative_orbit")
    if orbit is None and product:
        orbit = product.relative_orbit
    paths = {band: _resolve(asset["href"], folder) for band, asset in sorted(assets.items())}
    return Scene(
        scene_id=str(item["id"]),
        date=solar_day(moment, _longitude(item)),
        provider=provider,
        assets=paths,
        processing_baseline=str(baseline) if baseline else None,
        relative_orbit=int(orbit) if orbit is not None else None,
        offset=offset,
        scale=scale,
        tile=_tile(properties) or (product.tile if product else None),
        datatake=properties.get("s2:datatake_id") or (product.datatake if product else None),
        note=note,
        files=tuple(path for path in paths.values() if not is_remote(path)),
    )


def _refuse_other_sensors(properties: dict[str, Any], where: str) -> None:
    """Bands of another sensor have the same common names, other wavelengths and no scene classification."""
    for key in ("constellation", "platform"):
        told = str(properties.get(key) or "")
        plain = re.sub(r"[^a-z0-9]", "", told.lower())
        if plain and not plain.startswith(("sentinel2", "s2")):
            raise SourceError(
                f"of {told}, not of Sentinel-2",
                where=where,
                do="Name a collection of Sentinel-2 Level-2A in region.yaml",
            )


def _is_top_of_atmosphere(item: dict[str, Any], properties: dict[str, Any]) -> bool:
    level = str(properties.get("processing:level", "")).upper()
    kind = str(properties.get("s2:product_type", ""))
    return kind.startswith("S2MSI1") or level in ("L1", "L1C") or str(item.get("collection", "")).endswith("l1c")


def _best_assets(assets: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """One raster a band: the finest pixels, GeoTIFF rather than JPEG 2000."""
    best: dict[str, tuple[tuple[float, bool, str], dict[str, Any]]] = {}
    for key, asset in assets.items():
        band = _band_of(key, asset)
        if band is None:
            continue
        rank = (_resolution(key, asset), str(asset.get("type", "")).startswith("image/jp2"), key)
        if band not in best or rank < best[band][0]:
            best[band] = (rank, asset)
    return {band: asset for band, (_, asset) in best.items()}


def _band_of(key: str, asset: dict[str, Any]) -> str | None:
    """Common name of an asset that is a raster of one band."""
    if not str(asset.get("type", "image/tiff")).startswith(("image/tiff", "image/jp2", "image/vnd.stac.geotiff")):
        return None
    bands = asset.get("eo:bands") or asset.get("bands") or []
    if len(bands) > 1:
        return None
    # Keys first: providers give nir08 and rededge1..3 the same eo common name.
    named = bands[0] if bands else {}
    stated = str(named.get("common_name") or named.get("eo:common_name") or "")
    return common_name(key) or common_name(str(named.get("name", ""))) or common_name(stated)


def _resolution(key: str, asset: dict[str, Any]) -> float:
    transform = asset.get("proj:transform")
    stated = (
        resolution_in(key)
        or _raster(asset).get("spatial_resolution")
        or (abs(transform[0]) if transform else None)
        or asset.get("gsd")
    )
    return float(stated or np.inf)


def _raster(asset: dict[str, Any]) -> dict[str, Any]:
    """Raster extension of an asset's only band, in the form of STAC 1.0 or 1.1."""
    first: dict[str, Any] = next(iter(asset.get("raster:bands") or asset.get("bands") or []), {})
    out = {}
    for key in ("scale", "offset", "spatial_resolution"):
        for place, name in ((first, key), (first, f"raster:{key}"), (asset, f"raster:{key}")):
            if place.get(name) is not None:
                out[key] = place[name]
                break
    return out


def _scaling(assets: dict[str, dict[str, Any]], where: str) -> tuple[float, float | None]:
    """Scale and, when stated, offset in digital numbers."""
    rasters = [_raster(asset) for band, asset in assets.items() if band != "scl"]
    scales = {float(raster.get("scale", 0.0001)) for raster in rasters}
    offsets = {
        round(float(raster["offset"]) / float(raster.get("scale", 0.0001))) for raster in rasters if "offset" in raster
    }
    if len(offsets) > 1 or len(scales) > 1:
        raise SourceError(
            "bands of one item state different scales or offsets", where=where, do="Correct raster:bands of the item"
        )
    return scales.pop(), float(offsets.pop()) if offsets else None


def _resolve(href: str, folder: Path) -> str:
    if is_remote(href) or Path(href).is_absolute():
        return href
    return str((folder / href).resolve())


def _longitude(item: dict[str, Any]) -> float:
    """Middle of the item, degrees east."""
    box = item.get("bbox")
    if not box:
        # Without a place the solar day is the day of UTC.
        return 0.0
    west, east = float(box[0]), float(box[len(box) // 2])
    if east < west:
        east += 360
    return ((west + east) / 2 + 180) % 360 - 180


def _tile(properties: dict[str, Any]) -> str | None:
    tile = properties.get("s2:mgrs_tile") or properties.get("grid:code")
    return str(tile).removeprefix("MGRS-") if tile else None
