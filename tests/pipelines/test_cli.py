"""Commands as a person types them: output, exit codes, JSON, one clear line for each mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from pipelines_support import AS_OF, link_region

from pipelines.weekly import WeeklyResult


def agro(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


@pytest.mark.parametrize(
    "command",
    [(), ("run", "weekly"), ("check", "region"), ("new-region",), ("observe",), ("balance",), ("publish",), ("status",), ("app",), ("demo",), ("sample-region",)],
)  # fmt: skip
def test_help_has_an_example(command: tuple[str, ...]) -> None:
    done = agro(*command, "--help")
    assert done.returncode == 0
    assert not command or "agro " in done.stdout


def test_status_in_words_and_for_machines(week: WeeklyResult) -> None:
    done = agro("status", "-w", week.workspace, "--json")
    rows = json.loads(done.stdout)
    assert done.returncode == 0 and rows[0]["region"] == "sample-haouz" and rows[0]["parcels"] == 60
    assert "sample-haouz" in agro("status", "-w", week.workspace).stdout


def test_status_of_an_empty_workspace_says_what_to_do(tmp_path: Path) -> None:
    done = agro("status", "-w", tmp_path)
    assert done.returncode == 0 and "agro demo" in done.stdout


def test_check_region_of_the_sample(sample_tiles: Path) -> None:
    done = agro("check", "region", sample_tiles, "--date", AS_OF, "--json")
    body = json.loads(done.stdout)
    assert done.returncode == 0, body
    assert any("60" in line and "parcels" in line for line in body["ok"])


def test_check_region_names_every_problem(sample_tiles: Path, tmp_path: Path) -> None:
    region = link_region(
        sample_tiles,
        tmp_path / "r",
        soil=[{"kind": "texture", "texture": "mud"}],
        weather=[{"kind": "station", "path": "gone.csv"}],
    )
    done = agro("check", "region", region, "--json")
    problems = " | ".join(json.loads(done.stdout)["problems"])
    assert done.returncode == 1 and "unknown texture" in problems and "gone.csv" in problems


def test_check_region_asks_no_weather_provider(sample_tiles: Path, tmp_path: Path) -> None:
    region = link_region(sample_tiles, tmp_path / "r", weather=[{"kind": "openmeteo"}, {"kind": "power"}])
    done = agro("check", "region", region, "--json")
    body = json.loads(done.stdout)
    assert done.returncode == 0, body
    told = " | ".join(body["ok"])
    assert "openmeteo: over the network, not asked here" in told and "the providers have to serve them" in told
    wrong = link_region(sample_tiles, tmp_path / "w", weather=[{"kind": "openmeteo", "options": {"membres": 3}}])
    problems = json.loads(agro("check", "region", wrong, "--json").stdout)["problems"]
    assert any("unknown option membres" in problem for problem in problems)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("run", "weekly", "-r", "nowhere", "-d", "2022-04-11", "-w", "w"), 1, "no region.yaml here"),
        (("run", "weekly", "-r", "nowhere", "-d", "11/04/2022", "-w", "w"), 2, "is not a date"),
        (("balance", "nowhere", "--out", "x.csv"), 1, "not a folder"),
        (("observe", "nowhere.tif", "p.geojson"), 1, "no such file"),
        (("publish", "-w", "nowhere", "-d", "2022-04-11"), 1, "no region in this workspace"),
    ],
)  # fmt: skip
def test_mistakes_are_one_clear_line(tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = agro(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_an_error_for_machines(tmp_path: Path) -> None:
    done = agro("run", "weekly", "-r", tmp_path, "-d", "2022-04-11", "-w", tmp_path / "w", "--json")
    body = json.loads(done.stdout)
    assert done.returncode == 1 and body["error"] == "ConfigError" and body["do"]


def test_a_region_without_files_but_its_parcels(tmp_path: Path, sample_tiles: Path) -> None:
    told = (
        "--parcels",
        sample_tiles / "parcels.geojson",
        "--online",
        "--crop",
        "olive",
        "--system",
        "drip",
        "--elevation",
        "450",
    )
    made = agro("new-region", tmp_path / "mine", *told, "--json")
    assert made.returncode == 0 and not json.loads(made.stdout)["to_fill_in"], made.stderr
    body = yaml.safe_load((tmp_path / "mine" / "region.yaml").read_text(encoding="utf-8"))
    assert [link["kind"] for link in body["imagery"]] == ["earth-search", "planetary-computer"]
    assert [link["kind"] for link in body["weather"]] == ["openmeteo", "power"]
    assert [link["kind"] for link in body["soil"]] == ["soilgrids", "texture"]
    checked = agro("check", "region", tmp_path / "mine")
    assert checked.returncode == 0 and "agro doctor asks" in checked.stdout, checked.stdout


def test_new_region_lists_what_to_fill_in_and_never_overwrites(tmp_path: Path) -> None:
    done = agro("new-region", tmp_path / "mine", "--json")
    missing = json.loads(done.stdout)["to_fill_in"]
    assert done.returncode == 0 and "imagery.0.path" in missing and "place.elevation_m" in missing
    again = agro("new-region", tmp_path / "mine")
    assert again.returncode == 1 and "already" in again.stderr
    assert "place.latitude" in agro("check", "region", tmp_path / "mine").stderr


def test_observe_without_a_region(sample_tiles: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.csv"
    done = agro(
        "observe",
        sample_tiles / "imagery",
        sample_tiles / "parcels.geojson",
        "--out",
        out,
        "-i",
        "ndvi",
        "--start",
        "2022-03-01",
        "--end",
        "2022-03-31",
    )
    table = pd.read_csv(out)
    assert done.returncode == 0, done.stderr
    assert table["parcel_uid"].nunique() == 60 and set(table["index"]) == {"ndvi"}
    assert table["date"].between("2022-03-01", "2022-03-31").all()


def test_publish_again_after_a_decision(sample_tiles: Path, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from agro.advice.review import ReviewStore
    from agro.store.workspace import Workspace

    first = agro("run", "weekly", "-r", sample_tiles, "-d", AS_OF, "-w", tmp_path, "-l", "en")
    assert first.returncode == 3, first.stderr
    store = Workspace(tmp_path).region("sample-haouz")
    waiting = [r for r in store.run(AS_OF).advice() if r.escalated and r.action == "irrigate"]
    chosen = waiting[0]
    published = store.published(AS_OF) / "published.json"
    before = published.read_text(encoding="utf-8")
    ReviewStore(store.review_database).decide(
        advice_id=chosen.advice_id, region_id=chosen.region_id, parcel_uid=chosen.parcel_uid, reviewer="agronomist", decision="edit",
        amount_mm=17.0, reason="seen on site", decided_at=datetime(2022, 4, 11, 9, tzinfo=UTC),
    )  # fmt: skip
    done = agro("publish", "-w", tmp_path, "-d", AS_OF, "-l", "en")
    assert done.returncode == 0, done.stderr
    after = published.read_text(encoding="utf-8")
    assert before != after and chosen.parcel_uid in after


@pytest.mark.real_data
def test_castilla_y_leon_2019(shared_data: Path, tmp_path: Path) -> None:
    """A real field: NDVI on each date seen, its season, and low-confidence advice that goes to a person."""
    import numpy as np
    import xarray as xr

    from agro.store.workspace import Workspace

    data = shared_data / "s2-castilla-y-leon-2019"
    region = tmp_path / "cyl"
    made = agro(
        "new-region", region, "--parcels", data / "field.geojson", "--imagery", data / "raw_s2_ndvi_field.nc", "--climatology",
        shared_data / "weather-normals-valladolid" / "normals.csv", "--crop", "wheat_winter", "--system", "sprinkler", "--elevation", "750",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    done = agro("run", "weekly", "-r", region, "-d", "2019-05-20", "-w", tmp_path / "w", "--json")
    assert done.returncode == 0, done.stderr
    run = Workspace(tmp_path / "w").region("cyl").run(pd.Timestamp("2019-05-20").date())
    cube = xr.open_dataset(data / "raw_s2_ndvi_field.nc")
    ndvi = run.read("observations").query("index == 'ndvi'").set_index("date")
    seen = [t for t in pd.DatetimeIndex(cube["t"].values) if t <= pd.Timestamp("2019-05-20")]
    assert list(ndvi.index) == seen
    for day in ndvi.index[ndvi["usable"]]:
        one = cube.sel(t=day)
        red, nir = one["B04"].values.astype(float), one["B08"].values.astype(float)
        clear = np.isin(one["SCL"].values, (2, 4, 5, 6, 7))
        plain = np.nanmean(((nir - red) / (nir + red))[clear])
        assert ndvi.loc[day, "mean"] == pytest.approx(plain, abs=0.005), day
    season = run.read("phenology").query("index == 'ndvi'").iloc[0]
    assert pd.Timestamp("2019-02-15") < season["start_date"] < pd.Timestamp("2019-04-10")
    assert pd.isna(season["end_date"])  # not yet to be known
    (record,) = run.advice()
    assert record.confidence_label == "low" and record.escalated
    assert {"escalate.fallback_weather", "escalate.default_soil"} <= {m.key for m in record.escalation}
    yaml.safe_load((region / "region.yaml").read_text(encoding="utf-8"))


@pytest.mark.real_data
def test_castilla_y_leon_whole_season(shared_data: Path, tmp_path: Path) -> None:
    out, series = tmp_path / "o.parquet", tmp_path / "s.parquet"
    data = shared_data / "s2-castilla-y-leon-2019"
    assert (
        agro("observe", data / "raw_s2_ndvi_field.nc", data / "field.geojson", "-o", out, "--series", series).returncode
        == 0
    )
    from agro.series import phenology

    season = phenology(pd.read_parquet(series)).query("season == 1").iloc[0]
    assert pd.Timestamp("2019-02-15") < season["start_date"] < pd.Timestamp("2019-04-10")
    assert pd.Timestamp("2019-04-20") < season["peak_date"] < pd.Timestamp("2019-05-20")
    assert pd.Timestamp("2019-06-15") < season["end_date"] < pd.Timestamp("2019-07-20")


@pytest.mark.real_data
def test_cloudy_autumn_abstains_when_the_last_clear_look_is_too_old(shared_data: Path, tmp_path: Path) -> None:
    from shapely.geometry import box, mapping

    from agro.store.workspace import Workspace

    outline = {"type": "Feature", "properties": {}, "geometry": mapping(box(588000, 5685050, 588200, 5685300))}
    body = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "EPSG:32631"}},
        "features": [outline],
    }
    (tmp_path / "field.geojson").write_text(json.dumps(body))
    region = tmp_path / "cloudy"
    made = agro(
        "new-region", region, "--parcels", tmp_path / "field.geojson", "--imagery", shared_data / "s2-cloudy-autumn-2023" / "test_optical_cube.nc",
        "--climatology", shared_data / "weather-normals-valladolid" / "normals.csv", "--crop", "wheat_winter", "--system", "sprinkler", "--elevation", "20",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    done = agro("run", "weekly", "-r", region, "-d", "2023-12-20", "-w", tmp_path / "w", "-l", "en")
    assert done.returncode == 0, done.stderr
    run = Workspace(tmp_path / "w").region("cloudy").run(pd.Timestamp("2023-12-20").date())
    usable = run.read("observations").query("usable")["date"].dt.strftime("%Y-%m-%d").unique()
    assert list(usable) == ["2023-10-22"]
    (record,) = run.advice()
    assert record.action == "abstain" and record.message.params["why"] == "abstain.clear_look"


@pytest.mark.real_data
def test_corsica_parcels_enter_as_a_table(shared_data: Path, tmp_path: Path) -> None:
    table = next((shared_data / "parcels-corsica-2022").glob("*.geoparquet"))
    out, series = tmp_path / "o.parquet", tmp_path / "s.parquet"
    done = agro("observe", table, "-o", out, "--series", series)
    assert done.returncode == 0, done.stderr
    assert pd.read_parquet(out)["parcel_uid"].nunique() == 500
    assert pd.read_parquet(series)["parcel_uid"].nunique() == 500
