"""One weather file each: read, named and united by the contract, checked value by value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agro.schema.errors import ConfigError, NoDataError
from agro.water.reference_et import (
    actual_vapour_kpa,
    clear_sky_mj_m2,
    extraterrestrial_mj_m2,
    saturation_kpa,
    wind_at_2m,
)

#: Contract column -> names met in files.
ALIASES: dict[str, tuple[str, ...]] = {
    "tmin_c": ("tmin_c", "tmin"), "tmax_c": ("tmax_c", "tmax"), "rh_mean_pct": ("rh_mean_pct", "rh_pct", "rh"),
    "rhmin_pct": ("rhmin_pct",), "rhmax_pct": ("rhmax_pct",), "tdew_c": ("tdew_c", "tdew"),
    "vapour_pressure_kpa": ("vapour_pressure_kpa",), "wind": ("u2_m_s", "wind_2m_m_s", "wind_m_s"),
    "rs_mj_m2": ("rs_mj_m2", "rs_mj_m2_d"), "rain_mm": ("rain_mm", "rain"),
}  # fmt: skip
VALUES = ("tmin_c", "tmax_c", "rh_mean_pct", "u2_m_s", "rs_mj_m2", "rain_mm")
#: Needed on each day; the others can be estimated.
REQUIRED = ("tmin_c", "tmax_c", "rain_mm")
#: Providers' codes for "missing".
MISSING_CODES = (-999.0, -9999.0, -99.9)
LIMITS = {
    "tmin_c": (-60, 60),
    "tmax_c": (-60, 60),
    "rh_mean_pct": (0, 100),
    "u2_m_s": (0, 60),
    "rs_mj_m2": (0, 45),
    "rain_mm": (0, 500),
}
#: More radiation than this multiple of the clear sky's (FAO-56 eq. 37) is a fault of the sensor or of the unit.
CLEAR_SKY_SHARE = 1.2
CLIMATOLOGY_COLUMNS = ("month", "tmax_c", "tmin_c", "rh_pct", "wind_2m_m_s", "rs_mj_m2_d", "rain_mm_month")


def read_csv(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """A CSV with the columns needed.

    Raises
    ------
    ConfigError
        No such file, not a table, or a column is absent.
    NoDataError
        No row.
    """
    try:
        table = pd.read_csv(path, encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError("no such file", where=str(path), do="Correct the path in region.yaml") from error
    except pd.errors.EmptyDataError as error:
        raise NoDataError("the file is empty", where=str(path), do="Check that it is the right file") from error
    except (ValueError, UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigError(f"not a CSV table ({error})", where=str(path), do="Save it as UTF-8 CSV") from error
    absent = [column for column in needed if column not in table.columns]
    if absent:
        raise ConfigError(f"no column {', '.join(absent)}", where=str(path), do=f"It has: {', '.join(table.columns)}")
    if not len(table):
        raise NoDataError("the table has no row", where=str(path), do="Check that it is the right file")
    return table


def daily_values(
    table: pd.DataFrame,
    record: str,
    wind_height_m: float,
    latitude_deg: float,
    elevation_m: float,
    rejected: list[dict[str, str]],
) -> pd.DataFrame:
    """Contract columns of a daily table; impossible values become NaN and are listed.

    Humidity is the mean that gives the day's vapour pressure (FAO-56 eq. 19): vapour pressure or dew point where the file has
    them, else the daily extremes (eq. 17), else the mean as told. The mean of the extremes is not that: it overstates the
    vapour of a dry climate.

    Returns
    -------
    pandas.DataFrame
        ``date`` and :data:`VALUES`, plus ``issued_at`` and ``member`` where the file has them.
    """
    found = {name: next((c for c in names if c in table.columns), None) for name, names in ALIASES.items()}
    absent = [name for name in REQUIRED if found[name] is None]
    if absent:
        raise ConfigError(f"no column {', '.join(absent)}", where=record, do=f"It has: {', '.join(table.columns)}")
    dates = pd.to_datetime(table["date"], errors="coerce", format="ISO8601").dt.normalize()
    bad = dates.isna()
    for row in np.flatnonzero(bad)[:50]:
        rejected.append(
            _row(record, f"row {row + 2}", f"{table['date'].iloc[row]!r} is not a date", "Write dates as YYYY-MM-DD")
        )
    out = pd.DataFrame({"date": dates})

    def column(name: str) -> pd.Series:
        source = found[name]
        if source is None:
            return pd.Series(np.nan, index=table.index)
        numbers = pd.to_numeric(table[source], errors="coerce").astype(float).replace([np.inf, -np.inf], np.nan)
        told = table[source].notna() & numbers.isna() & ~bad
        for row in np.flatnonzero(told.to_numpy())[:50]:
            said = table[source].iloc[row]
            if str(said).strip():
                rejected.append(
                    _row(
                        record,
                        f"{dates.iloc[row]:%Y-%m-%d} {source}",
                        f"{said!r} is not a number",
                        "Taken as missing; correct the record",
                    )
                )
        return numbers.mask(numbers.isin(MISSING_CODES))

    for name in ("tmin_c", "tmax_c", "rs_mj_m2", "rain_mm"):
        out[name] = column(name)
    # FAO-56 eq. 47.
    at_two = found["wind"] in {"u2_m_s", "wind_2m_m_s"}
    out["u2_m_s"] = column("wind") if at_two else wind_at_2m(column("wind"), wind_height_m)
    out["rh_mean_pct"] = column("rh_mean_pct")
    given = {name: column(name) for name in ("rhmin_pct", "rhmax_pct", "tdew_c", "vapour_pressure_kpa")}
    nothing = pd.concat(given, axis=1).drop(columns="rhmin_pct").isna().all(axis=1)
    vapour = (
        given["vapour_pressure_kpa"]
        .fillna(
            pd.Series(
                actual_vapour_kpa(
                    out["tmin_c"],
                    out["tmax_c"],
                    rhmin_pct=given["rhmin_pct"],
                    rhmax_pct=given["rhmax_pct"],
                    tdew_c=given["tdew_c"],
                ),
                index=table.index,
            )
        )
        .mask(nothing | (given["vapour_pressure_kpa"].isna() & given["tdew_c"].isna() & given["rhmin_pct"].isna()))
    )
    mean = 200.0 * vapour / (saturation_kpa(out["tmin_c"]) + saturation_kpa(out["tmax_c"]))
    # A dew point somewhat above the minimum temperature is common in the records; only rounding may pass 100 so.
    out["rh_mean_pct"] = mean.mask((mean > 100) & (mean <= 103), 100.0).fillna(out["rh_mean_pct"])
    for name in ("issued_at", "member"):
        if name in table.columns:
            out[name] = table[name]
    checked = _checked(out[~bad], record, rejected)
    return _under_the_sky(checked, record, latitude_deg, elevation_m, rejected)


def _under_the_sky(
    out: pd.DataFrame, record: str, latitude_deg: float, elevation_m: float, rejected: list[dict[str, str]]
) -> pd.DataFrame:
    """Radiation that no sky lets through becomes missing."""
    clear = clear_sky_mj_m2(elevation_m, extraterrestrial_mj_m2(latitude_deg, out["date"].dt.day_of_year.to_numpy()))
    beyond = out["rs_mj_m2"] > CLEAR_SKY_SHARE * clear
    for row, sky in zip(out[beyond].itertuples(), clear[beyond.to_numpy()], strict=True):
        rejected.append(
            _row(
                record, f"{row.date:%Y-%m-%d} rs_mj_m2", f"{row.rs_mj_m2:g} is above the clear sky's {sky:.1f} MJ/m2",
                "Taken as missing; check the unit (MJ/m2 a day) and the sensor",
            )
        )  # fmt: skip
    out["rs_mj_m2"] = out["rs_mj_m2"].mask(beyond)
    return out


def _checked(out: pd.DataFrame, record: str, rejected: list[dict[str, str]]) -> pd.DataFrame:
    for name, (low, high) in LIMITS.items():
        wrong = (out[name] < low) | (out[name] > high)
        for row in out[wrong].itertuples():
            rejected.append(
                _row(
                    record,
                    f"{row.date:%Y-%m-%d} {name}",
                    f"{getattr(row, name):g} is outside {low} .. {high}",
                    "Taken as missing; correct the record",
                )
            )
        out[name] = out[name].mask(wrong)
    crossed = out["tmin_c"] > out["tmax_c"]
    for row in out[crossed].itertuples():
        rejected.append(
            _row(
                record,
                f"{row.date:%Y-%m-%d}",
                f"tmin {row.tmin_c:g} above tmax {row.tmax_c:g}",
                "Taken as missing; correct the record",
            )
        )
    out.loc[crossed, ["tmin_c", "tmax_c"]] = np.nan
    keys = [c for c in ("issued_at", "date", "member") if c in out]
    again = out.duplicated(keys, keep="first")
    for row in out[again].itertuples():
        rejected.append(
            _row(record, f"{row.date:%Y-%m-%d}", "the day stands twice", "The first row is used; remove the other")
        )
    return out[~again]


def climatology(path: Path, dates: pd.DatetimeIndex) -> pd.DataFrame:
    """Monthly normals as daily values: means interpolated between mid-months, rain spread evenly.

    Raises
    ------
    ConfigError
        A month is absent or a normal is impossible.
    """
    table = read_csv(path, CLIMATOLOGY_COLUMNS)
    if sorted(pd.to_numeric(table["month"], errors="coerce").fillna(0)) != list(range(1, 13)):
        raise ConfigError("months 1 to 12 are needed, once each", where=str(path), do="Complete the table")
    table = table.sort_values("month")
    numbers = table[list(CLIMATOLOGY_COLUMNS)].apply(pd.to_numeric, errors="coerce")
    for name, contract in zip(
        CLIMATOLOGY_COLUMNS[1:], ("tmax_c", "tmin_c", "rh_mean_pct", "u2_m_s", "rs_mj_m2", "rain_mm"), strict=True
    ):
        low, high = LIMITS[contract] if contract != "rain_mm" else (0, 2000)
        wrong = ~numbers[name].between(low, high)
        if wrong.any():
            month, said = table.loc[wrong, "month"].iloc[0], table.loc[wrong, name].iloc[0]
            raise ConfigError(
                f"{name} of month {month} is {said}", where=str(path), do=f"Give a number within {low} .. {high}"
            )
    if (numbers["tmin_c"] > numbers["tmax_c"]).any():
        raise ConfigError("a month's tmin_c is above its tmax_c", where=str(path), do="Correct the table")
    middle = np.array([15.5 + 30.4375 * (m - 1) for m in range(1, 13)])
    around = np.concatenate((middle[-1:] - 365.25, middle, middle[:1] + 365.25))
    day = dates.day_of_year.to_numpy()

    def along(name: str) -> np.ndarray:
        v = numbers[name].to_numpy()
        return np.interp(day, around, np.concatenate((v[-1:], v, v[:1])))

    rain = numbers["rain_mm_month"].to_numpy()[dates.month - 1] / dates.days_in_month.to_numpy()
    return pd.DataFrame(
        {
            "date": dates, "tmin_c": along("tmin_c"), "tmax_c": along("tmax_c"), "rh_mean_pct": along("rh_pct"),
            "u2_m_s": along("wind_2m_m_s"), "rs_mj_m2": along("rs_mj_m2_d"), "rain_mm": rain,
        }
    )  # fmt: skip


def _row(record: str, item: str, reason: str, remedy: str) -> dict[str, Any]:
    return {"input": "weather", "item": f"{record} {item}", "reason": reason, "remedy": remedy}
