"""Keys of every sentence that advice may speak, with the parameters each takes.

The wording, in each language, is in the catalogues of :mod:`agro.reports`; a test holds the two together.
"""

from __future__ import annotations

MESSAGES: dict[str, tuple[str, ...]] = {
    # what to do: one per advice record
    "advice.irrigate": ("amount_mm", "volume_m3", "window_start", "window_end"),
    "advice.irrigate_hours": ("amount_mm", "volume_m3", "hours", "window_start", "window_end"),
    "advice.hold": ("days",),  # no irrigation needed within so many days
    "advice.hold_rainfed": (),
    "advice.inspect": ("what",),  # what: a message key "inspect.*"
    "advice.abstain": ("why",),  # why: a message key "abstain.*"
    "inspect.behind_neighbours": (),
    "inspect.stress": (),
    "inspect.conflict": (),
    "abstain.clear_look": ("days",),
    "abstain.never_seen": (),
    "abstain.not_observable": ("pixels",),
    "abstain.covered_crop": (),
    "abstain.no_weather": (),
    "abstain.no_soil": (),
    "abstain.interval": ("width_mm", "raw_mm"),
    # reasons
    "reason.depletion_above_raw": ("dr_mm", "raw_mm"),
    "reason.depletion_below_raw": ("dr_mm", "raw_mm"),
    "reason.reaches_raw_soon": ("date", "prob_pct"),
    "reason.rain_expected": ("rain_mm", "days"),
    "reason.no_rain_expected": ("days",),
    "reason.high_demand": ("et0_mm", "days"),
    "reason.recent_irrigation": ("depth_mm", "date"),
    "reason.stress_days": ("days",),
    "reason.canopy_behind_neighbours": ("value", "median", "count"),
    "reason.canopy_growing": ("change",),
    "reason.canopy_declining": ("change",),
    "reason.near_harvest": (),
    "reason.not_sown": (),
    "reason.no_irrigation_record": ("days",),
    # confidence
    "confidence.clear_age": ("days",),
    "confidence.ensemble_spread": ("width_mm",),
    "confidence.soil_source": ("source",),
    "confidence.weather_source": ("source",),
    "confidence.irrigation_record": (),
    # escalation to a person
    "escalate.clear_look_old": ("days",),
    "escalate.default_soil": (),
    "escalate.fallback_weather": ("source",),
    "escalate.conflict": (),
    "escalate.interval_wide": ("width_mm", "raw_mm"),
    "escalate.not_observable": (),
    "escalate.first_season": (),
    "escalate.forecast_missing": (),
    "escalate.low_confidence": ("confidence_pct",),
    # what would change the advice
    "counterfactual.rain": ("rain_mm", "date"),
    "counterfactual.irrigation": ("depth_mm",),
    "counterfactual.depletion": ("dr_mm",),
    # evidence names
    "evidence.depletion": (),
    "evidence.taw": (),
    "evidence.raw": (),
    "evidence.ndvi": (),
    "evidence.ndvi_neighbours": (),
    "evidence.kcb": (),
    "evidence.et0_week": (),
    "evidence.rain_week": (),
    "evidence.et0_outlook": (),
    "evidence.rain_outlook": (),
    "evidence.clear_age": (),
    "evidence.soil": (),
    "evidence.weather": (),
    "evidence.efficiency": (),
    "evidence.last_irrigation": (),
    "evidence.stress_days": (),
    "evidence.trigger_prob": (),
    "evidence.area": (),
}
