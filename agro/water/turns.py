"""Canal turns: the day and the depth are fixed, so the advice is to take, reduce or skip the next one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd

from agro.schema.crops import Crop
from agro.schema.errors import ConfigError
from agro.schema.region import Turn, WaterOptions
from agro.schema.tables import empty, validate
from agro.water.outlook import Outlook, outlook
from agro.water.planning import limited

#: A turn is skipped when no more than this share of the members runs into stress before the next one.
ACCEPTED_RISK = 0.2
#: A turn is taken whole when no more than this share of it would be lost below the roots.
ACCEPTED_LOSS = 0.1


def turn_advice(
    water: pd.DataFrame, parcels: pd.DataFrame, crops: Mapping[str, Crop], options: WaterOptions, as_of: date
) -> pd.DataFrame:
    """Take, reduce or skip, for each parcel and each turn within the outlook.

    Skip: hardly a member passes the allowed depletion before the turn after this one; days beyond the outlook go on drying at the
    pace of its last days, and after the last turn that is told the end of the outlook counts. Take: the
    soil can hold nearly all of it. Reduce: it cannot; the depth that it can hold is asked for, no less than the canal gives
    (all or nothing where the turn says no least depth: then it is taken). A rainfed parcel has no turn. What an earlier
    turn of the outlook brings is counted in the later ones.

    Parameters
    ----------
    water, parcels : pandas.DataFrame
        Tables of the run.
    crops : mapping
        Crop table.
    options : WaterOptions
        ``turns``; a turn's ``volume_m3`` is shared by worth where it is less than what is asked for.
    as_of : datetime.date
        Issue date; turns after it and within the outlook are decided.

    Returns
    -------
    pandas.DataFrame
        Table ``turns``.

    Raises
    ------
    ConfigError
        Two turns of a sector on one day, a sector that no parcel has, or worth not known where a volume is to be shared.
    """
    _distinct(options.turns, parcels)
    if not len(water):
        return empty("turns")
    ahead = outlook(water, parcels, crops, options, as_of)
    last = ahead.days[-1].date()
    applied = np.zeros(len(ahead.parcels))
    parts = []
    for turn in sorted(options.turns, key=lambda t: (t.date, t.sector or "")):
        of = _served(turn, ahead)
        if turn.date <= as_of or turn.date > last or not of.any():
            continue
        one = _decide(turn, of, _next_turns(turn, ahead, options.turns), applied, ahead)
        if turn.volume_m3 is not None and one["volume_m3"].sum() > turn.volume_m3:
            one = _shared(one, turn, ahead, crops, options)
        applied[one["row"].to_numpy()] += one["net_mm"].to_numpy()
        parts.append(one.drop(columns="row"))
    if not parts:
        return empty("turns")
    return validate(pd.concat(parts).sort_values(["parcel_uid", "date"], ignore_index=True), "turns")


def _distinct(turns: tuple[Turn, ...], parcels: pd.DataFrame) -> None:
    sectors = set(parcels["agro:sector"].dropna())
    seen: list[Turn] = []
    for turn in turns:
        if turn.sector is not None and turn.sector not in sectors:
            raise ConfigError(
                f"no parcel in sector {turn.sector}", where="water: turns", do=f"Sectors: {', '.join(sorted(sectors))}"
            )
        for other in seen:
            if other.date == turn.date and (None in (other.sector, turn.sector) or other.sector == turn.sector):
                raise ConfigError(
                    f"two turns of one sector on {turn.date}", where="water: turns", do="Give one, with the whole depth"
                )
        seen.append(turn)


def _served(turn: Turn, ahead: Outlook) -> np.ndarray:
    """Which parcels the turn comes to."""
    irrigated = (ahead.parcels["agro:irrigation"] != "rainfed").to_numpy()
    return irrigated & (True if turn.sector is None else (ahead.parcels["agro:sector"] == turn.sector).to_numpy())


def _next_turns(turn: Turn, ahead: Outlook, turns: tuple[Turn, ...]) -> pd.DatetimeIndex:
    """Day of each parcel's turn after this one; NaT where none is told."""
    found = np.full(len(ahead.parcels), np.datetime64("NaT"), dtype="datetime64[ns]")
    for later in sorted((t for t in turns if t.date > turn.date), key=lambda t: t.date, reverse=True):
        found[_served(later, ahead)] = np.datetime64(later.date)
    return pd.DatetimeIndex(found)


def _decide(
    turn: Turn, of: np.ndarray, following: pd.DatetimeIndex, applied: np.ndarray, ahead: Outlook
) -> pd.DataFrame:
    """Decision and amounts of the parcels that the turn comes to."""
    day = int(ahead.days.searchsorted(pd.Timestamp(turn.date)))
    left = ahead.dr_mm - applied[:, None, None]
    # The pace of the last days of the outlook, member by member: what goes on beyond it.
    back = min(3, ahead.dr_mm.shape[2] - 1)
    pace = np.maximum((ahead.dr_mm[:, :, -1] - ahead.dr_mm[:, :, -1 - back]) / back, 0.0)
    last, a_day = ahead.days[-1].to_datetime64(), np.timedelta64(1, "D")
    end = np.where(following.isna(), last + a_day, following.to_numpy())
    beyond = np.maximum((end - last) / a_day - 1.0, 0.0)
    within = ahead.days.to_numpy()[None, :] < end[:, None]
    counted = within & (np.arange(len(ahead.days)) >= day)[None, :]
    dry = ((left >= ahead.allowed_mm) & counted[:, None, :]).any(axis=2)
    dry |= (left[:, :, -1] + pace * beyond[:, None] >= ahead.allowed_mm[:, :, -1]) & (beyond > 0)[:, None]
    risk = dry.mean(axis=1)
    whole = turn.depth_mm * ahead.efficiency_frac
    held = np.minimum(np.maximum(left[:, :, day], 0.0), whole[:, None]).mean(axis=1)
    gross = np.full(len(risk), turn.depth_mm)
    if turn.least_mm is not None:
        fits = held < (1.0 - ACCEPTED_LOSS) * whole
        gross = np.where(fits, np.maximum(held / ahead.efficiency_frac, turn.least_mm), gross)
    decision = np.where(risk <= ACCEPTED_RISK, "skip", np.where(gross < turn.depth_mm, "reduce", "take"))
    gross = np.where(decision == "skip", 0.0, gross)
    net = gross * ahead.efficiency_frac
    return pd.DataFrame(
        {
            "parcel_uid": ahead.parcels["parcel_uid"].to_numpy(), "date": pd.Timestamp(turn.date), "decision": decision, "net_mm": net,
            "gross_mm": gross, "volume_m3": ahead.volume_m3(net), "stress_if_skipped_frac": risk, "lost_if_taken_mm": whole - held,
            "depletion_mm": left[:, :, day].mean(axis=1), "next_turn": following, "met_frac": 1.0, "row": np.arange(len(risk)),
        }
    )[of]  # fmt: skip


def _shared(
    one: pd.DataFrame, turn: Turn, ahead: Outlook, crops: Mapping[str, Crop], options: WaterOptions
) -> pd.DataFrame:
    """The turn's volume shared by worth: who gets less than was asked for reduces, or skips where nothing is left."""
    assert turn.volume_m3 is not None
    need = np.zeros(len(ahead.parcels))
    need[one["row"].to_numpy()] = one["net_mm"].to_numpy()
    met = limited(ahead, need, crops, options, turn.volume_m3).table["met_frac"].to_numpy()[one["row"].to_numpy()]
    out = one.assign(met_frac=np.where(one["net_mm"] > 0, met, 1.0))
    for name in ("net_mm", "gross_mm", "volume_m3"):
        out[name] = out[name] * out["met_frac"]
    cut = (out["decision"] != "skip") & (out["met_frac"] < 1.0)
    out.loc[cut, "decision"] = np.where(out.loc[cut, "met_frac"] > 0, "reduce", "skip")
    return out
