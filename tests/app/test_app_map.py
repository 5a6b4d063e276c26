from __future__ import annotations

import json
import math
import re
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from fake_workspace import HOSTILE, ISSUED
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from app import data, layers, markup, palette
from app.deck import FieldLook, build_deck, scale_bar, view_for
from app.words import translator


def luminance(color: tuple[int, int, int]) -> float:
    """Relative luminance of WCAG 2.1."""
    parts = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(palette.rgb(one)), luminance(palette.rgb(other))), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["viridis", "cividis"])
def test_scales_are_those_of_matplotlib(name: str) -> None:
    for share in np.linspace(0, 1, 101):
        truth = np.array(matplotlib.colormaps[name](share)[:3]) * 255
        error = np.abs(np.array(palette.shade(float(share), 0.0, 1.0, name)) - truth).max()
        assert error <= 11  # between the stops, where the map bends
    for i, stop in enumerate(palette.SCALES[name]):
        assert stop == matplotlib.colors.to_hex(matplotlib.colormaps[name](i / 16))


@pytest.mark.parametrize("name", list(palette.SCALES))
@given(st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True))
def test_lightness_never_turns_back(name: str, shares: list[float]) -> None:
    low, high = (palette.shade(share, 0.0, 1.0, name) for share in sorted(shares))
    assert low is not None
    assert high is not None
    rising = luminance(palette.rgb(palette.SCALES[name][-1])) > luminance(palette.rgb(palette.SCALES[name][0]))
    step = luminance(high) - luminance(low)
    assert (step if rising else -step) >= -0.006  # a step of one in 255


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_value_has_a_colour_or_none(value: float) -> None:
    color = palette.shade(value, -1.0, 2.0, "viridis")
    assert (color is None) == math.isnan(value)
    assert color is None or all(0 <= part <= 255 for part in color)


@given(st.lists(st.floats(-5, 5)), st.sampled_from([0.1, 0.5, 5.0]))
def test_limits_hold_every_value(values: list[float], step: float) -> None:
    low, high = palette.limits(values, step)
    assert low < high
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in values)


def test_words_on_actions_can_be_read_and_actions_told_apart_without_hue() -> None:
    for action, color in palette.ACTIONS.items():
        assert contrast(color, palette.ACTION_INK[action]) >= 4.5
    for loud in ("irrigate", "inspect"):
        assert contrast(palette.ACTIONS[loud], palette.ACTIONS["hold"]) >= 1.35
    assert contrast(palette.ACTIONS["irrigate"], palette.ACTIONS["inspect"]) >= 2


@given(
    st.floats(-179, 178), st.floats(-60, 60), st.floats(0.002, 0.8), st.floats(0.002, 0.8),
    st.integers(300, 1800), st.integers(300, 900),
)  # fmt: skip
def test_the_first_view_holds_all_fields(
    west: float, south: float, wide: float, high: float, width: int, height: int
) -> None:
    longitude, latitude, zoom = view_for((west, south, west + wide, south + high), width, height)
    scale = 512 * 2**zoom / 360
    assert west <= longitude <= west + wide
    assert wide * scale <= width
    stretch = 1 / math.cos(math.radians(min(abs(latitude), 80)))
    assert high * stretch * scale <= height * 1.02
    assert wide * scale > 0.5 * width or high * stretch * scale > 0.5 * height or zoom >= 17


@given(st.floats(-170, 170), st.floats(-60, 60), st.floats(0.004, 0.5))
def test_the_scale_bar_is_as_long_as_it_says(west: float, south: float, size: float) -> None:
    ends, length_m = scale_bar((west, south, west + size, south + size))
    (x0, y0), (x1, y1) = ends
    assert Geod(ellps="WGS84").inv(x0, y0, x1, y1)[2] == pytest.approx(length_m, rel=0.02)
    assert re.fullmatch(r"[125]0*", f"{length_m:.0f}")
    assert y0 < south


def looks_of(folder: Path) -> tuple[data.Parcels, dict[str, FieldLook]]:
    parcels = data.parcels(folder)
    rows = parcels.rows
    return parcels, {
        uid: FieldLook((1, 2, 3), uid == "p002", uid == "p001", str(row["name"]), ("a", "b", "c")) for uid, row in rows.items()
    }  # fmt: skip


def test_the_map_asks_for_nothing_and_names_stay_data(folder: Path) -> None:
    parcels, looks = looks_of(folder)
    deck = build_deck(parcels, looks, "p005", True, "500 m")
    spec = json.loads(deck.to_json())
    assert not re.findall(r"https?://|//[a-z]", deck.to_json())
    assert spec["mapStyle"].startswith("data:application/json,")
    fields = next(layer for layer in spec["layers"] if layer["id"].startswith("fields-"))["data"]
    assert len(fields) == len(parcels.outlines)
    hostile = next(f["properties"] for f in fields if f["properties"]["uid"] == "p003")
    assert hostile["title"] == HOSTILE
    assert HOSTILE not in deck._tooltip["html"]  # placeholders, which the browser fills with escaped text
    assert 'dir="rtl"' in deck._tooltip["html"]
    marked = next(layer for layer in spec["layers"] if layer["id"] == "outlines")["data"]
    assert len(marked) == 3  # one to be decided, and the chosen one twice: a dark line on a light one
    multi = next(f["geometry"]["type"] for f in fields if f["properties"]["uid"] == "p005")
    assert multi == "MultiPolygon"


def test_each_turn_names_the_layer_anew(folder: Path) -> None:
    parcels, looks = looks_of(folder)
    ids = {
        json.loads(build_deck(parcels, looks, None, False, "", turn).to_json())["layers"][0]["id"] for turn in (1, 2)
    }
    assert ids == {"fields-1", "fields-2"}


@pytest.mark.parametrize("language", ["fr", "ar", "en"])
def test_layers_count_every_field_once(folder: Path, language: str) -> None:
    tr = translator(language)
    records = data.advice(folder)
    uids = list(data.parcels(folder).rows)
    advice = layers.advice_layer(records, frozenset(["p003"]), uids, tr)
    assert sum(s.count or 0 for s in advice.swatches if not s.outline) == len(uids)
    assert [s.count for s in advice.swatches if s.outline] == [1]
    ndvi = layers.index_layer(data.index_on(folder, "ndvi", ISSUED), "ndvi", uids, tr)
    assert len(ndvi.colors) + sum(s.count or 0 for s in ndvi.swatches) == len(uids)
    assert "p008" not in ndvi.colors  # never seen
    depletion = layers.depletion_layer(data.depletion_on(folder, ISSUED), uids[:3], tr)
    assert set(depletion.colors) == set(uids[:3])
    age = layers.age_layer(data.index_on(folder, "ndvi", ISSUED), uids, tr)
    assert age.ramp is not None
    assert len(age.ramp.ticks) == 3
    confidence = layers.confidence_layer(records, uids, tr)
    assert confidence.swatches[0].count == 1  # the field without advice
    for layer in (advice, ndvi, depletion, age, confidence):
        assert str(markup.legend(layer)).count("<section") == 1


def test_a_layer_of_nothing_says_that_all_is_missing() -> None:
    none = pd.DataFrame({"value": [np.nan], "flag": ["extrapolated"]}, index=["p1"])
    layer = layers.index_layer(none, "ndmi", ["p1", "p2"], translator("en"))
    assert layer.colors == {}
    assert layer.swatches[0].count == 2


def test_markup_escapes_what_people_typed() -> None:
    for piece in (
        markup.heading(HOSTILE, HOSTILE, HOSTILE),
        markup.notice(HOSTILE, [HOSTILE], "plain"),
        markup.table([HOSTILE], [[HOSTILE]], HOSTILE),
        markup.weighted(HOSTILE, "#000000", "+", [(HOSTILE, 0.5, '"><img src=x>')], ""),
        markup.facts([(HOSTILE, HOSTILE, HOSTILE)]),
        markup.steps(HOSTILE, HOSTILE, [(HOSTILE, HOSTILE)]),
    ):
        assert "<script" not in piece
        assert "<img" not in piece
        assert "&lt;script" in piece
