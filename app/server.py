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
    "app.views.map_page",
    "app.views.field",
)


def main() -> None:
    """Run ``streamlit run app/main.py`` with this process's arguments."""
    from streamlit.web import cli

    for name in _HEAVY:
        importlib.import_module(name)
    sys.argv = ["streamlit", "run", str(Path(__file__).with_name("main.py")), *sys.argv[1:]]
    cli.main()


if __name__ == "__main__":
    main()
