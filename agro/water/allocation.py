"""A volume that is too small, shared over parcels so that the least is lost: a linear programme (HiGHS through scipy).

The loss of yield is linear in the evapotranspiration that is missing (FAO-33, Doorenbos & Kassam 1979: 1 - Ya/Ym = Ky (1 -
ETa/ETm)), so a millimetre is worth Ky x yield x price / ETm on each hectare, up to the need. Who gets water is then a question
of price as much as of need: ``floor_frac`` keeps a share for everyone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from agro.schema.errors import BudgetError, ContractError

#: 1 mm on 1 ha.
M3_PER_MM_HA = 10.0
#: Limits are kept short by this share, so that no rounding of a sum carries the volume over.
HAIR = 1e-9
#: Columns of a demand, each with the least that it may hold.
DEMAND: dict[str, float] = {
    "area_ha": 0.0, "need_mm": 0.0, "efficiency_frac": 0.01, "etm_mm": 1e-6, "ky": 0.0, "yield_t_ha": 0.0, "price_per_t": 0.0,
}  # fmt: skip


@dataclass(frozen=True)
class Shares:
    """Who gets what.

    ``table``: the demand with net_mm, gross_mm, volume_m3, met_frac (share of the need; 1 where nothing is needed), saved (value of the
    yield that the water keeps, in the prices' currency).
    """

    table: pd.DataFrame
    used_m3: float
    saved: float
    #: Value of one more cubic metre in all; 0 when the volume is not the limit.
    worth_per_m3: float


def share_volume(
    demand: pd.DataFrame,
    volume_m3: float,
    *,
    water_price_per_m3: float = 0.0,
    floor_frac: float = 0.0,
    group_limits_m3: Mapping[str, float] | None = None,
) -> Shares:
    """Share a volume over parcels, and periods where there are several, for the greatest value of yield less water.

    Parameters
    ----------
    demand : pandas.DataFrame
        A row a parcel (and period): parcel_uid, area_ha, need_mm (net depth that would close the deficit), efficiency_frac,
        etm_mm (ET without stress of the season or stage that ky is for), ky, yield_t_ha and price_per_t (without stress),
        and ``group`` where there are `group_limits_m3` (a turn, a sector, a week).
    volume_m3 : float
        At the field inlet, for all rows together.
    water_price_per_m3 : float
        Water that is worth less than it costs is not given.
    floor_frac : float
        Share of its need that each row gets before value counts.
    group_limits_m3 : mapping, optional
        Volume of each group, beside the whole.

    Returns
    -------
    Shares
        Never more than the volume, nor than a row's need.

    Raises
    ------
    BudgetError
        The floors alone need more than there is.
    ContractError
        A column is absent, a value missing or out of range, a group without limit.
    """
    table = _checked(demand, group_limits_m3)
    if not np.isfinite(volume_m3) or volume_m3 < 0 or not 0 <= floor_frac <= 1:
        raise ContractError(f"volume {volume_m3} m3 or floor {floor_frac} out of range", where="shared volume")
    m3_per_mm = (M3_PER_MM_HA * table["area_ha"] / table["efficiency_frac"]).to_numpy()
    value_per_mm = (
        table["area_ha"] * table["ky"] * table["yield_t_ha"] * table["price_per_t"] / table["etm_mm"]
    ).to_numpy()
    need = table["need_mm"].to_numpy(dtype=float)
    # In cubic metres each row weighs the same in the volume: the programme is well scaled.
    most_m3 = need * m3_per_mm
    worth = np.divide(value_per_mm, m3_per_mm, out=np.zeros_like(need), where=m3_per_mm > 0) - water_price_per_m3
    limits, rows = _limits(table, volume_m3, group_limits_m3)
    floors = floor_frac * most_m3
    short = rows @ floors > limits * (1 + HAIR)
    if short.any():
        raise BudgetError(
            f"a floor of {floor_frac:.0%} of the need takes {float((rows @ floors)[short][0]):.0f} m3 and there are {limits[short][0]:.0f}",
            where="shared volume", do="Lower the floor or find more water",
        )  # fmt: skip
    # Floors give way by ten hairs: where they take all there is, there is still room below the limit.
    given, worth_per_m3 = _solve(worth, floors * (1 - 10 * HAIR), most_m3, rows, limits * (1 - HAIR))
    net = np.minimum(np.divide(given, m3_per_mm, out=np.zeros_like(need), where=m3_per_mm > 0), need)
    out = table.assign(
        net_mm=net,
        gross_mm=net / table["efficiency_frac"].to_numpy(),
        volume_m3=given,
        met_frac=np.divide(net, need, out=np.ones_like(need), where=need > 0),
        saved=net * value_per_mm,
    )
    return Shares(out, float(given.sum()), float(out["saved"].sum()), worth_per_m3)


def _checked(demand: pd.DataFrame, limits: Mapping[str, float] | None) -> pd.DataFrame:
    wanted = ["parcel_uid", *DEMAND, *(["group"] if limits else [])]
    absent = [name for name in wanted if name not in demand]
    if absent:
        raise ContractError(f"no column {', '.join(absent)}", where="demand", do=f"Needed: {', '.join(wanted)}")
    table = demand.reset_index(drop=True)
    for name, least in DEMAND.items():
        values = table[name].to_numpy(dtype=float)
        wrong = ~np.isfinite(values) | (values < least)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ContractError(
                f"{name} {values[row]:g} of parcel {table['parcel_uid'].iloc[row]}",
                where="demand",
                do=f"Give a number of at least {least:g}",
            )
    if (table["efficiency_frac"] > 1).any():
        raise ContractError("an efficiency above 1", where="demand", do="Give a share")
    unknown = set(table["group"]) - set(limits) if limits else set()
    if unknown:
        raise ContractError(f"no limit for group {', '.join(sorted(map(str, unknown)))}", where="demand", do="Add it")
    return table


def _limits(
    table: pd.DataFrame, volume_m3: float, group_limits: Mapping[str, float] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Limits (m3) and which rows count towards each: the whole first, then group by group."""
    limits, rows = [volume_m3], [np.ones(len(table), dtype=float)]
    for group, limit in (group_limits or {}).items():
        limits.append(float(limit))
        rows.append((table["group"] == group).to_numpy().astype(float))
    return np.array(limits), np.array(rows).reshape(len(limits), len(table))


def _solve(
    worth: np.ndarray, least: np.ndarray, most: np.ndarray, rows: np.ndarray, limits: np.ndarray
) -> tuple[np.ndarray, float]:
    """Volumes of greatest worth, and what one more cubic metre in all would be worth."""
    from scipy.optimize import linprog

    if not len(worth):
        return np.zeros(0), 0.0
    found = linprog(-worth, A_ub=rows, b_ub=limits, bounds=np.column_stack((least, most)), method="highs")
    if found.x is None:
        raise BudgetError(f"no sharing was found: {found.message}", where="shared volume", do="Check the limits")
    given = np.clip(found.x, least, most)
    # The solver keeps limits to its tolerance; what lies above is taken back from the rows that stand above their floor.
    for row, limit in zip(rows, limits, strict=True):
        spare = (given - least) * row
        over = float(row @ given) - limit
        if over > 0 and spare.sum() > 0:
            given = given - spare * min(over * (1 + 1e-9) / spare.sum(), 1.0)
    return given, max(float(-found.ineqlin.marginals[0]), 0.0)
