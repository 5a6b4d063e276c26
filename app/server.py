"""The server's process: load what every page needs first, so that the first page does not wait for it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

# What the pages import when they are first drawn.
_HEAVY = (
    "pandas",
    "pyarrow.parquet",
    "shapely",
    "pydeck",
    "altair",
    "agro.store.workspace",
    "app.charts",
    "app.data",
    "app.deck",
    "app.layers",
)


def warm(workspace: Path) -> None:
    """Read one run, so that what the readers load on their first call is there before the first page."""
    from agro.schema.errors import AgroError
    from agro.store.workspace import Workspace
    from app import data

    try:
        for region in data.regions(workspace):
            for day in region.issue_dates[-1:]:
                folder = Workspace(workspace).region(region.region_id).run(day).path
                data.parcels(folder)
                data.index_keys(folder)
                return
    except AgroError:
        return  # the page says what is wrong, and where


def main() -> None:
    """Run ``streamlit run app/main.py`` with this process's arguments."""
    from streamlit.web import cli

    for name in _HEAVY:
        importlib.import_module(name)
    from app.context import options

    warm(options(sys.argv[1:]).workspace)
    sys.argv = ["streamlit", "run", str(Path(__file__).with_name("main.py")), *sys.argv[1:]]
    cli.main()


if __name__ == "__main__":
    main()
