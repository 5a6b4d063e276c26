"""Maps and plots of the bulletin: SVG, legible in grey print and to the colour-blind, the same bytes each time.

Text is drawn as outlines from the fonts carried here, so a picture looks the same wherever it is opened; matplotlib
shapes and joins Arabic itself.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from agro.reports.bulletin import STATES, Bulletin, Curve, ParcelLine
from agro.reports.i18n import MISSING, Shown, Translator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONTS_DIR = Path(__file__).parent / "fonts"
#: Fill, hatch and hatch colour of each state. Colours of Okabe & Ito (2008), https://jfly.uni-koeln.de/color/
STATE_STYLES: dict[str, tuple[str, str, str]] = {
    "irrigate": ("#0072B2", "", "#ffffff"),
    "awaiting": ("#CC79A7", "+++", "#4d1f3a"),
    "inspect": ("#E69F00", "xxx", "#6b4a00"),
    "abstain": ("#bbbbbb", "\\\\\\", "#666666"),
    "hold": ("#9fd9c4", "", "#009E73"),
    "rejected": ("#F0E442", "---", "#7a7300"),
    "missing": ("#ffffff", "///", "#aaaaaa"),
}
_DEPLETION = ("#fff4d6", "#fdd28a", "#f29e3f", "#c45f12", "#6b2a05")
_DEPLETION_LIMITS = (0, 20, 40, 60, 80, 100)
_NDVI = ("#fbf6e3", "#dcebb0", "#a5d283", "#54a862", "#1d6b43")
_NDVI_LIMITS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_INK, _MUTED = "#22282e", "#66707a"
_BLUE, _ORANGE, _GREEN, _PURPLE = "#0072B2", "#D55E00", "#009E73", "#8a3d72"
_FULL_IN, _HALF_IN = 7.09, 3.5  # 180 mm, and half of it less a gutter
_MOST_LABELS = 150


@dataclass(frozen=True)
class Picture:
    """An SVG with what it shows in words."""

    name: str
    title: str
    alt: str
    svg: bytes
    wide: bool


def draw_figures(bulletin: Bulletin, parcels: Any, tr: Translator) -> dict[str, Picture]:
    """Draw the bulletin's pictures in one language.

    Parameters
    ----------
    bulletin : Bulletin
    parcels : geopandas.GeoDataFrame
        ``parcel_uid`` and geometry, any CRS.
    tr : Translator

    Returns
    -------
    dict of str to Picture
        ``weather``, ``map_advice``, ``map_depletion``, ``map_ndvi``, ``curves``; one that has nothing to show is left out.
    """
    shapes = _in_metres(parcels)
    pictures = {"weather": _weather(bulletin, tr), "map_advice": _map_advice(bulletin, shapes, tr)}
    depletion = {line.parcel_uid: 100 * line.depletion_frac for line in bulletin.lines}
    ndvi = {line.parcel_uid: line.ndvi for line in bulletin.lines}
    pictures["map_depletion"] = _map_shades(
        "map_depletion", bulletin, shapes, tr, depletion, _DEPLETION, _DEPLETION_LIMITS,
        lambda low, high: tr.text("range.compact", low=low, high=tr.quantity(high, "pct")), _percent_range,
    )  # fmt: skip
    if np.isfinite(list(ndvi.values())).any():
        pictures["map_ndvi"] = _map_shades(
            "map_ndvi", bulletin, shapes, tr, ndvi, _NDVI, _NDVI_LIMITS,
            lambda low, high: tr.text("range.compact", low=tr.number(low, 1), high=tr.number(high, 1)), _index_range,
        )  # fmt: skip
    if bulletin.curves:
        pictures["curves"] = _curves(bulletin, tr)
    return pictures


def _in_metres(parcels: Any) -> dict[str, Any]:
    projected = parcels.to_crs(parcels.estimate_utm_crs())
    return dict(zip(projected["parcel_uid"], projected.geometry, strict=True))


def _percent_range(low: float, high: float) -> dict[str, float]:
    return {"low_pct": low, "high_pct": high}


def _index_range(low: float, high: float) -> dict[str, float]:
    return {"low": low, "high": high}


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib as mpl
    from matplotlib import font_manager

    known = {Path(entry.fname) for entry in font_manager.fontManager.ttflist}
    for path in sorted(FONTS_DIR.glob("*.ttf")):
        if path not in known:
            font_manager.fontManager.addfont(path)
    settings: dict[Any, Any] = {
        "font.family": ["Noto Sans", "Noto Sans Arabic"], "font.size": 8, "axes.unicode_minus": False, "text.parse_math": False,
        "svg.hashsalt": "agro", "svg.fonttype": "path", "path.simplify": True, "hatch.linewidth": 0.7,
        "axes.edgecolor": _MUTED, "axes.labelcolor": _INK, "text.color": _INK, "xtick.color": _MUTED, "ytick.color": _MUTED,
        "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
    }  # fmt: skip
    with mpl.rc_context(settings):
        yield


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasSVG(figure)
    return figure


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return buffer.getvalue()


def _set(tr: Translator, text: str) -> str:
    """Text for a picture; Arabic keeps its direction even where it starts with a Latin word."""
    return f"\u200f{text}" if tr.direction == "rtl" else text


def _footer(figure: Figure, bulletin: Bulletin, tr: Translator) -> None:
    text = tr.text("figure.footer", day=tr.date(bulletin.issued_on, "long"), source=tr.text("figure.source"))
    x, side = (0.99, "right") if tr.direction == "ltr" else (0.01, "left")
    figure.text(x, 0.01, _set(tr, text), ha=side, va="bottom", fontsize=6, color=_MUTED)
    if bulletin.simulated:
        x, side = (0.01, "left") if tr.direction == "ltr" else (0.99, "right")
        figure.text(
            x,
            0.01,
            _set(tr, tr.text("bulletin.simulated")),
            ha=side,
            va="bottom",
            fontsize=6,
            color="#b00020",
            fontweight="bold",
        )


# maps


def _map_axes(figure: Figure, shapes: dict[str, Any], tr: Translator, legend_share: float) -> Axes:
    """Axes of a map in metres with scale bar and north arrow."""
    bounds = np.array([shape.bounds for shape in shapes.values()])
    left, bottom = bounds[:, :2].min(axis=0)
    right, top = bounds[:, 2:].max(axis=0)
    margin = 0.04 * max(right - left, top - bottom, 50.0)
    axes = figure.add_axes((0.01, legend_share, 0.98, 0.99 - legend_share))
    # Room below for the scale bar; then the shorter side is widened so that a metre is as long both ways.
    left, right, bottom, top = left - margin, right + margin, bottom - 2.6 * margin, top + margin
    width, height = axes.get_position().size * figure.get_size_inches()
    wider = max(right - left, (top - bottom) * width / height)
    taller = wider * height / width
    axes.set_xlim((left + right - wider) / 2, (left + right + wider) / 2)
    axes.set_ylim((bottom + top - taller) / 2, (bottom + top + taller) / 2)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("#f4f2ec")
    for spine in axes.spines.values():
        spine.set_visible(False)
    x0, x1 = axes.get_xlim()
    y0, y1 = axes.get_ylim()
    length = _round_length((x1 - x0) / 5)
    start, height = x0 + 0.025 * (x1 - x0), y0 + 0.03 * (y1 - y0)
    axes.plot([start, start + length], [height, height], color=_INK, lw=2.5, solid_capstyle="butt", zorder=5)
    shown = tr.quantity(length / 1000, "km") if length >= 1000 else tr.quantity(length, "m")
    axes.annotate(
        _set(tr, shown),
        (start + length / 2, height),
        (0, 3),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=7,
        zorder=5,
    )
    # North is up within the convergence of the UTM zone, under 2 degrees in Morocco.
    axes.annotate(
        "",
        (0.965, 0.13),
        (0.965, 0.03),
        xycoords="axes fraction",
        arrowprops={"arrowstyle": "-|>", "color": _INK, "lw": 1.2},
    )
    axes.annotate(
        _set(tr, tr.text("figure.north")),
        (0.965, 0.135),
        xycoords="axes fraction",
        ha="center",
        va="bottom",
        fontsize=8,
        fontweight="bold",
    )
    return axes


def _round_length(length: float) -> float:
    power = 10.0 ** np.floor(np.log10(max(length, 1.0)))
    return float(max(step * power for step in (1, 2, 5) if step * power <= max(length, 1.0)))


def _patch(shape: Any, fill: str, hatch: str, hatch_color: str) -> Any:
    from shapely.plotting import patch_from_polygon

    return patch_from_polygon(
        shape, facecolor=fill, edgecolor="#3b4148", hatch=hatch or None, hatchcolor=hatch_color, linewidth=0.5
    )


def _legend_patch(fill: str, hatch: str, hatch_color: str, label: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(
        facecolor=fill, edgecolor="#3b4148", hatch=hatch or None, hatchcolor=hatch_color, linewidth=0.5, label=label
    )


def _legend(figure: Figure, handles: list[Any], tr: Translator, columns: int, y: float, size: float = 7.5) -> None:
    from matplotlib.patches import Patch

    if tr.direction == "rtl":
        # matplotlib fills columns from the left: give it the columns in reverse, each still read downwards.
        rows = -(-len(handles) // columns)
        padded = handles + [Patch(alpha=0, label=" ")] * (rows * columns - len(handles))
        handles = [
            handle for column in reversed(range(columns)) for handle in padded[column * rows : (column + 1) * rows]
        ]
    figure.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, y), ncols=columns, frameon=False, fontsize=size,
        markerfirst=tr.direction == "ltr", handlelength=1.8, handleheight=1.1, columnspacing=1.3, handletextpad=0.5,
    )  # fmt: skip


def _label_points(shapes: dict[str, Any], lines: Sequence[ParcelLine]) -> Iterator[tuple[str, float, float]]:
    for number, line in enumerate(lines, start=1):
        point = shapes[line.parcel_uid].representative_point()
        yield str(number), point.x, point.y


def _map_advice(bulletin: Bulletin, shapes: dict[str, Any], tr: Translator) -> Picture:
    counts = {state: len(bulletin.in_state(state)) for state in STATES}
    with _style():
        figure = _figure(_FULL_IN, 4.7)
        axes = _map_axes(figure, shapes, tr, 0.125)
        for line in bulletin.lines:
            axes.add_patch(_patch(shapes[line.parcel_uid], *STATE_STYLES[line.state]))
        if len(bulletin.lines) <= _MOST_LABELS:
            plate = {
                "boxstyle": "round,pad=0.12,rounding_size=0.3",
                "facecolor": "white",
                "edgecolor": "none",
                "alpha": 0.8,
            }
            size = 7.0 if len(bulletin.lines) <= 40 else 5.5
            for label, x, y in _label_points(shapes, bulletin.lines):
                axes.text(
                    x,
                    y,
                    tr.number(int(label)),
                    ha="center",
                    va="center",
                    fontsize=size,
                    fontweight="bold",
                    bbox=plate,
                    zorder=4,
                )
        handles = [
            _legend_patch(*STATE_STYLES[state], _set(tr, f"{tr.text(f'state.{state}')} ({tr.number(counts[state])})"))
            for state in STATES
            if counts[state]
        ]
        _legend(figure, handles, tr, min(len(handles), 4), 0.035)
        _footer(figure, bulletin, tr)
        svg = _svg(figure)
    summary = join(tr, [f"{tr.text(f'state.{s}')} {tr.number(n)}" for s, n in counts.items() if n])
    return Picture(
        "map_advice", tr.text("figure.map_advice"), tr.text("figure.alt_map_advice", summary=summary), svg, wide=True
    )


def _map_shades(
    name: str,
    bulletin: Bulletin,
    shapes: dict[str, Any],
    tr: Translator,
    values: dict[str, float],
    colors: Sequence[str],
    limits: Sequence[float],
    label: Callable[[float, float], str],
    extent: Callable[[float, float], dict[str, float]],
) -> Picture:
    unknown = ("#ffffff", "///", "#999999")
    with _style():
        figure = _figure(_HALF_IN, 3.7)
        axes = _map_axes(figure, shapes, tr, 0.2)
        for uid, shape in shapes.items():
            value = values.get(uid, np.nan)
            shade = unknown
            if np.isfinite(value):
                shade = (
                    colors[int(np.clip(np.searchsorted(limits, value, side="right") - 1, 0, len(colors) - 1))],
                    "",
                    _INK,
                )
            axes.add_patch(_patch(shape, *shade))
        steps = zip(colors, limits[:-1], limits[1:], strict=True)
        handles = [_legend_patch(color, "", _INK, _set(tr, label(low, high))) for color, low, high in steps]
        if not np.isfinite([values.get(uid, np.nan) for uid in shapes]).all():
            handles.append(_legend_patch(*unknown, _set(tr, tr.text("figure.unknown"))))
        _legend(figure, handles, tr, 3, 0.045, size=6.5)
        _footer(figure, bulletin, tr)
        svg = _svg(figure)
    known = [v for v in values.values() if np.isfinite(v)]
    ends = extent(min(known), max(known)) if known else extent(float("nan"), float("nan"))
    shown = {k: v if k.endswith("_pct") else tr.number(v, 2) for k, v in ends.items()}
    return Picture(name, tr.text(f"figure.{name}"), tr.text(f"figure.alt_{name}", **shown), svg, wide=False)


# plots


def _weather(bulletin: Bulletin, tr: Translator) -> Picture:
    week = bulletin.weather
    days = [*week.past, *week.ahead]
    with _style():
        figure = _figure(_FULL_IN, 2.5)
        axes = figure.add_axes((0.055, 0.21, 0.935, 0.66))
        x = np.arange(len(days))
        rain, et0 = np.array([d.rain_mm for d in days]), np.array([d.et0_mm for d in days])
        ahead = x >= len(week.past)
        alpha = [0.55 if a else 1.0 for a in ahead]
        bars = axes.bar(x - 0.2, rain, 0.38, color=_BLUE, label=_set(tr, tr.text("figure.rain")))
        more = axes.bar(
            x + 0.2, et0, 0.38, color="#f0b27a", hatch="///", hatchcolor=_ORANGE, label=_set(tr, tr.text("figure.et0"))
        )
        for pair in zip(bars, more, alpha, strict=True):
            pair[0].set_alpha(pair[2])
            pair[1].set_alpha(pair[2])
        handles: list[Any] = [bars, more]
        for shift, low, high, color in (
            (-0.2, [d.rain_low_mm for d in days], [d.rain_high_mm for d in days], "#003f63"),
            (0.2, [d.et0_low_mm for d in days], [d.et0_high_mm for d in days], "#7a3500"),
        ):
            drawn = np.isfinite(low) & np.isfinite(high)
            if drawn.any():
                lines = axes.vlines(x[drawn] + shift, np.array(low)[drawn], np.array(high)[drawn], color=color, lw=1.6)
                if len(handles) == 2:
                    lines.set_label(_set(tr, members_range(tr)))
                    handles.append(lines)
        axes.set_xticks(x, [_set(tr, tr.date(d.day, "short")) for d in days], fontsize=6.5)
        axes.tick_params(axis="x", length=0)
        _number_ticks(axes, tr, None)
        axes.set_xlim(-0.6, len(days) - 0.4)
        axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))
        axes.set_axisbelow(True)
        axes.grid(axis="y", color="#dde1e4", lw=0.5)
        if week.ahead:
            edge = len(week.past) - 0.5
            axes.axvline(edge, color=_MUTED, lw=0.8, ls=(0, (3, 2)))
            top = axes.get_ylim()[1]
            axes.annotate(
                _set(tr, tr.text("figure.observed_days")),
                (edge, top),
                (-5, 2),
                textcoords="offset points",
                ha="right",
                fontsize=7,
                color=_MUTED,
            )
            axes.annotate(
                _set(tr, tr.text("figure.ahead_days")),
                (edge, top),
                (5, 2),
                textcoords="offset points",
                ha="left",
                fontsize=7,
                color=_MUTED,
            )
        axes.legend(
            handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, frameon=False, fontsize=7, borderaxespad=0.1,
            markerfirst=tr.direction == "ltr",
        )  # fmt: skip
        _footer(figure, bulletin, tr)
        svg = _svg(figure)
    return Picture("weather", tr.text("figure.weather"), tr.text("figure.alt_weather"), svg, wide=True)


def _number_ticks(axes: Axes, tr: Translator, decimals: int | None) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tr.number(value, decimals)))
    axes.tick_params(axis="y", labelsize=7)


def _curves(bulletin: Bulletin, tr: Translator) -> Picture:
    from matplotlib.lines import Line2D

    curves = bulletin.curves
    rows = (len(curves) + 1) // 2
    height = 1.85 * rows + 0.55
    with _style():
        figure = _figure(_FULL_IN, height)
        for position, curve in enumerate(curves):
            column, row = position % 2, position // 2
            if tr.direction == "rtl":
                column = 1 - column
            bottom = 0.55 / height + (rows - 1 - row) * 1.85 / height
            axes = figure.add_axes((0.05 + 0.5 * column, bottom + 0.22 / height, 0.435, 1.25 / height))
            _draw_curve(axes, curve, bulletin, tr)
        handles = [
            Line2D([], [], color=_GREEN, lw=1.8, label=_set(tr, tr.text("figure.this_season"))),
            Line2D([], [], color=_INK, lw=0, marker="o", ms=3, label=_set(tr, tr.text("figure.observed"))),
            Line2D([], [], color=_PURPLE, lw=1.2, ls=(0, (4, 2)), label=_set(tr, tr.text("figure.last_season"))),
            Line2D([], [], color=_MUTED, lw=1.2, ls=(0, (1, 1.5)), label=_set(tr, tr.text("figure.neighbours"))),
        ]
        _legend(figure, handles, tr, 4, 0.13 / height, size=7)
        _footer(figure, bulletin, tr)
        svg = _svg(figure)
    names = join(tr, [tr.name(curve.name, 40) for curve in curves])
    return Picture("curves", tr.text("figure.curves"), tr.text("figure.alt_curves", names=names), svg, wide=True)


def _draw_curve(axes: Axes, curve: Curve, bulletin: Bulletin, tr: Translator) -> None:
    from matplotlib.dates import date2num

    if curve.neighbours is not None:
        axes.plot(curve.neighbours["date"], curve.neighbours["value"], color=_MUTED, lw=1.2, ls=(0, (1, 1.5)))
    if curve.last_season is not None:
        axes.plot(curve.last_season["date"], curve.last_season["value"], color=_PURPLE, lw=1.2, ls=(0, (4, 2)))
    axes.plot(curve.current["date"], curve.current["value"], color=_GREEN, lw=1.8)
    seen = curve.current[curve.current["flag"] == "observed"]
    axes.plot(seen["date"], seen["value"], "o", color=_INK, ms=2.2, mew=0)
    axes.set_ylim(0, 1)
    dates = pd.to_datetime(curve.current["date"])
    months = pd.date_range(dates.min(), dates.max(), freq="MS")
    months = months[:: max(1, -(-len(months) // 6))]
    axes.set_xticks(date2num(months), [_set(tr, tr.date(month, "month")) for month in months], fontsize=6.5)
    _number_ticks(axes, tr, 1)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#dde1e4", lw=0.5)
    crop = tr.word("crop", curve.crop, bulletin.crop_names)
    side = "left" if tr.direction == "ltr" else "right"
    axes.set_title(_set(tr, f"{tr.name(curve.name, 30)} · {crop}"), loc=side, fontsize=8, fontweight="bold", pad=4)  # type: ignore[arg-type]
    absent = [tr.text("figure.no_last_season")] if curve.last_season is None else []
    absent += [tr.text("figure.few_neighbours")] if curve.neighbours is None else []
    if absent:
        axes.text(
            0.015,
            0.97,
            _set(tr, "\n".join(absent)),
            transform=axes.transAxes,
            ha="left",
            va="top",
            fontsize=5.8,
            color=_MUTED,
        )


def join(tr: Translator, parts: Sequence[str]) -> Shown:
    """Parts as a list in the language's punctuation; a dash when there are none."""
    separator = "، " if tr.language == "ar" else ", "
    return Shown(separator.join(parts) if parts else MISSING)


def members_range(tr: Translator) -> Shown:
    """Say which percentiles of the members the spread of the outlook goes between."""
    return tr.text("range.compact", low=10, high=tr.quantity(90, "pct"))
