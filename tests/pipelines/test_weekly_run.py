"""The whole line on the sample region."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from pipelines_support import AS_OF, link_region, own_copy

from agro.schema.errors import AgroError, ConfigError, NoDataError
from agro.store.workspace import RunFolder, Workspace, read_provenance
from pipelines.units import Manifest
from pipelines.weekly import WeeklyResult, run_weekly


def run_of(result: WeeklyResult) -> RunFolder:
    return Workspace(result.workspace).region(result.region_id).run(result.issued_on)


def tree_digest(folder: Path, skip: tuple[str, ...] = ("run.json", ".lock")) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name not in skip
    }


def entered(units: Path) -> list[Path]:
    """Manifest entries of days of imagery; a name that begins with a dot is a write that was not finished."""
    return [path for path in units.glob("observe-*/*.json") if not path.name.startswith(".")]


def test_every_parcel_has_advice_and_every_table_its_provenance(week: WeeklyResult) -> None:
    run = run_of(week)
    records = run.advice()
    assert {r.parcel_uid for r in records} == set(run.read("parcels")["parcel_uid"])
    for name in (
        "observations",
        "series",
        "phenology",
        "weather",
        "soil",
        "irrigation",
        "water",
        "need",
        "yield",
        "advice",
        "scenes",
    ):
        assert read_provenance(run.path / f"{name}.parquet").artefact == name
    assert all(r.simulated for r in records)
    assert {r.action for r in records} >= {"irrigate", "hold", "abstain"}


def test_nothing_later_than_the_date_is_read(week: WeeklyResult) -> None:
    run = run_of(week)
    day = pd.Timestamp(AS_OF)
    assert run.read("observations")["date"].max() <= day
    assert run.read("series")["date"].max() == day
    weather = run.read("weather")
    assert (weather["issued_at"] <= day).all()
    assert weather[~weather["is_forecast"]]["date"].max() == day
    assert run.read("irrigation")["date"].max() <= day


def test_faults_of_the_sample_are_met(week: WeeklyResult) -> None:
    run = run_of(week)
    scenes = run.read("scenes")
    # The corrupt file costs one band of one scene.
    assert any("swir16" in item for item in run.read("rejected")["item"])
    # The duplicate is not used, the halves are both used.
    twice = scenes[scenes.duplicated("date", keep=False)]
    assert sorted(twice.groupby("date")["used"].sum()) == [1, 2]
    # The offset is applied from the day on which it begins, and not before.
    later = scenes["processing_baseline"].astype(float) >= 4
    assert (scenes.loc[later, "offset_state"] == "applied").all()
    assert (scenes.loc[~later, "offset_state"] == "not_needed").all()
    # Two ribbons are too narrow to be seen.
    assert sum(r.rule_ids == ("not_observable",) for r in run.advice()) == 2


def test_no_step_in_the_index_where_the_offset_begins(week: WeeklyResult) -> None:
    observations = run_of(week).read("observations")
    olive = run_of(week).read("parcels").query("`agro:crop` == 'olive'")["parcel_uid"]
    ndvi = observations[
        (observations["index"] == "ndvi") & observations["usable"] & observations["parcel_uid"].isin(olive)
    ]
    before = ndvi[(ndvi["date"] >= "2022-01-05") & (ndvi["date"] < "2022-01-25")]["mean"].median()
    after = ndvi[(ndvi["date"] >= "2022-01-25") & (ndvi["date"] < "2022-02-14")]["mean"].median()
    assert abs(before - after) < 0.05


def test_depletion_follows_the_hidden_truth(week: WeeklyResult, sample_tiles: Path) -> None:
    """Where irrigation is reported and the crop is annual, the balance is within 35 mm of AquaCrop's for most."""
    run = run_of(week)
    truth = pd.read_parquet(sample_tiles / "truth" / "soil_water.parquet")
    truth = truth[truth["date"] == pd.Timestamp(AS_OF)].set_index("parcel_uid")["depletion_mm"]
    need = run.read("need").set_index("parcel_uid")
    annual = run.read("parcels").query("`agro:crop` in ['wheat_winter', 'sugar_beet', 'maize_silage']")["parcel_uid"]
    chosen = [uid for uid in annual if need.loc[uid, "irrigation_reported"]]
    error = need.loc[chosen, "dr_mm"] - truth.loc[chosen]
    assert len(chosen) >= 15
    assert error.abs().median() < 35


def test_escalated_advice_is_not_published(week: WeeklyResult) -> None:
    text = next(p for p in week.published if p.name == "published.json").read_text(encoding="utf-8")
    for record in run_of(week).advice():
        if record.escalated:
            assert record.advice_id not in text or '"amount_mm": null' in text


def test_the_same_inputs_give_the_same_bytes_and_nothing_is_read_twice(
    week: WeeklyResult, sample_tiles: Path, tmp_path: Path
) -> None:
    again = run_weekly(sample_tiles, AS_OF, tmp_path, languages=("en",))
    first = week.workspace / week.region_id
    assert tree_digest(first) == tree_digest(tmp_path / again.region_id)
    third = run_weekly(sample_tiles, AS_OF, tmp_path, languages=("en",))
    assert third.report["imagery"]["days_read"] == 0
    assert tree_digest(first) == tree_digest(tmp_path / third.region_id)


@pytest.mark.slow
def test_a_killed_run_is_taken_up_again(week: WeeklyResult, sample_tiles: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pipelines.cli",
        "run",
        "weekly",
        "-r",
        str(sample_tiles),
        "-d",
        AS_OF.isoformat(),
        "-w",
        str(tmp_path),
        "-l",
        "en",
    ]
    units = tmp_path / "sample-haouz" / "units"
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(entered(units)) < 8 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(entered(units)) >= 8
    result = run_weekly(sample_tiles, AS_OF, tmp_path, languages=("en",))
    assert result.report["imagery"]["days_reused"] >= 8
    left = {k: v for k, v in tree_digest(tmp_path / "sample-haouz").items() if not Path(k).name.startswith(".")}
    assert left == tree_digest(week.workspace / week.region_id)


def test_two_runs_cannot_meet(sample_tiles: Path, tmp_path: Path) -> None:
    (tmp_path / "sample-haouz").mkdir()
    with FileLock(tmp_path / "sample-haouz" / ".lock"), pytest.raises(AgroError, match="another run"):
        run_weekly(sample_tiles, AS_OF, tmp_path)


def test_a_correction_supersedes_and_keeps_what_was_issued(sample_tiles: Path, tmp_path: Path) -> None:
    region = link_region(sample_tiles, tmp_path / "region")
    early = date(2021, 12, 6)
    run_weekly(region, early, tmp_path / "w", languages=("en",))
    store = Workspace(tmp_path / "w").region("sample-haouz")
    before = {r.parcel_uid: r for r in store.run(early).advice()}
    irrigation = own_copy(region, "irrigation") / "reported.csv"
    uid = next(r.parcel_uid for r in before.values() if r.action == "irrigate")
    irrigation.write_text(irrigation.read_text(encoding="utf-8") + f"{uid},2021-12-05,120,reported\n", encoding="utf-8")
    run_weekly(region, early, tmp_path / "w", languages=("en",))
    after = {r.parcel_uid: r for r in store.run(early).advice()}
    assert after[uid].advice_id != before[uid].advice_id
    assert after[uid].supersedes == before[uid].advice_id
    kept = list((store.run(early).path / "superseded").glob("*/advice.json"))
    assert len(kept) == 1 and before[uid].advice_id in kept[0].read_text(encoding="utf-8")
    unchanged = [u for u in before if after[u].advice_id == before[u].advice_id]
    assert unchanged and all(after[u].supersedes is None for u in unchanged)


def test_a_period_without_images_abstains(sample_tiles: Path, tmp_path: Path) -> None:
    region = link_region(sample_tiles, tmp_path / "region")
    result = run_weekly(region, date(2021, 9, 2), tmp_path / "w", languages=("en",))
    records = run_of(result).advice()
    assert {r.action for r in records} == {"abstain"}
    assert all(r.escalated for r in records)
    assert "no scene" in " ".join(result.rejected["reason"])
    assert result.exit_code == 3


def test_bad_rows_cost_a_line_each_and_no_more(sample_tiles: Path, tmp_path: Path) -> None:
    region = link_region(sample_tiles, tmp_path / "region")
    weather = own_copy(region, "weather") / "station.csv"
    lines = weather.read_text(encoding="utf-8").splitlines()
    lines[20] = ",".join([*lines[20].split(",")[:-1], "-4"])
    weather.write_text("\n".join(lines) + "\n", encoding="utf-8")
    soil = own_copy(region, "soil") / "soil.csv"
    table = pd.read_csv(soil)
    uid = table["parcel_uid"].iloc[0]
    table.loc[table["parcel_uid"] == uid, "wp_m3_m3"] = 0.5
    table.to_csv(soil, index=False)
    irrigation = own_copy(region, "irrigation") / "reported.csv"
    irrigation.write_text(irrigation.read_text(encoding="utf-8") + "nobody,2021-10-01,20,reported\n", encoding="utf-8")
    result = run_weekly(region, date(2021, 12, 6), tmp_path / "w", languages=("en",))
    reasons = " | ".join(result.rejected["item"] + " " + result.rejected["reason"])
    assert "rain_mm -4 is outside" in reasons
    assert "wilting point 0.5 is not below field capacity" in reasons
    assert "no such parcel nobody" in reasons
    run = run_of(result)
    assert run.read("soil").query("parcel_uid == @uid")["source"].iloc[0] == "texture_default:loam"
    assert run.read("weather")["rain_mm"].min() >= 0
    assert len(run.advice()) == 60


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"parcels": {"path": "nothing.geojson"}}, ConfigError, "no such file"),
        ({"imagery": {"kind": "drone", "path": "imagery"}}, ConfigError, "unknown kind of imagery"),
        ({"soil": [{"kind": "texture", "texture": "mud"}]}, ConfigError, "unknown texture"),
        ({"weather": [{"kind": "station", "path": "weather/station.csv"}]}, NoDataError, "no weather for"),
        ({"colour": "green"}, ConfigError, "colour"),
    ],
)  # fmt: skip
def test_a_wrong_region_says_what_where_and_what_to_do(
    sample_tiles: Path, tmp_path: Path, changes: dict[str, object], error: type[AgroError], said: str
) -> None:
    region = link_region(sample_tiles, tmp_path / "region", **changes)
    with pytest.raises(error, match=said) as caught:
        run_weekly(region, AS_OF, tmp_path / "w")
    assert caught.value.do
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix" or not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_harms_nothing_written_before(tmp_path: Path) -> None:
    from agro.store.atomic import write_text

    target = tmp_path / "kept.txt"
    write_text(target, "before")
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); "
    code = f"{limit}from pathlib import Path; from agro.store.atomic import write_text; write_text(Path({str(target)!r}), 'x' * 100_000)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert target.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]


def test_a_unit_whose_file_was_changed_is_done_again(week: WeeklyResult, tmp_path: Path) -> None:
    from pipelines.units import Unit

    manifest = Manifest(tmp_path)
    artefact = tmp_path / "a.txt"
    artefact.write_text("one")
    unit = Unit("step/1", "piece", parameters={"p": 1})
    assert manifest.done(unit) is None
    manifest.enter(unit, [artefact], {})
    assert manifest.done(unit) is not None
    assert manifest.done(Unit("step/1", "piece", parameters={"p": 2})) is None
    artefact.write_text("two")
    assert manifest.done(unit) is None


def test_series_of_the_run_are_sound(week: WeeklyResult) -> None:
    series = run_of(week).read("series")
    value = series[series["index"] == "ndvi"]["value"].to_numpy()
    assert np.nanmin(value) > -0.2 and np.nanmax(value) < 1.0
