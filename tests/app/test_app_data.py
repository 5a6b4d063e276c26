from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from fake_workspace import ISSUED, REGION

from agro.schema.errors import ContractError, NoDataError
from agro.store.workspace import RunFolder
from app import data
from app.cached import read


def own_folder(root: Path) -> Path:
    return root / REGION / "runs" / ISSUED.isoformat()


def test_a_region_says_its_name_and_days(workspace: Path) -> None:
    (region,) = data.regions(workspace)
    assert (region.region_id, region.simulated) == (REGION, True)
    assert region.issue_dates == (date(2019, 4, 8), ISSUED)
    assert region.unfinished == ()
    assert region.name["ar"].startswith("سهل")


def test_an_absent_workspace_has_no_regions(tmp_path: Path) -> None:
    assert data.regions(tmp_path / "nothing") == []


def test_a_run_without_advice_is_unfinished(own_workspace: Path) -> None:
    (own_folder(own_workspace) / "advice.json").unlink()
    (region,) = data.regions(own_workspace)
    assert region.issue_dates == ()
    assert region.unfinished == (ISSUED,)
    assert "series" in data.artefacts(own_folder(own_workspace))


@pytest.mark.parametrize("content", ["{", "[1, 2]"])
def test_a_broken_region_file_is_said(own_workspace: Path, content: str) -> None:
    (own_workspace / REGION / "region.json").write_text(content)
    with pytest.raises(ContractError, match="region file is broken"):
        data.regions(own_workspace)


def test_outlines_are_those_that_geopandas_reads(folder: Path) -> None:
    found = data.parcels(folder)
    truth = gpd.read_parquet(folder / "parcels.parquet")
    assert list(found.table["parcel_uid"]) == list(truth["parcel_uid"])
    assert shapely.equals(np.array(found.outlines), truth.geometry.to_numpy()).all()
    assert found.bounds == pytest.approx(tuple(truth.total_bounds))
    assert found.rows["p003"]["agro:crop"] == found.row("p003")["agro:crop"] == "citrus"


@pytest.mark.parametrize(
    ("reader", "table", "args"),
    [
        (data.parcels, "parcels", ()),
        (data.index_keys, "series", ()),
        (data.index_on, "series", ("ndvi", ISSUED)),
        (data.parcel_water, "water", ("p001",)),
    ],
)
def test_a_broken_and_an_absent_file_are_told_apart(own_workspace: Path, reader, table: str, args) -> None:  # type: ignore[no-untyped-def]
    path = own_folder(own_workspace) / f"{table}.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ContractError) as broken:
        reader(path.parent, *args)
    assert table in broken.value.where
    assert broken.value.do
    path.unlink()
    with pytest.raises(NoDataError):
        reader(path.parent, *args)


def test_a_table_that_breaks_its_contract_is_refused(own_workspace: Path) -> None:
    path = own_folder(own_workspace) / "water.parquet"
    table = pd.read_parquet(path)
    table.loc[0, "rain_mm"] = -1.0
    table.to_parquet(path, index=False)
    with pytest.raises(ContractError, match="rain_mm"):
        data.parcel_water(path.parent, str(table.loc[0, "parcel_uid"]))


def test_parts_are_rows_of_the_whole(folder: Path) -> None:
    run = RunFolder(folder)
    series = run.read("series")
    day = date(2019, 3, 1)
    part = data.index_on(folder, "evi2", day)
    whole = series[(series["date"] == pd.Timestamp(day)) & (series["index"] == "evi2")].set_index("parcel_uid")
    pd.testing.assert_series_equal(part["value"].sort_index(), whole["value"].sort_index())
    seen = data.parcel_observations(folder, "p002", "ndvi")
    assert set(seen["parcel_uid"]) == {"p002"}
    assert set(seen["index"]) == {"ndvi"}
    assert seen["date"].is_monotonic_increasing
    assert data.index_keys(folder) == ["ndvi", "evi2", "ndmi"]
    days = data.series_dates(folder)
    assert days[-1] == ISSUED
    assert days == sorted(set(days))
    scenes = run.read("scenes")
    assert len(data.image_dates(folder)) == scenes.loc[scenes["used"], "date"].nunique() < len(scenes)


def test_depletion_of_a_known_day_is_the_central_run_and_ahead_the_mean(folder: Path) -> None:
    water = RunFolder(folder).read("water")
    known = data.depletion_on(folder, ISSUED)
    row = water[(water["date"] == pd.Timestamp(ISSUED)) & (water["parcel_uid"] == "p005")].iloc[0]
    assert known.at["p005", "depletion_frac"] == pytest.approx(row["dr_mm"] / row["taw_mm"])
    assert not known["is_forecast"].any()
    day = ISSUED + timedelta(days=4)
    ahead = data.depletion_on(folder, day)
    members = water[(water["date"] == pd.Timestamp(day)) & (water["parcel_uid"] == "p005")]
    assert len(members) == 6
    assert ahead.at["p005", "dr_mm"] == pytest.approx(members["dr_mm"].mean())
    assert ahead["is_forecast"].all()


def test_the_depletion_curve_keeps_its_interval_in_order(folder: Path) -> None:
    curve = data.depletion_curve(data.parcel_water(folder, "p004"))
    assert curve["date"].is_unique
    assert (curve["low_mm"] <= curve["dr_mm"] + 1e-9).all()
    past = curve[~curve["is_forecast"]]
    assert (past["high_mm"] <= past["taw_mm"]).all()
    assert (past["low_mm"] >= 0).all()
    assert curve["is_forecast"].sum() == 7


def test_one_member_has_no_spread(folder: Path) -> None:
    water = data.parcel_water(folder, "p004")
    curve = data.depletion_curve(water[water["member"] <= 0])
    ahead = curve[curve["is_forecast"]]
    assert ahead["low_mm"].isna().all()
    assert ahead["high_mm"].isna().all()
    assert ahead["dr_mm"].notna().all()
    assert data.depletion_curve(water[~water["is_forecast"]])["is_forecast"].sum() == 0


def test_bars_add_up_to_the_balance(folder: Path) -> None:
    water = data.parcel_water(folder, "p001")
    bars = data.water_bars(water)
    past = water[~water["is_forecast"]]
    assert bars["date"].is_unique
    assert bars.loc[~bars["is_forecast"], "rain_mm"].sum() == pytest.approx(past["rain_mm"].sum())
    assert bars.loc[~bars["is_forecast"], "irrigation_mm"].sum() == pytest.approx(past["irrigation_mm"].sum())


def test_a_superseded_advice_is_left_out(own_workspace: Path) -> None:
    run = RunFolder(own_folder(own_workspace))
    records = run.advice()
    newer = records[0].model_copy(update={"advice_id": "newer", "supersedes": records[0].advice_id, "action": "hold"})
    run.write_advice([newer, *records])
    assert data.advice(run.path)[records[0].parcel_uid].advice_id == "newer"


def test_yield_is_none_where_the_run_has_none(own_workspace: Path, folder: Path) -> None:
    found = data.parcel_yield(folder, "p001")
    assert found is not None
    assert found["yield_t_ha"] == pytest.approx(5.2)
    (own_folder(own_workspace) / "yield.parquet").unlink()
    assert data.parcel_yield(own_folder(own_workspace), "p001") is None


def test_what_is_remembered_follows_the_file(own_workspace: Path) -> None:
    run = RunFolder(own_folder(own_workspace))
    before = read(data.advice, run.path)
    assert read(data.advice, run.path) == before
    run.write_advice(run.advice()[:2])
    stat = (run.path / "advice.json").stat()
    os.utime(run.path / "advice.json", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))
    assert len(read(data.advice, run.path)) == 2
