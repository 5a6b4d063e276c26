"""What the map can show: a value and a colour for each field, with the legend that explains them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from agro.reports.i18n import Translator
from agro.schema.advice import AdviceRecord
from agro.schema.tables import ACTIONS
from app import palette
from app.words import index_name


@dataclass(frozen=True)
class Swatch:
    """One line of a legend."""

    color: str
    label: str
    count: int | None = None
    outline: bool = False


@dataclass(frozen=True)
class Ramp:
    """A continuous legend: colours from low to high and the words at its ends and middle."""

    colors: tuple[str, ...]
    ticks: tuple[str, ...]


@dataclass(frozen=True)
class Layer:
    """One way to colour the fields.

    Attributes
    ----------
    title : str
    colors : mapping of parcel uid to (red, green, blue)
        Fields without an entry have no value and take the colour of what is missing.
    shown : mapping of parcel uid to str
        The value in words.
    ramp : Ramp or None
        For continuous values.
    swatches : tuple of Swatch
        For classes, and for what is missing.
    note : str
        What the reader should know of the values.
    """

    title: str
    colors: Mapping[str, palette.RGB]
    shown: Mapping[str, str]
    swatches: tuple[Swatch, ...]
    ramp: Ramp | None = None
    note: str = ""


def advice_layer(
    records: Mapping[str, AdviceRecord], undecided: frozenset[str], uids: list[str], tr: Translator
) -> Layer:
    """Fields by what the advice says; `undecided` are those that await a person."""
    counts = {action: sum(records[u].action == action for u in uids if u in records) for action in ACTIONS}
    awaiting = sum(u in undecided for u in uids)
    swatches = [Swatch(palette.ACTIONS[a], tr.text(f"action.{a}"), counts[a]) for a in ACTIONS]
    if awaiting:
        swatches.append(Swatch(palette.ESCALATED, tr.text("app.map.awaiting"), awaiting, outline=True))
    return Layer(
        title=tr.text("app.layer.advice"),
        colors={u: palette.rgb(palette.ACTIONS[records[u].action]) for u in uids if u in records},
        shown={u: tr.text(f"action.{records[u].action}") for u in uids if u in records},
        swatches=(*swatches, *_missing(sum(u not in records for u in uids), tr)),
    )


def index_layer(values: pd.DataFrame, index: str, uids: list[str], tr: Translator) -> Layer:
    """Fields by a spectral index on one day (columns ``value``, ``flag``)."""
    known = values["value"].dropna()
    low, high = (0.0, 1.0) if index in ("ndvi", "evi2") else palette.limits(list(known), 0.1)
    flags = values["flag"].astype(str).to_dict()
    shown = {
        str(uid): tr.text("app.tip.index", value=float(value), flag=tr.text(f"app.flag.{flags[uid]}"))
        for uid, value in known.items()
    }
    return _continuous(
        known, (low, high), "viridis", index_name(index), shown, tuple(tr.number(v, 1) for v in (low, (low + high) / 2, high)),
        uids, tr,
    )  # fmt: skip


def depletion_layer(values: pd.DataFrame, uids: list[str], tr: Translator) -> Layer:
    """Fields by depletion in percent of TAW (columns ``depletion_frac``, ``dr_mm``, ``is_forecast``)."""
    known = 100 * values["depletion_frac"].dropna()
    depths = values["dr_mm"].astype(float).to_dict()
    shown = {
        str(uid): tr.text("app.tip.depletion", share_pct=float(value), dr_mm=depths[uid])
        for uid, value in known.items()
    }
    return _continuous(
        known, (0.0, 100.0), "drying", tr.text("app.layer.depletion"), shown,
        tuple(tr.quantity(v, "pct", 0) for v in (0, 50, 100)), uids, tr,
        note=tr.text("app.map.outlook_day") if bool(values["is_forecast"].any()) else tr.text("app.map.depletion_note"),
    )  # fmt: skip


def confidence_layer(records: Mapping[str, AdviceRecord], uids: list[str], tr: Translator) -> Layer:
    """Fields by the confidence of their advice."""
    known = pd.Series({u: 100 * records[u].confidence for u in uids if u in records}, dtype=float)
    shown = {
        str(uid): tr.text(
            "app.tip.confidence",
            share_pct=float(value),
            label=tr.text(f"confidence_label.{records[str(uid)].confidence_label}"),
        )
        for uid, value in known.items()
    }
    return _continuous(
        known, (0.0, 100.0), "viridis", tr.text("column.confidence"), shown,
        tuple(tr.quantity(v, "pct", 0) for v in (0, 50, 100)), uids, tr,
    )  # fmt: skip


def age_layer(values: pd.DataFrame, uids: list[str], tr: Translator) -> Layer:
    """Fields by the age of their last clear look on one day (column ``clear_age_d``)."""
    known = values["clear_age_d"].dropna().astype(float)
    high = max(palette.limits(list(known), 5.0)[1], 15.0)
    shown = {str(uid): tr.text("app.tip.age", days=int(value)) for uid, value in known.items()}
    return _continuous(
        known, (0.0, high), "cividis", tr.text("evidence.clear_age"), shown,
        (tr.quantity(0, "d"), tr.quantity(high / 2, "d"), tr.quantity(high, "d")), uids, tr,
    )  # fmt: skip


def _continuous(
    known: pd.Series,
    ends: tuple[float, float],
    scale: Literal["viridis", "drying", "cividis"],
    title: str,
    shown: Mapping[str, str],
    ticks: tuple[str, ...],
    uids: list[str],
    tr: Translator,
    note: str = "",
) -> Layer:
    wanted = set(uids)
    colors = {}
    for uid, value in known.items():
        color = palette.shade(float(value), *ends, scale)
        if color is not None and uid in wanted:
            colors[str(uid)] = color
    return Layer(
        title=title,
        colors=colors,
        shown=shown,
        swatches=_missing(len(wanted) - len(colors), tr),
        ramp=Ramp(palette.SCALES[scale], ticks),
        note=note,
    )


def _missing(count: int, tr: Translator) -> tuple[Swatch, ...]:
    return (Swatch(palette.MISSING, tr.text("app.map.no_value"), count),) if count else ()
