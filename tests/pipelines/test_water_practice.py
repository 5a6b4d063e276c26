"""What a region says of its turns, rest days and volume becomes tables of the run."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pipelines_support import AS_OF, link_region

from agro.schema.errors import ConfigError
from agro.store.workspace import Workspace
from pipelines.weekly import WeeklyResult, practice_tables, read_inputs

OPTIONS = {
    "turns": [
        {"date": date(2022, 4, 14), "depth_mm": 80, "least_mm": 30},
        {"date": date(2022, 4, 28), "depth_mm": 80},
    ],
    "rest_days": ["friday"],
    "max_hours_d": 20,
    "depletion_share": {"wheat_winter": [1.0, 1.0, 1.0, 1.3]},
}


def test_plan_and_turns_of_the_sample_region(week: WeeklyResult, sample_tiles: Path, tmp_path: Path) -> None:
    run = Workspace(week.workspace).region(week.region_id).run(week.issued_on)
    water = run.read("water")
    assert practice_tables(read_inputs(sample_tiles), water, AS_OF) == {} and not run.has("plan")
    region = link_region(sample_tiles, tmp_path / "region", water=OPTIONS)
    tables = practice_tables(read_inputs(region), water, AS_OF)
    plan, turns = tables["plan"], tables["turns"]
    assert (
        len(plan) and not (plan["date"].dt.day_name() == "Friday").any() and (plan["hours"].dropna() <= 20 + 1e-9).all()
    )
    irrigated = set(run.read("parcels").query("`agro:irrigation` != 'rainfed'")["parcel_uid"])
    assert set(turns["parcel_uid"]) == irrigated & set(water["parcel_uid"])
    assert set(turns["date"].dt.date) == {date(2022, 4, 14)}  # the second lies beyond the outlook
    assert len(set(turns["decision"])) > 1


def test_a_crop_that_nobody_knows_is_named(week: WeeklyResult, sample_tiles: Path, tmp_path: Path) -> None:
    region = link_region(sample_tiles, tmp_path / "region", water={"depletion_share": {"rye": [1, 1, 1, 1]}})
    water = Workspace(week.workspace).region(week.region_id).run(week.issued_on).read("water")
    with pytest.raises(ConfigError, match="unknown crop rye"):
        practice_tables(read_inputs(region), water, AS_OF)
