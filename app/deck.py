"""The map as a deck.gl description that needs nothing from the network."""

from __future__ import annotations

import json
import math
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import shapely

from app import palette
from app.data import Parcels

_PAPER = "#FAF8F3"
_FADED = (0xEF, 0xEC, 0xE5)
_EARTH_M = 40_075_016.686  # equator, metres


@dataclass(frozen=True)
class FieldLook:
    """How one field is drawn and what its tip says."""

    color: palette.RGB | None
    outlined: bool
    faded: bool
    title: str
    lines: tuple[str, str, str]


def offline_style() -> str:
    """Give a style for MapLibre that holds a background and asks for nothing."""
    style = {
        "version": 8,
        "sources": {},
        "layers": [{"id": "paper", "type": "background", "paint": {"background-color": _PAPER}}],
    }
    return "data:application/json," + urllib.parse.quote(json.dumps(style, separators=(",", ":")))


def view_for(bounds: tuple[float, float, float, float], width_px: int, height_px: int) -> tuple[float, float, float]:
    """Longitude, latitude and zoom at which `bounds` fill the map with a margin.

    Parameters
    ----------
    bounds : tuple of float
        West, south, east and north, degrees.
    width_px, height_px : int
        Least size of the map.
    """
    west, south, east, north = bounds
    latitude = (south + north) / 2
    squeeze = math.cos(math.radians(latitude))
    # Web Mercator of deck.gl: 512 px hold the whole equator at zoom 0.
    wide = max(east - west, 1e-4) / 360
    high = max(north - south, 1e-4) / squeeze / 360
    zoom = math.log2(min(0.9 * width_px / wide, 0.9 * height_px / high) / 512)
    return (west + east) / 2, latitude, round(min(max(zoom, 3.0), 17.0), 2)


def scale_bar(bounds: tuple[float, float, float, float]) -> tuple[list[list[float]], float]:
    """Lay a line on the ground below the south-western corner, of a round length of about a fifth of the width.

    Returns
    -------
    list of [longitude, latitude], float
        The line's two ends and its length in metres.
    """
    west, south, east, north = bounds
    metre = 360 / (_EARTH_M * math.cos(math.radians((south + north) / 2)))
    width_m = max((east - west) / metre, 50.0)
    power = 10 ** math.floor(math.log10(width_m / 5))
    length_m = max(step * power for step in (1, 2, 5) if step * power <= width_m / 5)
    below = south - 0.045 * max(north - south, 1e-3)
    return [[west, below], [west + length_m * metre, below]], float(length_m)


def build_deck(
    parcels: Parcels,
    looks: Mapping[str, FieldLook],
    selected: str | None,
    right_to_left: bool,
    scale_label: str,
    turn: int = 0,
    size_px: tuple[int, int] = (760, 440),
) -> Any:
    """Draw the fields.

    Parameters
    ----------
    parcels : Parcels
    looks : mapping of parcel uid to FieldLook
    selected : str or None
        Field drawn with a heavy outline.
    right_to_left : bool
        Direction of the tip's words.
    scale_label : str
        Words beside the scale bar.
    turn : int
        Part of the layer's name. Streamlit fades all that is not selected for as long as the layer touched keeps its
        name; a person who has chosen a field still wants to read the others, so each choice takes a new turn.
    size_px : tuple of int
        Least width and height of the map, to choose the first view.

    Returns
    -------
    pydeck.Deck
    """
    import pydeck

    fields: list[dict[str, Any]] = []
    marked: list[dict[str, Any]] = []
    for uid, outline in zip(parcels.table["parcel_uid"], parcels.outlines, strict=True):
        look = looks[uid]
        shape = json.loads(shapely.to_geojson(shapely.set_precision(outline, 1e-7, mode="pointwise")))
        color = _FADED if look.faded else look.color or palette.rgb(palette.MISSING)
        words = {"uid": uid, "title": look.title, **{f"line{i}": line for i, line in enumerate(look.lines)}}
        fields.append({"type": "Feature", "geometry": shape, "properties": {"fill": [*color, 255], **words}})
        if uid == selected:
            marked += [
                {"type": "Feature", "geometry": shape, "properties": {"line": [255, 255, 255, 255], "width": 7}},
                {"type": "Feature", "geometry": shape, "properties": {"line": [0, 0, 0, 255], "width": 3.5}},
            ]
        elif look.outlined and not look.faded:
            line = [*palette.rgb(palette.ESCALATED), 255]
            marked.insert(0, {"type": "Feature", "geometry": shape, "properties": {"line": line, "width": 3}})
    bar, _ = scale_bar(parcels.bounds)
    west, _, east, north = parcels.bounds
    longitude, latitude, zoom = view_for((west, bar[0][1], east, north), *size_px)
    layers = [
        pydeck.Layer(
            "GeoJsonLayer", fields, id=f"fields-{turn}", pickable=True, filled=True, stroked=True,
            get_fill_color="properties.fill", get_line_color=[70, 76, 82, 200], get_line_width=1,
            line_width_units="'pixels'", line_width_min_pixels=0.8, auto_highlight=True,
            highlight_color=[255, 255, 255, 70],
        ),
        pydeck.Layer(
            "GeoJsonLayer", marked, id="outlines", pickable=False, filled=False, stroked=True,
            get_line_color="properties.line", get_line_width="properties.width", line_width_units="'pixels'",
            line_joint_rounded=True,
        ),
        pydeck.Layer(
            "PathLayer", [{"path": bar}], id="scale", pickable=False, get_path="path", get_color=[60, 66, 72, 255],
            get_width=2.5, width_units="'pixels'",
        ),
        pydeck.Layer(
            "TextLayer", [{"at": bar[1], "text": scale_label}], id="scale-words", pickable=False, get_position="at",
            get_text="text", get_size=13, get_color=[60, 66, 72, 255], get_text_anchor="'start'",
            get_pixel_offset=[8, 0],
        ),
    ]  # fmt: skip
    direction = "rtl" if right_to_left else "ltr"
    return pydeck.Deck(
        layers=layers,
        initial_view_state=pydeck.ViewState(longitude=longitude, latitude=latitude, zoom=zoom, min_zoom=3, max_zoom=19),
        views=[pydeck.View("MapView", controller={"dragRotate": False, "touchRotate": False, "keyboard": True})],
        map_style=offline_style(),
        map_provider="mapbox",
        tooltip={
            "html": f'<div dir="{direction}"><b>{{title}}</b><br>{{line0}}<br>{{line1}}<br>{{line2}}</div>',
            "style": {
                "backgroundColor": "#22282E", "color": "#FFFFFF", "fontSize": "13px", "lineHeight": "1.45",
                "borderRadius": "6px", "padding": "8px 10px", "maxWidth": "280px", "zIndex": "10",
            },
        },
    )  # fmt: skip
