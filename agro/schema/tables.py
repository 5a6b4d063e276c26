"""Contracts of the tables that pass between stages, checked when read and when written.

A column ends in its unit. Missing values are NaN / NaT / None only where a column is nullable.
Dates are local calendar dates as ``datetime64[ns]`` at midnight.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pandera.pandas as pa

from agro.schema.errors import ContractError

ACTIONS = ("irrigate", "hold", "inspect", "abstain")
IRRIGATION_SYSTEMS = ("drip", "sprinkler", "surface", "rainfed")
SERIES_FLAGS = ("observed", "interpolated", "extrapolated")


def _text(nullable: bool = False, **kw: Any) -> pa.Column:
    return pa.Column("str", nullable=nullable, coerce=True, **kw)


def _number(low: float | None = None, high: float | None = None, nullable: bool = False, **kw: Any) -> pa.Column:
    checks = []
    if low is not None:
        checks.append(pa.Check.ge(low))
    if high is not None:
        checks.append(pa.Check.le(high))
    return pa.Column("float64", checks, nullable=nullable, coerce=True, **kw)


def _integer(low: int | None = None, **kw: Any) -> pa.Column:
    return pa.Column("int64", pa.Check.ge(low) if low is not None else None, coerce=True, **kw)


def _date(nullable: bool = False, **kw: Any) -> pa.Column:
    return pa.Column("datetime64[ns]", nullable=nullable, coerce=True, **kw)


def _flag(**kw: Any) -> pa.Column:
    return pa.Column("bool", coerce=True, **kw)


def _one_of(*values: str, nullable: bool = False) -> pa.Column:
    return pa.Column("str", pa.Check.isin(values), nullable=nullable, coerce=True)


def _table(columns: dict[str, pa.Column], unique: list[str] | None = None) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(columns, unique=unique, strict=True, coerce=True)


TABLES: dict[str, pa.DataFrameSchema] = {
    # GeoDataFrame in EPSG:4326; the geometry column is checked by agro.parcels.
    "parcels": pa.DataFrameSchema(
        {
            "parcel_uid": _text(unique=True),
            "name": _text(nullable=True),
            "metrics:area": _number(0.0),  # m2, in the UTM zone of the centroid
            "agro:crop": _text(),
            "agro:sowing_date": _date(nullable=True),
            "agro:irrigation": _one_of(*IRRIGATION_SYSTEMS),
            "agro:flow_m3_h": _number(0.0, nullable=True),
            "agro:efficiency_frac": _number(0.05, 1.0, nullable=True),
            "agro:cooperative": _text(nullable=True),
            "agro:sector": _text(nullable=True),
            "agro:owner_ref": _text(nullable=True),
            "agro:geometry_digest": _text(),
            "agro:repaired": _text(nullable=True),  # what was mended in the outline, None if nothing
        },
        strict="filter",
        coerce=True,
    ),
    # What was not taken, of any input: rows in = rows out + rows here.
    "rejected": _table(
        {
            "input": _text(),  # parcels, weather, soil, irrigation, imagery, yields
            "item": _text(),  # row, parcel, scene or file
            "reason": _text(),
            "remedy": _text(),
        }
    ),
    # One row a scene found in the period, used or not.
    "scenes": _table(
        {
            "scene_id": _text(),
            "date": _date(),
            "provider": _text(),
            "processing_baseline": _text(nullable=True),
            "offset_state": _text(),  # applied, not_needed, quarantined, unknown
            "relative_orbit": pa.Column("Int64", nullable=True, coerce=True),
            "clear_frac": _number(0.0, 1.0, nullable=True),
            "used": _flag(),
            "reason": _text(nullable=True),
        },
        unique=["scene_id", "provider"],
    ),
    "observations": _table(
        {
            "parcel_uid": _text(),
            "date": _date(),
            "index": _text(),
            "source": _text(),
            "source_reason": _text(nullable=True),
            "mean": _number(nullable=True),
            "median": _number(nullable=True),
            "p10": _number(nullable=True),
            "p90": _number(nullable=True),
            "sd": _number(0.0, nullable=True),
            "pixels_effective": _number(0.0),  # sum of coverage fractions of valid pixels
            "valid_frac": _number(0.0, 1.0),  # valid share of the (buffered) parcel
            "buffer_m": _number(0.0),
            "scene_ids": _text(),  # joined by "+"
            "usable": _flag(),
            "reason": _text(nullable=True),  # why not usable
        },
        unique=["parcel_uid", "date", "index", "source"],
    ),
    "series": _table(
        {
            "parcel_uid": _text(),
            "date": _date(),
            "index": _text(),
            "value": _number(nullable=True),
            "sd": _number(0.0, nullable=True),
            "flag": _one_of(*SERIES_FLAGS),
            "clear_age_d": pa.Column("Int64", nullable=True, coerce=True),  # days since the last usable look
        },
        unique=["parcel_uid", "date", "index"],
    ),
    "phenology": _table(
        {
            "parcel_uid": _text(),
            "index": _text(),
            "season": _integer(0),  # 0 = the newest, 1 = the one before ...
            "start_date": _date(nullable=True),
            "peak_date": _date(nullable=True),
            "end_date": _date(nullable=True),
            "start_value": _number(nullable=True),
            "peak_value": _number(nullable=True),
            "end_value": _number(nullable=True),
            "status": _text(),  # complete, growing, no_season, too_few_observations
        },
        unique=["parcel_uid", "index", "season"],
    ),
    # Figures of the seasons in "phenology"; after the definitions in docs/series.md.
    "season_metrics": _table(
        {
            "parcel_uid": _text(),
            "index": _text(),
            "season": _integer(0),
            "length_d": _number(0.0, nullable=True),
            "middle_date": _date(nullable=True),
            "base_value": _number(nullable=True),
            "amplitude": _number(0.0, nullable=True),
            "rise_per_d": _number(0.0, nullable=True),
            "fall_per_d": _number(0.0, nullable=True),
            "large_integral_d": _number(nullable=True),  # index x days
            "small_integral_d": _number(nullable=True),
        },
        unique=["parcel_uid", "index", "season"],
    ),
    "weather": _table(
        {
            "site_id": _text(),
            "date": _date(),
            "issued_at": _date(),  # when it became known (observation: its date; forecast: issue day)
            "is_forecast": _flag(),
            "member": _integer(),  # -1 observed or deterministic
            "tmin_c": _number(-60, 60),
            "tmax_c": _number(-60, 65),
            "rh_mean_pct": _number(0, 100, nullable=True),
            "u2_m_s": _number(0, 60, nullable=True),
            "rs_mj_m2": _number(0, 50, nullable=True),
            "rain_mm": _number(0, 1000),
            "et0_mm": _number(0, 30, nullable=True),
            "estimated": _text(nullable=True),  # variables estimated, joined by ","
            "source": _text(),  # station, forecast, climatology, openmeteo, power ...
            "source_reason": _text(nullable=True),
        },
        unique=["site_id", "date", "member", "issued_at"],
    ),
    "soil": _table(
        {
            "parcel_uid": _text(),
            "layer": _integer(1),
            "top_m": _number(0.0),
            "bottom_m": _number(0.0),
            "fc_m3_m3": _number(0.0, 0.7),
            "wp_m3_m3": _number(0.0, 0.6),
            "fc_sd_m3_m3": _number(0.0, 0.3),
            "wp_sd_m3_m3": _number(0.0, 0.3),
            "stones_frac": _number(0.0, 0.95),
            "source": _text(),  # laboratory, survey, soilgrids, texture_default ...
            "source_reason": _text(nullable=True),
        },
        unique=["parcel_uid", "layer"],
    ),
    "irrigation": _table(
        {
            "parcel_uid": _text(),
            "date": _date(),
            "depth_mm": _number(0.0, 400.0),  # gross depth over the parcel
            "source": _text(),  # reported, inferred
        },
        unique=["parcel_uid", "date"],
    ),
    "water": _table(
        {
            "parcel_uid": _text(),
            "date": _date(),
            "member": _integer(),  # -1 the central run
            "is_forecast": _flag(),
            "dr_mm": _number(0.0),
            "dr_sd_mm": _number(0.0, nullable=True),
            "taw_mm": _number(0.0),
            "raw_mm": _number(0.0),
            "kcb": _number(0.0, 2.0),
            "kcb_source": _text(),  # ndvi, table
            "ke": _number(0.0, 2.0),
            "ks": _number(0.0, 1.0),
            "fc_frac": _number(0.0, 1.0),
            "zr_m": _number(0.0),
            "et0_mm": _number(0.0),
            "eta_mm": _number(0.0),  # actual ET
            "rain_mm": _number(0.0),
            "runoff_mm": _number(0.0),
            "irrigation_mm": _number(0.0),  # net, reaching the root zone
            "irrigation_source": _text(nullable=True),
            "drainage_mm": _number(0.0),  # below the deepest roots
            # Depletion taken over by growing roots, less what passes below them. The day closes:
            # dr = dr_before - (rain - runoff) - irrigation + eta + drainage + root_growth
            "root_growth_mm": _number(),
        },
        unique=["parcel_uid", "date", "member"],
    ),
    # What the system at hand would have to give.
    "need": _table(
        {
            "parcel_uid": _text(),
            "as_of": _date(),
            "dr_mm": _number(0.0),
            "taw_mm": _number(0.0),
            "raw_mm": _number(0.0),
            "dr_low_mm": _number(0.0),
            "dr_high_mm": _number(0.0),
            "trigger_date": _date(nullable=True),  # first day Dr > RAW within the outlook without irrigation
            "trigger_prob_frac": _number(0.0, 1.0),  # share of members that reach the trigger
            "forecast_rain_mm": _number(0.0),
            "forecast_et0_mm": _number(0.0),
            "net_mm": _number(0.0),
            "net_low_mm": _number(0.0),
            "net_high_mm": _number(0.0),
            "gross_mm": _number(0.0),
            "volume_m3": _number(0.0),
            "hours": _number(0.0, nullable=True),  # None when the flow is unknown
            "efficiency_frac": _number(0.05, 1.0),
            "efficiency_source": _text(),
            "stress_days": _number(0.0),  # past 7 days with Ks < 0.95
            "last_irrigation_date": _date(nullable=True),
            "irrigation_reported": _flag(),  # any record within the last 30 days
            "soil_source": _text(),
            "weather_source": _text(),
            "kcb_source": _text(),
        },
        unique=["parcel_uid"],
    ),
    # Irrigations of the outlook, one after the other, as the practice of the region allows them.
    "plan": _table(
        {
            "parcel_uid": _text(),
            "date": _date(),
            "net_mm": _number(0.0),
            "gross_mm": _number(0.0),
            "volume_m3": _number(0.0),
            "hours": _number(0.0, nullable=True),  # None when the flow is unknown
            "probability_frac": _number(0.0, 1.0),  # share of members that are at the allowed depletion by then
            "depletion_mm": _number(),  # mean of the members before it
            "allowed_mm": _number(0.0),  # depletion at which water is given
            "met_frac": _number(0.0, 1.0),  # share of the need that a limited volume leaves
        },
        unique=["parcel_uid", "date"],
    ),
    # What to do with each canal turn of the outlook.
    "turns": _table(
        {
            "parcel_uid": _text(),
            "date": _date(),
            "decision": _one_of("take", "reduce", "skip"),
            "net_mm": _number(0.0),
            "gross_mm": _number(0.0),
            "volume_m3": _number(0.0),
            "stress_if_skipped_frac": _number(
                0.0, 1.0
            ),  # share of members beyond the allowed depletion before the next turn
            "lost_if_taken_mm": _number(0.0),  # mean of the members, below the roots
            "depletion_mm": _number(),
            "next_turn": _date(nullable=True),
            "met_frac": _number(0.0, 1.0),
        },
        unique=["parcel_uid", "date"],
    ),
    "yield_history": _table(
        {
            "parcel_uid": _text(),
            "season": _integer(1950),  # year of harvest
            "crop": _text(),
            "yield_t_ha": _number(0.0, 200.0),
            "source": _text(),
        },
        unique=["parcel_uid", "season"],
    ),
    "yield": _table(
        {
            "parcel_uid": _text(),
            "crop": _text(),
            "season": _integer(1950),
            "as_of": _date(),
            "yield_t_ha": _number(0.0, nullable=True),
            "low_t_ha": _number(0.0, nullable=True),
            "high_t_ha": _number(0.0, nullable=True),
            "level_frac": _number(0.0, 1.0),
            "mean_t_ha": _number(0.0, nullable=True),  # average of the training seasons
            "model": _text(),
            "label": _text(),  # e.g. trained_on_simulated, unvalidated
            "abstain_reason": _text(nullable=True),
        },
        unique=["parcel_uid"],
    ),
    # Advice records flat: nested parts as JSON text (see agro.schema.advice).
    "advice": _table(
        {
            "schema_version": _text(),
            "advice_id": _text(),
            "region_id": _text(),
            "parcel_uid": _text(),
            "crop": _text(),
            "issued_on": _date(),
            "action": _one_of(*ACTIONS),
            "amount_mm": _number(0.0, nullable=True),
            "amount_low_mm": _number(0.0, nullable=True),
            "amount_high_mm": _number(0.0, nullable=True),
            "gross_mm": _number(0.0, nullable=True),
            "volume_m3": _number(0.0, nullable=True),
            "hours": _number(0.0, nullable=True),
            "window_start": _date(nullable=True),
            "window_end": _date(nullable=True),
            "confidence": _number(0.0, 1.0),
            "confidence_label": _one_of("low", "medium", "high"),
            "confidence_drivers": _text(),
            "reasons": _text(),
            "evidence": _text(),
            "counterfactual": _text(nullable=True),
            "rule_ids": _text(),
            "escalated": _flag(),
            "escalation": _text(),
            "message": _text(),
            "last_clear_date": _date(nullable=True),
            "supersedes": _text(nullable=True),
            "simulated": _flag(),
        },
        unique=["parcel_uid"],
    ),
}


#: May be left out by who makes a table, and is None then. ``source_reason``: why not the first link of the chain.
OPTIONAL = ("source_reason",)


def validate(table: pd.DataFrame, name: str, where: str = "") -> pd.DataFrame:
    """Check a table against its contract.

    Parameters
    ----------
    table : pandas.DataFrame
        The table; columns in any order.
    name : str
        A key of :data:`TABLES`.
    where : str
        Said in the error: file or stage.

    Returns
    -------
    pandas.DataFrame
        The table with columns in contract order and types coerced.

    Raises
    ------
    ContractError
        With the first offending column, the check and the rows.
    """
    schema = TABLES[name]
    place = where or f"table {name}"
    absent = {c: None for c in OPTIONAL if c in schema.columns and c not in table.columns}
    table = table.assign(**absent) if absent else table
    missing = [c for c in schema.columns if c not in table.columns]
    if missing:
        raise ContractError(
            f"missing column {', '.join(missing)}", where=place, do=f"Expected: {', '.join(schema.columns)}"
        )
    ordered = table[[*schema.columns, *[c for c in table.columns if c not in schema.columns]]]
    try:
        return schema.validate(ordered, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        first = cases.iloc[0]
        rows = ", ".join(str(i) for i in cases["index"].dropna().unique()[:5])
        raise ContractError(
            f"{len(cases)} value(s) break the contract, first: column {first['column']}, check {first['check']}, value {first['failure_case']}"
            + (f" (rows {rows})" if rows else ""),
            where=place,
        ) from error


def empty(name: str) -> pd.DataFrame:
    """An empty table of the given contract, with the right types."""
    return TABLES[name].validate(pd.DataFrame({c: pd.Series(dtype=object) for c in TABLES[name].columns}))
