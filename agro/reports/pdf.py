"""A bulletin or sheet as PDF, set by typst with the fonts carried here: the same bytes each time, Arabic joined and right to left."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from agro.reports.figures import FONTS_DIR, Picture
from agro.schema.errors import AgroError

_TEMPLATES_DIR = Path(__file__).parent / "templates"


@lru_cache(maxsize=1)
def _fonts() -> Any:
    """Fonts read once; reading them takes longer than setting a sheet."""
    import typst

    return typst.Fonts(include_system_fonts=False, font_paths=[FONTS_DIR])


def render_pdf(view: Mapping[str, Any], pictures: Mapping[str, Picture], template: str = "bulletin") -> bytes:
    """Set the view of a bulletin or sheet on A4.

    Parameters
    ----------
    view : mapping
        From :func:`agro.reports.view.bulletin_view` or :mod:`agro.reports.sheet`. It reaches the template as JSON, so that no name is ever markup.
    pictures : mapping of str to Picture
    template : {"bulletin", "sheet"}

    Returns
    -------
    bytes
        The PDF; its date is the issue date.

    Raises
    ------
    AgroError
        The typesetter refuses the document.
    """
    import typst

    with tempfile.TemporaryDirectory(prefix="agro-pdf-") as name:
        folder = Path(name)
        shutil.copyfile(_TEMPLATES_DIR / f"{template}.typ", folder / "main.typ")
        (folder / "data.json").write_text(json.dumps(view, ensure_ascii=False), encoding="utf-8")
        for picture in pictures.values():
            (folder / f"{picture.name}.svg").write_bytes(picture.svg)
        try:
            return bytes(
                typst.compile(
                    folder / "main.typ", root=folder, font_paths=_fonts(), ignore_system_fonts=True, format="pdf"
                )
            )
        except (typst.TypstError, RuntimeError) as error:
            raise AgroError(
                f"the PDF cannot be set: {error}",
                where=f"{template} in {view['lang']}",
                do="Report this: it is a defect of the template",
            ) from error
