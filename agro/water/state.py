"""Water state of all parcels: the past to the issue date, the outlook by members, and doubt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from agro.schema.crops import Crop
from agro.schema.errors import NoDataError
from agro.schema.tables import empty, validate
from agro.water.balance import Balance, Forcing, Soil, run_balance
from agro.water.coefficients import KCB_MIN, climate_adjusted, kc_max, kcb_from_cover, relation, stage_kcb
from agro.water.reference_et import DEFAULT_WIND_M_S, saturation_kpa
from agro.water.soil import available_water_mm, surface_layer

#: Field application efficiency by system [recalled, FAO Irrigation Training Manual 4: to be set locally].
EFFICIENCY = {"drip": 0.90, "sprinkler": 0.75, "surface": 0.60, "rainfed": 1.0}
#: Share of the surface wetted by an irrigation (FAO-56 Table 20, middle of the range).
WETTED = {"drip": 0.35, "sprinkler": 1.0, "surface": 0.8, "rainfed": 1.0}
#: Members of the ensemble that spreads the doubt of inputs; fixed, so that results repeat.
MEMBERS = 24
SEED = 20220411
#: Relative sd of inputs: Kcb from the index and from the table, rain at a station for a field, reported
#: irrigation, reference ET.
KCB_SD = {"ndvi": 0.08, "table": 0.15}
RAIN_SD, IRRIGATION_SD, ET0_SD = 0.15, 0.15, 0.05
#: Rain of climatology is an average that never falls: its doubt is as large as itself.
CLIMATOLOGY_RAIN_SD = 1.0
#: Sd of the depletion at the start, as a share of TAW.
INITIAL_SD = 0.2
#: An irrigated field without a record for so many days is one whose grower may not report.
SILENCE_D = 30
#: Cover from which a canopy counts as green: what is green does not stand in an empty soil.
GREEN_COVER = 0.3
#: Stress coefficient below which the balance and a green canopy contradict each other: half of the transpiration gone.
CONFLICT_KS = 0.5
#: Ground cover at which roots of annual crops have reached their full depth.
FULL_ROOT_COVER = 0.7


@dataclass(frozen=True)
class Canopy:
    """Per parcel and day (days, parcels): Kcb, its source, cover, rooting depth, upper limit of Kc."""

    kcb: np.ndarray
    from_index: np.ndarray
    fc_frac: np.ndarray
    zr_m: np.ndarray
    kc_max: np.ndarray


def efficiency(parcels: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Application efficiency of each parcel and where it comes from (``parcel`` or ``default``)."""
    own = parcels["agro:efficiency_frac"].to_numpy(dtype=float)
    usual = parcels["agro:irrigation"].map(EFFICIENCY).to_numpy(dtype=float)
    return np.where(np.isnan(own), usual, own), np.where(np.isnan(own), "default", "parcel")


def season_day(days: pd.DatetimeIndex, sowing: Any, crop: Crop) -> np.ndarray:
    """Days since sowing, or since the crop's usual start in the latest season begun; negative before sowing."""
    if not pd.isna(sowing):
        return (days - pd.Timestamp(sowing)).days.to_numpy()
    month, day = crop.season_start.value
    starts = pd.DatetimeIndex([pd.Timestamp(y, month, day) for y in range(days[0].year - 1, days[-1].year + 1)])
    return (days - starts[starts.searchsorted(days, side="right") - 1]).days.to_numpy()


def canopy(
    parcels: pd.DataFrame,
    series: pd.DataFrame,
    weather: pd.DataFrame,
    crops: Mapping[str, Crop],
    days: pd.DatetimeIndex,
) -> Canopy:
    """Coefficients and cover from the index where there is one, from the crop's stages otherwise.

    Parameters
    ----------
    parcels, series : pandas.DataFrame
        Tables; the index ``ndvi`` is used. After its last day the last value is held.
    weather : pandas.DataFrame
        One row a day of `days`: u2_m_s, tmin_c, tmax_c, rh_mean_pct.
    crops : mapping
        Crop table.
    days : pandas.DatetimeIndex
        Days of the result.
    """
    shape = (len(days), len(parcels))
    kcb, cover, zr, height = (np.zeros(shape) for _ in range(4))
    grown: np.ndarray
    from_index = np.zeros(shape, dtype=bool)
    # Before the first look nothing was seen: the stages speak there.
    u2 = weather["u2_m_s"].fillna(DEFAULT_WIND_M_S).to_numpy(dtype=float)
    rhmin = minimum_humidity_pct(weather)
    looked = series[(series["index"] == "ndvi") & series["clear_age_d"].notna()]
    ndvi = looked.pivot(index="date", columns="parcel_uid", values="value").reindex(days).ffill()
    for column, row in enumerate(parcels.itertuples(index=False)):
        uid, key = row.parcel_uid, parcels["agro:crop"].iloc[column]
        crop = crops[key]
        since = season_day(days, parcels["agro:sowing_date"].iloc[column], crop)
        values = _kcb_of_climate(crop, since, u2, rhmin)
        table = stage_kcb(since, crop.stages_d.value, values)
        index = ndvi[uid].to_numpy() if uid in ndvi.columns and crop.kind != "covered" else np.full(len(days), np.nan)
        k, f, seen = _one_canopy(crop, index, table, max(values))
        kcb[:, column], cover[:, column], from_index[:, column] = k, f, seen
        shallow, deep = crop.root_depth_m.value
        grown = np.clip(f / FULL_ROOT_COVER, 0.0, 1.0)
        if crop.kind == "annual":
            # Roots do not shrink within a season; a new season starts afresh.
            grown = np.where(since < 0, 0.0, grown)
            fresh = np.cumsum(np.concatenate(([0], np.diff(since) < 0)))
            grown = pd.Series(grown).groupby(fresh).cummax().to_numpy(dtype=float)
            zr[:, column] = shallow + (deep - shallow) * grown
        else:
            zr[:, column] = deep
        height[:, column] = crop.height_m.value * (np.clip(f, 0.05, 1.0) if crop.kind == "annual" else 1.0)
    return Canopy(kcb, from_index, np.clip(cover, 0.0, 0.99), zr, kc_max(kcb, height, u2[:, None], rhmin[:, None]))


def minimum_humidity_pct(weather: pd.DataFrame) -> np.ndarray:
    """Daily minimum humidity: the mean vapour pressure at the maximum temperature (FAO-56 chapter 7), 0 .. 100.

    Where humidity is missing the minimum temperature stands for the dew point (eq. 48).
    """
    low, high = (saturation_kpa(weather[name].to_numpy(dtype=float)) for name in ("tmin_c", "tmax_c"))
    mean = weather["rh_mean_pct"].to_numpy(dtype=float)
    vapour = np.where(np.isnan(mean), low, mean / 100.0 * (low + high) / 2.0)
    return np.clip(100.0 * vapour / high, 0.0, 100.0)


def _kcb_of_climate(crop: Crop, since: np.ndarray, u2: np.ndarray, rhmin: np.ndarray) -> tuple[float, float, float]:
    """The crop's three Kcb, mid and end for the climate of their stage (FAO-56 eq. 70).

    A stage not reached yet takes the latest 30 days.
    """
    ends = np.cumsum(crop.stages_d.value)
    initial, mid, end = crop.kcb.value
    out = [initial]
    for value, first, last in ((mid, ends[1], ends[2]), (end, ends[2], ends[3])):
        of = (since >= first) & (since < last)
        if not of.any():
            of = np.arange(len(since)) >= len(since) - 30
        out.append(float(climate_adjusted(value, u2[of].mean(), rhmin[of].mean(), crop.height_m.value)))
    return out[0], out[1], out[2]


def _one_canopy(
    crop: Crop, index: np.ndarray, table: np.ndarray, top: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kcb, cover and whether the index gave them, of one parcel; `top` is the largest Kcb of the table for the climate."""
    seen = np.isfinite(index) & (crop.cover_relation is not None)
    level = np.full(index.shape, top) if crop.kind != "orchard" else table
    share = np.clip((table - KCB_MIN) / max(top - KCB_MIN, 1e-6), 0.0, 1.0)
    usual = share * (0.9 if crop.table_cover_frac is None else crop.table_cover_frac.value)
    if crop.kind == "orchard":
        usual = np.full(index.shape, crop.table_cover_frac.value if crop.table_cover_frac else 0.5)
    if crop.cover_relation is None:
        return table, usual, seen
    cover = np.where(seen, relation(index, crop.cover_relation), usual)
    if crop.kcb_relation is not None:
        from_index = relation(index, crop.kcb_relation)
    else:
        from_index = kcb_from_cover(cover, crop, level)
    return np.where(seen, from_index, table), cover, seen


def water_state(
    parcels: pd.DataFrame,
    series: pd.DataFrame,
    weather: pd.DataFrame,
    soil: pd.DataFrame,
    irrigation: pd.DataFrame,
    crops: Mapping[str, Crop],
    start: date,
    as_of: date,
    initial_depletion_frac: float = 0.5,
) -> pd.DataFrame:
    """Run the balance of every parcel that has soil.

    Parameters
    ----------
    parcels, series, weather, soil, irrigation : pandas.DataFrame
        Tables; weather with ``et0_mm``. Irrigation is gross; it reaches the root zone times the efficiency.
    crops : mapping
        Crop table.
    start, as_of : datetime.date
        First day and issue date.
    initial_depletion_frac : float
        Depletion at the start, as a share of TAW.

    Returns
    -------
    pandas.DataFrame
        Table ``water``. Member -1 is the central run, over the past and, with the members' mean weather, the
        outlook; its ``dr_sd_mm`` is the root mean square departure from it of an ensemble of 24 over soil limits, Kcb, rain, reported
        irrigation, reference ET and the start; every second member also supposes unreported irrigation (see
        :func:`supposed_irrigation`), the central run never does. Members 0 .. 23 are that ensemble in the outlook, each with one
        of the forecast's members. No irrigation is assumed in the outlook.

    Raises
    ------
    NoDataError
        A day between `start` and `as_of` has no weather.
    """
    covered = parcels[parcels["parcel_uid"].isin(set(soil["parcel_uid"]))].reset_index(drop=True)
    if not len(covered):
        return empty("water")
    past = weather[~weather["is_forecast"]].set_index("date").sort_index()
    past = past[(past.index >= pd.Timestamp(start)) & (past.index <= pd.Timestamp(as_of))]
    expected = pd.date_range(start, as_of, freq="D")
    if len(past) != len(expected):
        gap = expected.difference(pd.DatetimeIndex(past.index))
        raise NoDataError(
            f"no weather on {gap[0]:%Y-%m-%d} and {len(gap) - 1} more days",
            where="water balance",
            do="Complete the weather",
        )
    ahead = weather[weather["is_forecast"]]
    forecast_members = sorted(ahead["member"].unique())
    future_days = pd.DatetimeIndex(sorted(ahead["date"].unique()))
    days = pd.DatetimeIndex(expected.append(future_days))
    numeric = ["tmin_c", "tmax_c", "rh_mean_pct", "u2_m_s", "rs_mj_m2", "rain_mm", "et0_mm"]
    mean_ahead = ahead.groupby("date")[numeric].mean()
    daily = pd.concat([past[numeric], mean_ahead])
    can = canopy(covered, series, daily, crops, days)

    n, m = len(covered), MEMBERS
    rng = np.random.default_rng(SEED)
    # Column order: the central run of all parcels, then member by member.
    draws = {
        name: np.concatenate((np.zeros((1, n)), rng.standard_normal((m, n))))
        for name in ("fc", "wp", "kcb", "irrigation", "initial")
    }
    shared = {name: np.concatenate(([0.0], rng.standard_normal(m))) for name in ("rain", "et0")}
    # One row more for the deepest roots: what lies below the roots of the day is kept too, so that roots which grow into
    # soil that has been dry since the summer find it dry.
    deepest = np.array([[crops[key].root_depth_m.value[1] for key in covered["agro:crop"]]])
    taw, tew, rew = _soil_members(covered, soil, np.concatenate((can.zr_m, deepest)), draws["fc"], draws["wp"])
    taw_full, taw = taw[-1], taw[:-1]

    def spread(array: np.ndarray) -> np.ndarray:
        return np.broadcast_to(array[:, None, :], (len(days), m + 1, n))

    et0, rain = _weather_members(daily, past, ahead, forecast_members, days, shared, m)
    eff, _ = efficiency(covered)
    events = irrigation.pivot_table(index="date", columns="parcel_uid", values="depth_mm", aggfunc="sum")
    gross = events.reindex(index=days, columns=list(covered["parcel_uid"])).fillna(0.0).to_numpy()
    net = spread(gross * eff) * np.clip(1 + IRRIGATION_SD * draws["irrigation"], 0.2, None)[None]
    kcb_sd = np.where(can.from_index, KCB_SD["ndvi"], KCB_SD["table"])
    kcb = spread(can.kcb) * np.clip(1 + spread(kcb_sd) * draws["kcb"][None], 0.3, None)
    fw = covered["agro:irrigation"].map(WETTED).to_numpy(dtype=float)

    def flat(array: np.ndarray) -> np.ndarray:
        return (
            np.ascontiguousarray(array).reshape(array.shape[0], (m + 1) * n)
            if array.ndim == 3
            else array.reshape((m + 1) * n)
        )

    forcing = Forcing(
        et0_mm=flat(np.broadcast_to(et0[:, :, None], kcb.shape)), rain_mm=flat(np.broadcast_to(rain[:, :, None], kcb.shape)),
        irrigation_mm=flat(net), fw_frac=flat(np.broadcast_to(fw, kcb.shape)), kcb=flat(kcb),
        kc_max=flat(np.maximum(spread(can.kc_max), kcb + 0.05)), fc_frac=flat(spread(can.fc_frac)), taw_mm=flat(taw),
    )  # fmt: skip
    p = covered["agro:crop"].map(lambda key: crops[key].depletion_p.value).to_numpy(dtype=float)
    setup = Soil(tew_mm=flat(tew), rew_mm=flat(rew), depletion_p=np.tile(p, m + 1), taw_full_mm=flat(taw_full))
    first = np.clip(initial_depletion_frac + INITIAL_SD * draws["initial"], 0.0, 1.0)
    refill = np.full((len(days), m + 1, n), np.nan)
    refill[: len(expected), 2::2] = supposed_irrigation(covered, can, gross, p, crops)[: len(expected), None]
    result = run_balance(
        forcing, setup, dr0_mm=flat(taw[0] * first), de0_mm=flat(tew), dr_full0_mm=flat(taw_full * first),
        refill_at_frac=flat(refill),
    )  # fmt: skip
    return _rows(covered, irrigation, days, len(expected), can, forcing, result, n, m)


def supposed_irrigation(
    parcels: pd.DataFrame, can: Canopy, gross_mm: np.ndarray, depletion_p: np.ndarray, crops: Mapping[str, Crop]
) -> np.ndarray:
    """Where records and canopy contradict each other: the depletion from which a grower may have irrigated unreported.

    Without its irrigation a field dries out in the balance while it stays green in the image. What was given is not known
    and is not invented; the ensemble shows both stories, and its width keeps the advice from being sure of either. It is so
    from Ks = :data:`CONFLICT_KS` on, under a green canopy of an irrigated field, once :data:`SILENCE_D` days have passed without
    a record.

    Returns
    -------
    numpy.ndarray
        (days, parcels), share of TAW; NaN where nothing is supposed.
    """
    unseen = (parcels["agro:crop"].map(lambda key: crops[key].kind) == "covered").to_numpy()
    irrigated = (parcels["agro:irrigation"] != "rainfed").to_numpy()
    green = irrigated & (can.fc_frac >= GREEN_COVER) & (can.from_index | unseen)
    reports = pd.DataFrame(gross_mm).rolling(SILENCE_D, min_periods=1).sum().to_numpy() > 0
    share = depletion_p + (1.0 - CONFLICT_KS) * (1.0 - depletion_p)  # eq. 84 solved for the depletion
    return np.where(green & ~reports, share, np.nan)


def _soil_members(
    parcels: pd.DataFrame, soil: pd.DataFrame, zr: np.ndarray, fc_draw: np.ndarray, wp_draw: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """TAW (days, members + 1, parcels), TEW and REW (members + 1, parcels); one error shared by a parcel's layers."""
    count = fc_draw.shape[0]
    taw = np.empty((zr.shape[0], count, len(parcels)))
    tew, rew = np.empty((count, len(parcels))), np.empty((count, len(parcels)))
    groups = dict(iter(soil.sort_values(["parcel_uid", "top_m"]).groupby("parcel_uid")))
    for column, uid in enumerate(parcels["parcel_uid"]):
        layers = groups[uid]
        top, bottom, stones = (layers[c].to_numpy() for c in ("top_m", "bottom_m", "stones_frac"))
        for member in range(count):
            fc = layers["fc_m3_m3"].to_numpy() + fc_draw[member, column] * layers["fc_sd_m3_m3"].to_numpy()
            wp = layers["wp_m3_m3"].to_numpy() + wp_draw[member, column] * layers["wp_sd_m3_m3"].to_numpy()
            wp = np.clip(wp, 0.01, None)
            fc = np.maximum(fc, wp + 0.03)
            taw[:, member, column] = available_water_mm(top, bottom, fc, wp, stones, zr[:, column])
            tew[member, column], rew[member, column] = surface_layer(fc[0], wp[0])
    return taw, tew, rew


def _weather_members(
    daily: pd.DataFrame,
    past: pd.DataFrame,
    ahead: pd.DataFrame,
    names: list[int],
    days: pd.DatetimeIndex,
    draws: Mapping[str, np.ndarray],
    members: int,
) -> tuple[np.ndarray, np.ndarray]:
    """ET0 and rain (days, members + 1): errors of the past, one of the forecast's members ahead."""
    et0 = np.repeat(daily["et0_mm"].to_numpy()[:, None], members + 1, axis=1)
    rain = np.repeat(daily["rain_mm"].to_numpy()[:, None], members + 1, axis=1)
    known = len(past)
    by_climate = (past["source"] == "climatology").to_numpy()[:, None]
    rain[:known] *= np.clip(1 + np.where(by_climate, CLIMATOLOGY_RAIN_SD, RAIN_SD) * draws["rain"], 0.0, None)
    et0[:known] *= np.clip(1 + ET0_SD * draws["et0"], 0.2, None)
    if names:
        tables = {
            c: ahead.pivot(index="date", columns="member", values=c).reindex(days[known:])
            for c in ("et0_mm", "rain_mm")
        }
        for member in range(members):
            name = names[member % len(names)]
            et0[known:, member + 1] = tables["et0_mm"][name].to_numpy() * np.clip(
                1 + ET0_SD * draws["et0"][member + 1], 0.2, None
            )
            rain[known:, member + 1] = tables["rain_mm"][name].to_numpy()
        normal = days[known:].isin(ahead.loc[ahead["source"] == "climatology", "date"])
        doubt = np.where(normal[:, None], CLIMATOLOGY_RAIN_SD, 0.0)
        rain[known:] *= np.clip(1 + doubt * draws["rain"], 0.0, None)
    return et0, rain


def _rows(
    parcels: pd.DataFrame,
    irrigation: pd.DataFrame,
    days: pd.DatetimeIndex,
    known: int,
    can: Canopy,
    forcing: Forcing,
    result: Balance,
    n: int,
    m: int,
) -> pd.DataFrame:
    """The table: the central run over all days, the members over the outlook."""
    uids = parcels["parcel_uid"].to_numpy()
    reported = irrigation.set_index(["parcel_uid", "date"])["source"].to_dict()

    def cut(array: np.ndarray) -> np.ndarray:
        return array.reshape(len(days), m + 1, n)

    # About the central run, which the interval is drawn about, not about the members' mean.
    dr = cut(result.dr_mm)
    sd = np.sqrt(np.mean((dr[:, 1:] - dr[:, :1]) ** 2, axis=1))
    columns = {
        "dr_mm": result.dr_mm, "taw_mm": forcing.taw_mm, "raw_mm": result.raw_mm, "kcb": forcing.kcb, "ke": result.ke, "ks": result.ks,
        "et0_mm": forcing.et0_mm, "eta_mm": result.eta_mm, "rain_mm": forcing.rain_mm, "runoff_mm": result.runoff_mm,
        "irrigation_mm": forcing.irrigation_mm, "drainage_mm": result.drainage_mm,
        "root_growth_mm": result.root_growth_mm,
    }  # fmt: skip
    cubes = {name: cut(values) for name, values in columns.items()}
    parts = []
    for member in range(m + 1):
        of = slice(0, len(days)) if member == 0 else slice(known, len(days))
        span = days[of]
        if not len(span):
            continue
        parts.append(
            pd.DataFrame(
                {
                    "parcel_uid": np.tile(uids, len(span)), "date": np.repeat(span.to_numpy(), n), "member": member - 1,
                    "is_forecast": np.repeat(np.arange(len(days))[of] >= known, n),
                    "dr_sd_mm": sd[of].ravel() if member == 0 else np.nan,
                    "kcb_source": np.where(can.from_index[of], "ndvi", "table").ravel(),
                    "fc_frac": can.fc_frac[of].ravel(), "zr_m": can.zr_m[of].ravel(),
                    **{name: cube[of, member].ravel() for name, cube in cubes.items()},
                }
            )
        )  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    table["irrigation_source"] = [
        reported.get((uid, day)) for uid, day in zip(table["parcel_uid"], table["date"], strict=True)
    ]
    return validate(table.sort_values(["parcel_uid", "member", "date"], ignore_index=True), "water")
