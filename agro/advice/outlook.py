"""Depletion ahead, and the same course on changed water: what a counterfactual is tried on."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

#: Upper limit of Kc over a wet surface in dry, windy air (FAO-56 eq. 72 for 3 m/s, 25 % and a tall crop). Surface
#: water is not in the table: after rain it is taken to evaporate at the limit, so that a rain that is said
#: to be enough errs on the large side.
KC_WET = 1.3
#: Rain from which the whole surface counts as wetted, mm (FAO-56 Table 20).
WETTING_RAIN_MM = 3.0
#: Change of p with ETc, 1/(mm/d), and its least (FAO-56 Table 22, note 2).
P_SLOPE, P_LEAST = 0.04, 0.1


@dataclass(frozen=True)
class Outlook:
    """Courses of depletion without irrigation: arrays (days, columns); the first column is the central run, the others members.

    ``start_mm`` (columns,) is the depletion before the first day. ``inflow_mm`` is rain less runoff, and irrigation;
    ``rest_mm`` what closes the day: dr = before - inflow + eta + rest (drainage, and depletion that growing roots
    take over).
    """

    start_mm: np.ndarray
    dr_mm: np.ndarray
    raw_mm: np.ndarray
    taw_mm: np.ndarray
    eta_mm: np.ndarray
    inflow_mm: np.ndarray
    rest_mm: np.ndarray
    kcb: np.ndarray
    ke: np.ndarray
    et0_mm: np.ndarray
    fc_frac: np.ndarray

    @property
    def days(self) -> int:
        """Days ahead."""
        return len(self.dr_mm)

    @classmethod
    def from_water(cls, water: pd.DataFrame) -> Outlook:
        """The outlook of one parcel from its rows of the table ``water``."""
        ahead = water[water["is_forecast"]]
        inflow = ahead["rain_mm"] - ahead["runoff_mm"] + ahead["irrigation_mm"]
        ahead = ahead.assign(inflow_mm=inflow, rest_mm=ahead["drainage_mm"] + ahead["root_growth_mm"])
        names = ["dr_mm", "raw_mm", "taw_mm", "eta_mm", "inflow_mm", "rest_mm", "kcb", "ke", "et0_mm", "fc_frac"]
        wide = ahead.set_index(["date", "member"])[names].unstack("member").sort_index()
        cube = {n: wide[n].to_numpy(dtype=float) for n in names}
        first = {n: values[0] if len(values) else np.zeros(values.shape[1:]) for n, values in cube.items()}
        return cls(start_mm=first["dr_mm"] + first["inflow_mm"] - first["eta_mm"] - first["rest_mm"], **cube)

    def central(self) -> Outlook:
        """The central run alone."""
        return replace(self, **{f.name: getattr(self, f.name)[..., :1] for f in fields(self)})

    def replayed(self, added_now_mm: float = 0.0, rain_mm: float = 0.0) -> Outlook:
        """The same courses with more water in the root zone now, or with more rain on the first day ahead.

        Parameters
        ----------
        added_now_mm : float
            Water that is in the root zone already on the issue date; below 0: water that is not there.
        rain_mm : float
            Rain beyond that forecast, on the first day.

        Returns
        -------
        Outlook
            Each day closes again: Ks follows the new depletion (FAO-56 eq. 84), and with it transpiration (eq. 80); from
            the day after a wetting rain the uncovered surface evaporates at its limit (eq. 71) until the added
            rain is used up; p follows ETc (Table 22).
        """
        before_old, before = self.start_mm, np.clip(self.start_mm - added_now_mm, 0.0, None)
        dr, raw, eta, inflow = self.dr_mm.copy(), self.raw_mm.copy(), self.eta_mm.copy(), self.inflow_mm.copy()
        left = np.full(self.start_mm.shape, rain_mm if rain_mm >= WETTING_RAIN_MM else 0.0)
        for day in range(self.days):
            taw, et0 = self.taw_mm[day], self.et0_mm[day]
            more = np.zeros_like(left)
            if day == 0:
                inflow[0] = inflow[0] + rain_mm
            else:
                wet = np.minimum(np.maximum(KC_WET - self.kcb[day], 0.0), (1.0 - self.fc_frac[day]) * KC_WET)
                more = np.minimum(np.maximum(wet - self.ke[day], 0.0) * et0, left)
                left = left - more
            raw[day] = np.maximum(self.raw_mm[day] - P_SLOPE * more * taw, np.minimum(self.raw_mm[day], P_LEAST * taw))
            less_stress = _ks(before, taw, raw[day]) - _ks(before_old, taw, self.raw_mm[day])
            eta[day] = np.maximum(self.eta_mm[day] + less_stress * self.kcb[day] * et0 + more, 0.0)
            # Where the root zone was full, what closed the day was water that found no room.
            rest = np.where(self.dr_mm[day] > 0.0, self.rest_mm[day], np.minimum(self.rest_mm[day], 0.0))
            dr[day] = np.clip(before - inflow[day] + eta[day] + rest, 0.0, taw)
            if added_now_mm >= 0 and rain_mm >= 0:
                # Water given up twice, by evaporation and by less stress, cannot leave the soil drier than without it.
                beyond = np.maximum(dr[day] - self.dr_mm[day], 0.0)
                dr[day], eta[day] = dr[day] - beyond, eta[day] - beyond
            if day == 0:  # rain that finds no room is not there to evaporate
                left = np.clip(self.dr_mm[0] - dr[0], 0.0, left)
            before_old, before = self.dr_mm[day], dr[day]
        return replace(
            self, start_mm=np.clip(self.start_mm - added_now_mm, 0.0, None), dr_mm=dr, raw_mm=raw, eta_mm=eta, inflow_mm=inflow
        )  # fmt: skip

    def timing(self, dr_mm: float, raw_mm: float, lead_d: int) -> dict[str, Any]:
        """When the central course reaches RAW, and the share of members that reach it.

        ``days_to_trigger`` is 0 when the depletion is there today, None beyond the outlook; ``next_trigger_d`` leaves
        today out; ``lead_prob`` is the share within the lead time, ``trigger_prob`` within the outlook. Without members
        the central course stands for them; where nothing is known ahead, today's depletion has to decide.
        """
        reached = self.dr_mm >= self.raw_mm
        central, members = reached[:, :1], reached[:, 1:]
        above = np.flatnonzero(central)
        following = int(above[0]) + 1 if above.size else None
        counted = members if members.shape[1] else central
        if counted.size:
            lead, whole = float(counted[:lead_d].any(axis=0).mean()), float(counted.any(axis=0).mean())
        else:
            lead = whole = float(dr_mm >= raw_mm)
        return {
            "days_to_trigger": 0 if dr_mm >= raw_mm else following, "next_trigger_d": following, "lead_prob": lead,
            "trigger_prob": whole,
        }  # fmt: skip


def _ks(dr_mm: np.ndarray, taw_mm: np.ndarray, raw_mm: np.ndarray) -> np.ndarray:
    """Water stress coefficient (FAO-56 eq. 84)."""
    span = taw_mm - raw_mm
    return np.where(span > 0, np.clip((taw_mm - dr_mm) / np.where(span > 0, span, 1.0), 0.0, 1.0), 1.0)
