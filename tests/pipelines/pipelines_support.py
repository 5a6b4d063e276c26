"""Region folders for tests: like the sample, with the sample's data behind links."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import yaml

AS_OF = date(2022, 4, 11)


def link_region(source: Path, target: Path, **changes: object) -> Path:
    """A region folder like the sample, with the sample's data behind links and some keys changed."""
    target.mkdir(parents=True)
    for item in source.iterdir():
        if item.name != "region.yaml":
            (target / item.name).symlink_to(item)
    body = yaml.safe_load((source / "region.yaml").read_text(encoding="utf-8"))
    body.update(changes)
    (target / "region.yaml").write_text(yaml.safe_dump(body, allow_unicode=True), encoding="utf-8")
    return target


def own_copy(region: Path, name: str) -> Path:
    """Replace a link of a region by a copy that a test may change."""
    path = region / name
    original = path.resolve()
    path.unlink()
    if original.is_dir():
        shutil.copytree(original, path)
    else:
        shutil.copy(original, path)
    return path
