"""A bulletin or sheet as one HTML file: opens offline, prints on A4, reads on a phone and by ear."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from agro.reports.figures import Picture

TEMPLATES_DIR = Path(__file__).parent / "templates"


@lru_cache(maxsize=4)
def _template(name: str) -> Template:
    # Escaping is on whatever the file's ending; an unknown name in the template is an error.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES_DIR), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(name)


def render_html(view: Mapping[str, Any], pictures: Mapping[str, Picture], template: str = "bulletin") -> str:
    """Render the view of a bulletin or sheet as a self-contained page.

    Parameters
    ----------
    view : mapping
        From :func:`agro.reports.view.bulletin_view` or :mod:`agro.reports.sheet`.
    pictures : mapping of str to Picture
        Inlined as SVG data URIs; as images they can run no script.
    template : {"bulletin", "sheet"}

    Returns
    -------
    str
        HTML with no link to anything outside it.
    """
    images = {
        name: f"data:image/svg+xml;base64,{base64.b64encode(p.svg).decode('ascii')}" for name, p in pictures.items()
    }
    return _template(f"{template}.html.j2").render(**view, images=images)
