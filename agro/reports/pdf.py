"""A bulletin as PDF, set by typst with the fonts carried here: the same bytes each time, Arabic joined and right to left."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agro.reports.figures import FONTS_DIR, Picture
from agro.schema.errors import AgroError

_TEMPLATE = Path(__file__).parent / "templates" / "bulletin.typ"


def render_pdf(view: Mapping[str, Any], pictures: Mapping[str, Picture]) -> bytes:
    """Set a bulletin's view on A4.

    Parameters
    ----------
    view : mapping
        From :func:`agro.reports.view.bulletin_view`. It reaches the template as JSON, so that no name is ever markup.
    pictures : mapping of str to Picture

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
        shutil.copyfile(_TEMPLATE, folder / "main.typ")
        (folder / "data.json").write_text(json.dumps(view, ensure_ascii=False), encoding="utf-8")
        for picture in pictures.values():
            (folder / f"{picture.name}.svg").write_bytes(picture.svg)
        try:
            return bytes(
                typst.compile(
                    folder / "main.typ", root=folder, font_paths=[FONTS_DIR], ignore_system_fonts=True, format="pdf"
                )
            )
        except (typst.TypstError, RuntimeError) as error:
            raise AgroError(
                f"the PDF cannot be set: {error}",
                where=f"bulletin in {view['lang']}",
                do="Report this: it is a defect of the template",
            ) from error
