"""``agro check region``: read everything a region names, write nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from agro.advice.rules import RULES_FILE, load_rules
from agro.imagery import group_by_day
from agro.schema.errors import AgroError, NoDataError
from agro.schema.tables import empty
from agro.sources.imagery import open_imagery
from agro.sources.irrigation import load_irrigation
from agro.sources.soil import load_soil
from agro.sources.weather import check_options, load_weather
from pipelines.observe_command import FIRST, LAST
from pipelines.observed_tables import stack
from pipelines.observing import usable_indices
from pipelines.weekly import Inputs, read_inputs, season_start


@dataclass
class Check:
    """What is right, what is wrong, and what would be left out."""

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    rejected: pd.DataFrame = field(default_factory=lambda: empty("rejected"))

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"ok": self.lines, "problems": self.problems, "left_out": self.rejected.to_dict("records")}


def check_region(folder: Path, as_of: date | None = None) -> Check:
    """Check a region; one bad input does not hide the next.

    Parameters
    ----------
    folder : Path
        Region folder.
    as_of : datetime.date, optional
        Date to check the weather for; default: the day of the newest scene.
    """
    check = Check()
    try:
        inputs = read_inputs(folder)
    except AgroError as error:
        check.problems.append(str(error))
        return check
    rejected = [inputs.rejected]
    area_ha = inputs.parcels["metrics:area"].sum() / 1e4
    crops = ", ".join(f"{n} {c}" for c, n in inputs.parcels["agro:crop"].value_counts().sort_index().items())
    check.lines.append(f"parcels     {len(inputs.parcels)}, {area_ha:.1f} ha: {crops}")
    newest = _imagery(inputs, check, rejected)
    day = as_of or newest
    if day is None and all(spec.over_network for spec in inputs.region.imagery):
        check.lines.append("weather, soil, irrigation and rules: give a date to check them: --date")
    elif day is None:
        check.problems.append("weather: without a scene, give the date to check: --date")
    else:
        _rest(inputs, day, check, rejected)
    check.rejected = stack(rejected, "rejected")
    return check


def _imagery(inputs: Inputs, check: Check, rejected: list[pd.DataFrame]) -> date | None:
    region = inputs.region
    for spec in region.imagery:
        if spec.over_network:
            check.lines.append(f"imagery     {spec.label}: over the network, not asked here (agro doctor asks)")
    local = next((spec for spec in region.imagery if not spec.over_network), None)
    if local is None:
        return None
    try:
        found = open_imagery(local, region.folder).search(FIRST, LAST)
        rejected.append(found.rejected)
        if not found.scenes:
            check.problems.append(f"imagery: no scene in {local.label}. Check the folder")
            return None
        keys, _ = usable_indices(region.observe.indices, found.scenes)
        days = sorted(group_by_day(found.scenes))
        check.lines.append(
            f"imagery     {len(found.scenes)} scenes on {len(days)} days, {days[0]} to {days[-1]}; {', '.join(keys)}"
        )
        lacking = sorted(set(region.observe.indices) - set(keys))
        if lacking:
            check.lines.append(f"imagery     bands are lacking for {', '.join(lacking)}: left out")
        return days[-1]
    except AgroError as error:
        check.problems.append(str(error))
        return None


def _rest(inputs: Inputs, day: date, check: Check, rejected: list[pd.DataFrame]) -> None:
    region = inputs.region
    remote = [spec.kind for spec in region.weather if spec.over_network]
    for kind in remote:
        check.lines.append(f"weather     {kind}: over the network, not asked here (agro doctor asks)")
    try:
        check_options(region.weather)
        local = [spec for spec in region.weather if not spec.over_network]
        forcing = load_weather(
            local, region.folder, season_start(region, day), day, region.advice.outlook_d, region.place
        )
        rejected.append(forcing.rejected)
        counts = forcing.weather[~forcing.weather["is_forecast"]]["source"].value_counts()
        ahead = ", ".join(sorted(forcing.weather[forcing.weather["is_forecast"]]["source"].unique())) or "nothing"
        check.lines.append(
            f"weather     to {day}: " + ", ".join(f"{n} days {s}" for s, n in counts.items()) + f"; outlook: {ahead}"
        )
    except NoDataError as error:
        if remote:
            check.lines.append(f"weather     on this machine: {error.what}; the providers have to serve them")
        else:
            check.problems.append(str(error))
    except AgroError as error:
        check.problems.append(str(error))
    try:
        soil = load_soil(region.soil, region.folder, inputs.parcels, inputs.textures)
        rejected.append(soil.rejected)
        counts = soil.soil.groupby("source")["parcel_uid"].nunique()
        check.lines.append("soil        " + ", ".join(f"{n} parcels {s}" for s, n in counts.items()))
        lacking = sorted(set(inputs.parcels["parcel_uid"]) - set(soil.soil["parcel_uid"]))
        if lacking:
            check.problems.append(
                f"soil: none for {len(lacking)} parcels, first {lacking[0]}. End the chain with a texture"
            )
    except AgroError as error:
        check.problems.append(str(error))
    try:
        path = region.resolve(region.irrigation) if region.irrigation else None
        events, bad = load_irrigation(path, inputs.parcels, day)
        rejected.append(bad)
        check.lines.append(f"irrigation  {len(events)} events of {events['parcel_uid'].nunique()} parcels to {day}")
    except AgroError as error:
        check.problems.append(str(error))
    try:
        load_rules(RULES_FILE, region.rules_file)
        check.lines.append(f"rules       {'rules.yaml of the region' if region.rules_file else 'as shipped'}")
    except AgroError as error:
        check.problems.append(str(error))
