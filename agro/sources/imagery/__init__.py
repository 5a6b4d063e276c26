"""Imagery sources, registered under the entry-point group ``agro.imagery``."""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points
from pathlib import Path

from agro.schema.errors import ConfigError
from agro.schema.region import ImagerySpec
from agro.sources.imagery.protocol import ImagerySource, Scene, SearchResult
from agro.sources.imagery.remote import Remote
from agro.sources.imagery.safe_product import holds_products

GROUP = "agro.imagery"

__all__ = ["GROUP", "ImagerySource", "Remote", "Scene", "SearchResult", "detect_kind", "open_imagery"]


def open_imagery(spec: ImagerySpec, folder: Path, remote: Remote | None = None) -> ImagerySource:
    """Open the source that a region names.

    Parameters
    ----------
    spec : ImagerySpec
        Kind (an entry point), path and options.
    folder : Path
        Relative paths start here.
    remote : Remote, optional
        For sources over the network (classes with ``over_network = True``), which are made from it instead of a path.

    Raises
    ------
    ConfigError
        Unknown kind, two plugins of one name, no such path, no network for one that needs it, or an unknown option.
    """
    kinds = entry_points(group=GROUP)
    names = [point.name for point in kinds]
    if spec.kind not in names:
        raise ConfigError(
            f"unknown kind of imagery {spec.kind!r}", where="imagery.kind", do=f"Known: {', '.join(sorted(names))}"
        )
    if names.count(spec.kind) > 1:
        raise ConfigError(f"two plugins call themselves {spec.kind!r}", where=GROUP, do="Remove one of them")
    factory = next(point for point in kinds if point.name == spec.kind).load()
    first: Path | Remote
    if getattr(factory, "over_network", False):
        if remote is None:
            raise ConfigError(f"{spec.kind} needs the network", where="imagery", do="Run it with a region")
        first = remote
    elif spec.path is None:
        raise ConfigError(f"{spec.kind} needs a path", where="imagery.path", do="Say where the files are")
    else:
        first = (folder / spec.path).resolve()
        if not first.exists():
            raise ConfigError("no such file or folder", where=str(first), do="Correct imagery.path")
    try:
        inspect.signature(factory).bind(first, **spec.options)
    except TypeError as error:
        raise ConfigError(
            f"wrong option of {spec.kind}: {error}", where="imagery.options", do="Correct or remove it"
        ) from error
    source: ImagerySource = factory(first, **spec.options)
    return source


def detect_kind(path: Path) -> str:
    """Kind of imagery that a path on disk holds.

    Raises
    ------
    ConfigError
        Nothing there that is known.
    """
    if path.suffix.lower() in {".nc", ".nc4", ".zarr"} or (path / ".zgroup").exists() or (path / "zarr.json").exists():
        return "cube"
    if path.is_dir():
        if any(not _within_product(file, path) for file in path.rglob("*.json")):
            return "stac"
        if holds_products(path):
            return "safe"
        if any(p.suffix.lower() in {".tif", ".tiff"} for p in path.rglob("*")):
            return "geotiff"
    elif path.suffix.lower() == ".zip" and holds_products(path):
        return "safe"
    raise ConfigError(
        "no imagery known here",
        where=str(path),
        do="Give a STAC folder, SAFE folders or zips, a folder of GeoTIFFs, a NetCDF file or a Zarr folder",
    )


def _within_product(file: Path, folder: Path) -> bool:
    """Whether a file belongs to a SAFE folder at or below `folder`."""
    return any(part.upper().endswith(".SAFE") for part in (folder.name, *file.relative_to(folder).parts))
