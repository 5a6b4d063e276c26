"""The text files of pyfao56 (parameters, weather, irrigation) as the tables of a balance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from agro.schema.errors import ConfigError, ContractError, NoDataError
from pipelines.balance_tables import check_irrigation, check_parameters, outside_the_period


def read_pyfao56_folder(folder: Path) -> dict[str, Any]:
    """One ``.par``, one ``.wth``, one or more ``.irr`` files, each a plot of its name, and at most one ``.upd``.

    The update file holds observed Kcb, height and cover; it stands for all plots.

    The balance starts on the first day on which any irrigation file or, if earlier than all, any ``.out`` file
    beside it starts.

    Returns
    -------
    dict
        Fields of ``pipelines.balance.Tables``.

    Raises
    ------
    ConfigError, ContractError
        A file is absent, or a line cannot be read; it is named.
    """
    par, wth = _only(folder, ".par"), _only(folder, ".wth")
    irrigation = sorted(folder.glob("*.irr"))
    if not irrigation:
        raise ConfigError("no .irr file", where=str(folder), do="Add the irrigation of each plot")
    values = _parameters(par)
    weather, height, reference = _weather(wth)
    events = pd.concat([_irrigation(path) for path in irrigation], ignore_index=True)
    check_irrigation(events, weather.index, str(folder))
    kcb = None
    if any(folder.glob("*.upd")):
        kcb = _updates(_only(folder, ".upd"))
    layer = pd.DataFrame(
        {"top_m": [0.0], "bottom_m": [10.0], "fc_m3_m3": [values["thetaFC"]], "wp_m3_m3": [values["thetaWP"]]}
    )
    start, end = _period(folder, events)
    warnings = list(outside_the_period(events, start, end))
    if kcb is not None and not kcb["date"].between(start, end).all():
        count = int((~kcb["date"].between(start, end)).sum())
        warnings.append(
            f"{count} observed Kcb lie outside the balance ({start:%Y-%m-%d} .. {end:%Y-%m-%d}) and are not used"
        )
    gap = pd.date_range(start, end).difference(pd.DatetimeIndex(weather.index[weather.notna().all(axis=1)]))
    if len(gap):
        raise NoDataError(
            f"no whole weather on {gap[0]:%Y-%m-%d}", where=str(wth), do="Complete Rain, ETref, Wndsp and RHmin"
        )
    return {
        "weather": weather, "wind_height_m": height, "reference": reference, "parameters": values,
        "soil": {path.stem: layer for path in irrigation}, "irrigation": events, "start": start, "end": end, "layered": False, "kcb": kcb,
        "warnings": tuple(warnings),
    }  # fmt: skip


def _only(folder: Path, suffix: str) -> Path:
    found = sorted(folder.glob(f"*{suffix}"))
    if len(found) != 1:
        raise ConfigError(
            f"{len(found)} files end in {suffix}, one is needed", where=str(folder), do="Keep one crop in a folder"
        )
    return found[0]


def _lines(path: Path) -> list[str]:
    return [
        line
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip() and not line.startswith("*")
    ]


def _parameters(path: Path) -> dict[str, float]:
    out = {}
    for line in _lines(path):
        parts = line.split(",")[0].split()
        if len(parts) >= 2:
            try:
                out[parts[1]] = float(parts[0])
            except ValueError:
                continue
    return check_parameters(out, str(path))


def _weather(path: Path) -> tuple[pd.DataFrame, float, str]:
    height, reference, rows, header = 2.0, "short", [], None
    for line in _lines(path):
        parts = line.split()
        if "Reference crop" in line:
            reference = "tall" if parts[0] == "T" else "short"
        elif "measurement height" in line:
            height = float(parts[0])
        elif parts[0] == "Year-DOY":
            header = parts
        elif header:
            rows.append(parts)
    if not header:
        raise ContractError("no line Year-DOY", where=str(path), do="Is it a pyfao56 weather file?")
    table = pd.DataFrame(rows, columns=header)
    table.index = pd.to_datetime(table["Year-DOY"], format="%Y-%j")
    number = table[["Rain", "ETref", "Wndsp", "RHmin"]].apply(pd.to_numeric, errors="coerce")
    out = number.rename(columns={"Rain": "rain_mm", "ETref": "et0_mm", "Wndsp": "wind_m_s", "RHmin": "rhmin_pct"})
    return out, height, reference


def _updates(path: Path) -> pd.DataFrame:
    rows = [line.split() for line in _lines(path) if line[:4].isdigit()]
    try:
        table = pd.DataFrame(
            [
                (pd.to_datetime(day, format="%Y-%j"), float(kcb), float(height), float(cover))
                for day, kcb, height, cover in rows
            ],
            columns=["date", "kcb", "height_m", "fcover"],
        )
    except ValueError as error:
        raise ContractError(
            f"a line cannot be read ({error})", where=str(path), do="Year-DOY, Kcb, h and fc are needed"
        ) from error
    if not len(table):
        raise ContractError("no line of values", where=str(path), do="Is it a pyfao56 update file?")
    return table


def _irrigation(path: Path) -> pd.DataFrame:
    rows = []
    for line in _lines(path):
        parts = line.split()
        if parts[0][:4].isdigit() and "-" in parts[0]:
            try:
                gross, wetted, efficiency = (float(x) for x in parts[1:4])
            except ValueError as error:
                raise ContractError(
                    f"cannot read {line.strip()!r}", where=str(path), do="Four columns are needed"
                ) from error
            rows.append(
                {
                    "plot_id": path.stem,
                    "date": pd.to_datetime(parts[0], format="%Y-%j"),
                    "depth_mm": gross * efficiency / 100.0,
                    "wetted_fraction": wetted,
                }
            )
    return pd.DataFrame(rows, columns=["plot_id", "date", "depth_mm", "wetted_fraction"])


def _period(folder: Path, events: pd.DataFrame) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Simulation dates of an output or summary file beside, else the span of the irrigations."""
    for path in sorted([*folder.glob("*.sum"), *folder.glob("*.out")]):
        found = {}
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[:12]:
            for key in ("start", "end"):
                if line.startswith(f"Simulation {key} date:"):
                    found[key] = pd.to_datetime(line.split(":")[1].strip(), format="%m/%d/%Y")
        if len(found) == 2:
            return found["start"], found["end"]
    return events["date"].min(), events["date"].max()
