"""``agro new-region``: a folder to fill in, or filled in from what is at hand."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from agro.parcels import read_parcels
from agro.schema.errors import AgroError, ConfigError
from agro.schema.region import REGION_FILE, ParcelsSource
from agro.sources.imagery import detect_kind
from agro.store.atomic import write_text

FILL_IN = "FILL-IN"


@dataclass(frozen=True)
class RegionOptions:
    """What is known of the region already; None is left to fill in."""

    parcels: Path | None = None
    imagery: Path | None = None
    station: Path | None = None
    forecast: Path | None = None
    climatology: Path | None = None
    soil: Path | None = None
    texture: str = "loam"
    irrigation: Path | None = None
    crop: str | None = None
    system: str | None = None
    sowing: date | None = None
    elevation: float | None = None
    online: bool = False


#: Links that need no account, put where they belong in a chain.
ONLINE_IMAGERY = ("earth-search", "planetary-computer")
ONLINE_WEATHER = ("openmeteo", "power")
ONLINE_SOIL = ("soilgrids",)


def new_region(folder: Path, options: RegionOptions) -> list[str]:
    """Write ``region.yaml``.

    Parameters
    ----------
    folder : Path
        Made when absent; a region that is there already is never overwritten.
    options : RegionOptions
        Files are named by their path relative to the folder, not copied.

    Returns
    -------
    list of str
        Keys left to fill in.

    Raises
    ------
    ConfigError
        A region is there already, or a file given does not exist.
    """
    target = folder / REGION_FILE
    if target.exists():
        raise ConfigError(
            f"a {REGION_FILE} is there already", where=str(folder), do="Choose another folder, or edit that one"
        )
    given = [
        p
        for p in (
            options.parcels,
            options.imagery,
            options.station,
            options.forecast,
            options.climatology,
            options.soil,
            options.irrigation,
        )
        if p
    ]
    for path in given:
        if not path.exists():
            raise ConfigError("no such file or folder", where=str(path), do="Check the path")
    latitude, longitude = _middle(options)

    def named(path: Path) -> str:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()

    def files(*links: tuple[str, Path | None]) -> list[dict[str, Any]]:
        return [{"kind": kind, "path": named(path)} for kind, path in links if path]

    def online(*kinds: str) -> list[dict[str, Any]]:
        return [{"kind": kind} for kind in kinds] if options.online else []

    # Own measurements first, providers next, averages last.
    weather = [
        *files(("station", options.station), ("forecast", options.forecast)), *online(*ONLINE_WEATHER),
        *files(("climatology", options.climatology)),
    ]  # fmt: skip
    imagery = [
        *([{"kind": detect_kind(options.imagery), "path": named(options.imagery)}] if options.imagery else []),
        *online(*ONLINE_IMAGERY),
    ]
    soil = [*files(("table", options.soil)), *online(*ONLINE_SOIL)]
    defaults = {"crop": options.crop, "irrigation": options.system, "sowing_date": options.sowing}
    name = "".join(c if c.isalnum() else "-" for c in folder.resolve().name.lower()).strip("-") or "region"
    body: dict[str, Any] = {
        "place": {
            "id": name if len(name) > 1 else f"region-{name}",
            "name": {"en": folder.resolve().name, "fr": folder.resolve().name, "ar": folder.resolve().name},
            "latitude": FILL_IN if latitude is None else latitude,
            "longitude": FILL_IN if longitude is None else longitude,
            "elevation_m": FILL_IN if options.elevation is None else options.elevation,
        },
        "parcels": {
            "path": named(options.parcels) if options.parcels else FILL_IN,
            "defaults": {k: v for k, v in defaults.items() if v is not None},
        },
        "imagery": imagery or [{"kind": "stac", "path": FILL_IN}],
        "weather": weather or [{"kind": "station", "path": FILL_IN}],
        "soil": [*soil, {"kind": "texture", "texture": options.texture}],
        **({"irrigation": named(options.irrigation)} if options.irrigation else {}),
        "languages": ["fr", "ar", "en"],
    }
    text = yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=110)
    write_text(target, _HEAD + text)
    return _to_fill_in(body)


_HEAD = """\
# A region. Keys: docs/regions.md. Paths are relative to this folder. Check it with: agro check region DIR
# Beside this file a crops.yaml, soils.yaml or rules.yaml may replace what is shipped.
"""


def _middle(options: RegionOptions) -> tuple[float | None, float | None]:
    """Middle of the parcels to a hundredth of a degree."""
    if options.parcels is None:
        return None, None
    try:
        source = ParcelsSource(
            path=str(options.parcels.resolve()), defaults={"crop": "any", "irrigation": "rainfed"}, outline_only=True
        )
        left, bottom, right, top = read_parcels(source, Path("/"), {"any"}).parcels.total_bounds
    except AgroError:
        # What is wrong with the parcels is said by the check, which reads them with their real settings.
        return None, None
    return round(float(bottom + top) / 2, 2), round(float(left + right) / 2, 2)


def _to_fill_in(body: Any, prefix: str = "") -> list[str]:
    if body == FILL_IN:
        return [prefix]
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    return [found for key, value in items for found in _to_fill_in(value, f"{prefix}.{key}" if prefix else str(key))]
