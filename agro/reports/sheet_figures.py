"""The two small plots of a parcel's sheet, written as SVG directly: thousands are drawn in a run.

A plot of matplotlib takes some 50 ms, these a millisecond. Nothing that a person typed reaches them: all text is tick
labels made by the translator. Lines differ in width and dash, not in colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd

from agro.reports.figures import Picture
from agro.reports.i18n import Translator

_WIDTH, _HEIGHT = 400.0, 170.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 6.0, 8.0, 22.0
_INK, _MUTED, _RULE = "#22282e", "#5b656e", "#d5dade"
#: Colour, width and dash of each line or bar; the templates draw the same swatches.
STROKES: dict[str, tuple[str, float, str]] = {
    "ndvi": ("#009E73", 2.2, ""),
    "last_season": ("#8a3d72", 1.4, "2 3"),
    "neighbours": ("#66707a", 1.6, "7 3"),
    "depletion": ("#6b2a05", 2.2, ""),
    "threshold": ("#b00020", 1.4, "6 3"),
    "rain": ("#56B4E9", 5.0, ""),
    "irrigation": ("#0b4f6c", 5.0, ""),
}


@dataclass(frozen=True)
class ParcelHistory:
    """What a parcel's sheet plots. Dates ascending; NaN is not known.

    Attributes
    ----------
    ndvi, last_season, neighbours : pandas.Series or None
        NDVI by date: this season, the one before moved onto this one's dates, and the median of the same crop's others.
    water : pandas.DataFrame
        ``date, dr_mm, raw_mm, rain_mm, irrigation_mm`` of the last days.
    """

    ndvi: pd.Series | None
    last_season: pd.Series | None
    neighbours: pd.Series | None
    water: pd.DataFrame


class _Plot:
    """An SVG with a time axis below and one value axis at the left."""

    def __init__(self, start: pd.Timestamp, end: pd.Timestamp, low: float, high: float) -> None:
        self.start, self.days = start, max((end - start).days, 1)
        self.low, self.high = low, max(high, low + 1e-9)
        self.parts: list[str] = []

    def x(self, day: pd.Timestamp) -> float:
        return _LEFT + (day - self.start).days / self.days * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return _TOP + (self.high - inside) / (self.high - self.low) * (_HEIGHT - _TOP - _BOTTOM)

    def line(self, values: pd.Series, kind: str) -> None:
        color, width, dash = STROKES[kind]
        points: list[str] = []
        runs: list[list[str]] = []
        for day, value in values.items():
            if np.isnan(value):
                points = []
                continue
            if not points:
                runs.append(points)
            points.append(f"{self.x(pd.Timestamp(str(day))):.1f},{self.y(float(value)):.1f}")
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts += [
            f'<polyline points="{" ".join(run)}" fill="none" stroke="{color}" stroke-width="{width}"{dashed}/>'
            for run in runs
        ]

    def bars(self, values: pd.Series, kind: str, shift: float) -> None:
        color, width, _ = STROKES[kind]
        base = self.y(self.low)
        for day, value in values.items():
            if value > 0:
                x, y = self.x(pd.Timestamp(str(day))) + shift, self.y(float(value))
                self.parts.append(f'<rect x="{x - width / 2:.1f}" y="{y:.1f}" width="{width}" height="{base - y:.1f}" fill="{color}"/>')  # fmt: skip

    def levels(self, levels: Sequence[float], labels: Sequence[str]) -> None:
        for value, label in zip(levels, labels, strict=True):
            y = self.y(value)
            self.parts.insert(0, f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_RULE}" stroke-width="0.8"/>')  # fmt: skip
            self.parts.append(_label(_LEFT - 4, y + 3.6, label, "end"))

    def times(self, days: Sequence[pd.Timestamp], labels: Sequence[str], rtl: bool) -> None:
        # A mark of direction first, or "14 March" would be set backwards in Arabic.
        for day, label in zip(days, [f"\u200f{text}" if rtl else text for text in labels], strict=True):
            x = self.x(day)
            self.parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_HEIGHT - _BOTTOM}" y2="{_HEIGHT - _BOTTOM + 4}" stroke="{_MUTED}"/>')  # fmt: skip
            self.parts.append(_label(min(max(x, _LEFT + 12), _WIDTH - 22), _HEIGHT - 6, label, "middle"))

    def svg(self) -> bytes:
        base = _HEIGHT - _BOTTOM
        body = "".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" '
            f'font-family="Noto Sans, Noto Sans Arabic, sans-serif" font-size="10">{body}'
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}" stroke="{_INK}"/></svg>'
        ).encode()


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_MUTED}">{escape(text)}</text>'


def draw_sheet_figures(history: ParcelHistory, issued_on: date, tr: Translator) -> dict[str, Picture]:
    """Draw a parcel's soil water and NDVI; a plot without values is left out.

    Parameters
    ----------
    history : ParcelHistory
    issued_on : datetime.date
        Right end of both time axes.
    tr : Translator

    Returns
    -------
    dict of str to Picture
        ``water`` (mm; depletion grows downwards as the soil dries) and ``ndvi`` (0 to 1).
    """
    pictures = {}
    end = pd.Timestamp(issued_on)
    if history.water["dr_mm"].notna().any():
        pictures["water"] = Picture(
            "water", tr.text("sheet.figure_water"), tr.text("sheet.alt_water"), _water(history.water, end, tr), False
        )
    if history.ndvi is not None and len(history.ndvi) > 1:
        pictures["ndvi"] = Picture(
            "ndvi", tr.text("sheet.figure_ndvi"), tr.text("sheet.alt_ndvi"), _ndvi(history, end, tr), False
        )
    return pictures


def legend(history: ParcelHistory, picture: str, tr: Translator) -> list[dict[str, str | float]]:
    """Say what each line or bar of a picture is: ``label``, ``color``, ``width`` and ``dash``."""
    if picture == "water":
        kinds = ["depletion", "threshold"]
        kinds += [kind for kind in ("rain", "irrigation") if (history.water[f"{kind}_mm"] > 0).any()]
    else:
        kinds = ["ndvi"]
        kinds += ["last_season"] if history.last_season is not None else []
        kinds += ["neighbours"] if history.neighbours is not None else []
    return [
        {"label": tr.text(f"sheet.legend.{kind}"), "color": STROKES[kind][0], "width": STROKES[kind][1], "dash": STROKES[kind][2]}
        for kind in kinds
    ]  # fmt: skip


def _water(table: pd.DataFrame, end: pd.Timestamp, tr: Translator) -> bytes:
    by_day = table.set_index("date")
    highest = float(np.nanmax(by_day[["dr_mm", "raw_mm", "rain_mm", "irrigation_mm"]].to_numpy()))
    step = next(s for s in (5, 10, 20, 40, 80, 160, 320, 1e9) if highest / s <= 5)
    start = by_day.index.min()
    plot = _Plot(start, end, 0.0, step * np.ceil(highest / step + 1e-9))
    levels = list(np.arange(0.0, plot.high + 0.5 * step, step))
    plot.levels(levels, [tr.number(level) for level in levels])
    plot.bars(by_day["rain_mm"], "rain", -2.6)
    plot.bars(by_day["irrigation_mm"], "irrigation", 2.6)
    plot.line(by_day["raw_mm"], "threshold")
    plot.line(by_day["dr_mm"], "depletion")
    days = list(pd.date_range(end, start, freq="-7D"))[::-1]
    plot.times(days, [tr.date(day, "short") for day in days], tr.direction == "rtl")
    return plot.svg()


def _ndvi(history: ParcelHistory, end: pd.Timestamp, tr: Translator) -> bytes:
    assert history.ndvi is not None
    start = pd.Timestamp(history.ndvi.index.min())
    plot = _Plot(start, end, 0.0, 1.0)
    levels = [0.0, 0.25, 0.5, 0.75, 1.0]
    plot.levels(levels, [tr.number(level, 2) for level in levels])
    for values, kind in ((history.last_season, "last_season"), (history.neighbours, "neighbours"), (history.ndvi, "ndvi")):  # fmt: skip
        if values is not None:
            plot.line(values.iloc[:: max(1, len(values) // 100)], kind)
    months = list(pd.date_range(start, end, freq="MS"))
    shown = months[:: max(1, len(months) // 6)]
    plot.times(shown, [tr.date(day, "month") for day in shown], tr.direction == "rtl")
    return plot.svg()


def parcel_histories(
    water: pd.DataFrame, series: pd.DataFrame | None, crops: dict[str, str], issued_on: date, days: int = 30, fewest: int = 5
) -> dict[str, ParcelHistory]:  # fmt: skip
    """Cut each parcel's history out of a run's tables.

    Parameters
    ----------
    water : pandas.DataFrame
        Table ``water``; only the past (member -1) is read.
    series : pandas.DataFrame or None
        Table ``series``; only NDVI is read.
    crops : dict of str to str
        Crop by parcel uid: the parcels to cut out.
    issued_on : datetime.date
    days : int
        Length of the water history.
    fewest : int
        Least number of other parcels of the crop for a median.
    """
    end = pd.Timestamp(issued_on)
    past = water[(water["member"] == -1) & ~water["is_forecast"]]
    past = past[(past["date"] <= end) & (past["date"] > end - pd.Timedelta(days=days))].sort_values("date")
    by_water = {str(uid): rows for uid, rows in past.groupby("parcel_uid")}
    current, before = _ndvi_tables(series, end)
    medians = dict(_medians(current, crops, fewest))
    nothing = past.iloc[:0]
    return {
        uid: ParcelHistory(
            _column(current, uid), _column(before, uid), medians.get(uid), by_water.get(uid, nothing)[["date", "dr_mm", "raw_mm", "rain_mm", "irrigation_mm"]]
        )
        for uid in crops
    }  # fmt: skip


def _ndvi_tables(series: pd.DataFrame | None, end: pd.Timestamp) -> tuple[pd.DataFrame, pd.DataFrame]:
    """NDVI of date x parcel: the 300 days to `end`, and the same days a year before."""
    if series is None:
        return pd.DataFrame(), pd.DataFrame()
    ndvi = series[(series["index"] == "ndvi") & (series["date"] <= end) & series["value"].notna()]
    table = ndvi.pivot(index="date", columns="parcel_uid", values="value").sort_index()
    current = table[table.index >= end - pd.Timedelta(days=300)]
    moved = table.set_axis(table.index + pd.DateOffset(years=1), axis=0)
    moved = moved[~moved.index.duplicated()]  # 29 February falls on the 28th
    start = current.index.min() if len(current) else end
    return current, moved[(moved.index >= start) & (moved.index <= end)]


def _column(table: pd.DataFrame, uid: str) -> pd.Series | None:
    if uid not in table:
        return None
    values = table[uid].dropna()
    return values if len(values) > 1 else None


def _medians(table: pd.DataFrame, crops: dict[str, str], fewest: int) -> list[tuple[str, pd.Series]]:
    found = []
    by_crop: dict[str, list[str]] = {}
    for uid, crop in crops.items():
        if uid in table:
            by_crop.setdefault(crop, []).append(uid)
    for uids in by_crop.values():
        if len(uids) - 1 < fewest:
            continue
        values = table[uids].to_numpy()
        for i, uid in enumerate(uids):
            others = pd.DataFrame(np.delete(values, i, axis=1), index=table.index).median(axis=1).dropna()
            found.append((uid, others))
    return found
