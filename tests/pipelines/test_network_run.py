"""A region run over the network: chain, mixing, interruptions, budget, plan, costs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import yaml
from protocol_server import Reply
from stac_server import StacServer
from typer.testing import CliRunner

from agro.schema.errors import AgroError, BudgetError, ConfigError, StorageError
from agro.sources.net import RetryPolicy
from agro.sources.net.budget import Limits
from pipelines.cli import app
from pipelines.network import NetworkOptions, open_network, region_imagery
from pipelines.observing import Observed, observe_period
from pipelines.units import Manifest
from pipelines.weekly import read_inputs, run_weekly

START, END = date(2022, 3, 20), date(2022, 4, 11)
QUICK = RetryPolicy(attempts=2, first_wait_s=0.01, longest_wait_s=0.02, deadline_s=5.0, stall_s=2.0, circuit_failures=3)
VALUES = [
    "parcel_uid",
    "date",
    "index",
    "mean",
    "median",
    "p10",
    "p90",
    "sd",
    "pixels_effective",
    "valid_frac",
    "usable",
]


@pytest.fixture
def servers(sample_tiles: Path) -> Iterator[tuple[StacServer, StacServer]]:
    first = StacServer(sample_tiles / "imagery")
    second = StacServer(sample_tiles / "imagery", signed=True)
    yield first, second
    first.close()
    second.close()


@pytest.fixture
def region(sample_tiles: Path, tmp_path: Path, servers) -> Path:
    """The sample region with two STAC APIs in the place of its folder of scenes."""
    folder = tmp_path / "region"
    shutil.copytree(sample_tiles, folder, ignore=shutil.ignore_patterns("imagery", "truth"))
    write_imagery(folder, *links(servers))
    return folder


def links(servers) -> list[dict]:
    first, second = servers
    return [
        {"kind": "earth-search", "options": {"url": f"{first.url}/v1"}},
        {"kind": "planetary-computer", "options": {"url": f"{second.url}/v1", "signing_url": f"{second.url}/sas"}},
    ]


def write_imagery(folder: Path, *imagery: dict, **more) -> None:
    text = yaml.safe_load((folder / "region.yaml").read_text(encoding="utf-8"))
    text["imagery"] = list(imagery)
    text.update(more)
    (folder / "region.yaml").write_text(yaml.safe_dump(text, allow_unicode=True), encoding="utf-8")


def observe(
    folder: Path, workspace: Path, limits: Limits | None = None, offline: bool = False
) -> tuple[Observed, dict]:
    inputs = read_inputs(folder)
    options = NetworkOptions(offline, limits or Limits(), workspace / "cache", QUICK)
    with closing(open_network(inputs.region, inputs.parcels, workspace, options)) as network:
        done = observe_period(
            region_imagery(inputs.region, inputs.parcels, network), inputs.parcels, START, END, mask=inputs.region.mask,
            options=inputs.region.observe, crs=inputs.region.place.crs, manifest=Manifest(workspace / "region"),
            created_at=pd.Timestamp("2022-04-11", tz="UTC").to_pydatetime(),
        )  # fmt: skip
        return done, {"requests": network.budget.spent.requests, "ledger": network.ledger.table()}


@pytest.fixture(scope="module")
def expected(sample_tiles: Path) -> pd.DataFrame:
    """Observations from the folder of the same scenes."""
    inputs = read_inputs(sample_tiles)
    source = region_imagery(inputs.region, inputs.parcels, None)
    return observe_period(
        source, inputs.parcels, START, END, mask=inputs.region.mask, options=inputs.region.observe,
        crs=inputs.region.place.crs,
    ).observations  # fmt: skip


def same(done: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(done[VALUES].reset_index(drop=True), expected[VALUES].reset_index(drop=True))


def test_a_second_run_asks_nobody_and_offline_gives_the_same(region, tmp_path, expected, servers):
    done, spent = observe(region, tmp_path)
    same(done.observations, expected)
    assert set(done.observations["source"]) == {"earth-search"} and done.observations["source_reason"].isna().all()
    assert spent["requests"] == len(servers[0].received) > 0
    assert spent["ledger"]["requests"].sum() == spent["requests"]
    again, none = observe(region, tmp_path)
    assert none["requests"] == 0 and again.days_read == 0 and again.days_reused == done.days_read
    shutil.rmtree(tmp_path / "region" / "units")
    offline, nothing = observe(region, tmp_path, offline=True)
    same(offline.observations, expected)
    assert nothing["requests"] == 0


def test_a_provider_that_is_down_is_replaced_and_each_row_says_so(region, tmp_path, expected, servers):
    servers[0].fault("", times=10_000, reply=Reply("down", 503))
    done, _ = observe(region, tmp_path)
    same(done.observations, expected)
    assert set(done.observations["source"]) == {"planetary-computer"}
    assert done.observations["source_reason"].str.contains("earth-search").all()
    assert done.observations["source_reason"].str.contains("503").all()
    assert "earth-search" in set(done.rejected["item"])


def test_one_bad_day_comes_from_the_next_provider(region, tmp_path, expected, servers):
    bad = "2022" + sorted({row.strftime("%m%d") for row in expected["date"]})[-1]
    servers[0].fault(bad, times=10_000, reply=Reply("gone", 404))
    done, _ = observe(region, tmp_path)
    same(done.observations, expected)
    of_day = done.observations["date"] == pd.Timestamp(bad)
    assert set(done.observations["source"][of_day]) == {"planetary-computer"}
    assert set(done.observations["source"][~of_day]) == {"earth-search"}
    assert done.observations["source_reason"][of_day].notna().all()


def test_without_mixing_a_bad_day_is_left_out(region, tmp_path, expected, servers):
    write_imagery(region, *links(servers), mixing={"imagery": False})
    bad = "2022" + sorted({row.strftime("%m%d") for row in expected["date"]})[-1]
    servers[0].fault(bad, times=10_000, reply=Reply("gone", 404))
    done, _ = observe(region, tmp_path)
    assert set(done.observations["source"]) == {"earth-search"}
    assert pd.Timestamp(bad) not in set(done.observations["date"])
    assert done.rejected["item"].str.contains(bad).any()


def test_a_failure_that_may_pass_is_tried_again_by_the_next_run(region, tmp_path, expected, servers):
    write_imagery(region, links(servers)[0])
    last = "2022" + sorted({row.strftime("%m%d") for row in expected["date"]})[-1]
    servers[0].fault(last, times=10_000, reply=Reply("busy", 503))
    lacking, _ = observe(region, tmp_path)
    assert pd.Timestamp(last) not in set(lacking.observations["date"])
    servers[0].faults.clear()
    whole, _ = observe(region, tmp_path)
    assert whole.days_read == 1
    same(whole.observations, expected)


def test_what_offline_lacks_is_fetched_by_the_next_run(region, tmp_path, expected):
    with pytest.raises(AgroError, match="offline"):
        observe(region, tmp_path, offline=True)
    observe(region, tmp_path)
    shutil.rmtree(tmp_path / "region" / "units")
    for path in sorted((tmp_path / "cache").glob("??/*"))[::3]:
        path.unlink()
    try:
        lacking, _ = observe(region, tmp_path, offline=True)
        assert len(lacking.observations) < len(expected) and lacking.rejected["reason"].str.contains("offline").any()
    except AgroError as error:  # the search itself was among what went
        assert "offline" in str(error)
    whole, _ = observe(region, tmp_path)
    same(whole.observations, expected)


def test_the_budget_stops_and_a_later_run_goes_on(region, tmp_path, expected, servers):
    with pytest.raises(BudgetError, match="max-requests"):
        observe(region, tmp_path, Limits(max_requests=12))
    assert len(servers[0].received) == 12
    done, spent = observe(region, tmp_path)
    same(done.observations, expected)
    assert len(servers[0].received) == 12 + spent["requests"]
    paths = [(r.path, r.headers.get("range")) for r in servers[0].asked("/cog/")]
    assert len(paths) == len(set(paths)), "something was fetched twice"


def test_a_cache_that_cannot_be_written_stops_the_run_and_no_day_is_taken_for_done(region, tmp_path, expected, servers):
    with pytest.raises(BudgetError):
        observe(region, tmp_path, Limits(max_requests=5))
    blocked = [path for number in range(256) if not (path := tmp_path / "cache" / f"{number:02x}").exists()]
    for path in blocked:  # hardly any further answer finds its folder
        path.write_text("")
    with pytest.raises(StorageError, match="cache"):
        observe(region, tmp_path)
    assert len(servers[0].received) < 20, "asked on without a place for the answers"
    for path in blocked:
        path.unlink()
    done, _ = observe(region, tmp_path)
    same(done.observations, expected)


def test_nothing_that_leaves_names_a_parcel(region, tmp_path, servers):
    observe(region, tmp_path)
    inputs = read_inputs(region)
    sent = "\n".join(request.everything for request in servers[0].received)
    for column in ("parcel_uid", "name", "agro:owner_ref", "agro:cooperative"):
        assert not [word for word in inputs.parcels[column].dropna().unique() if str(word) in sent]


@pytest.mark.parametrize("options", [{"urll": "x"}, {"url": "ftp://x"}, {"max_cloud_pct": 200}])
def test_a_wrong_option_is_said_and_not_taken_for_an_outage(region, tmp_path, servers, options):
    write_imagery(region, {"kind": "earth-search", "options": options}, links(servers)[1])
    with pytest.raises(ConfigError, match=r"imagery\.options"):
        observe(region, tmp_path)
    told = ["plan", "--region", str(region), "--date", "2022-04-11", "--workspace", str(tmp_path)]
    result = CliRunner().invoke(app, [*told, "--cache", str(tmp_path / "cache")])
    assert isinstance(result.exception, ConfigError) and "imagery.options" in str(result.exception)


def test_plan_asks_nobody_and_then_the_catalogue(region, tmp_path, servers):
    told = [
        "plan",
        "--region",
        str(region),
        "--date",
        "2022-04-11",
        "--from",
        "2022-03-20",
        "--workspace",
        str(tmp_path),
    ]
    told += ["--cache", str(tmp_path / "cache"), "--json"]
    result = CliRunner().invoke(app, told)
    assert result.exit_code == 0, result.output
    plan = json.loads(result.output)
    assert not servers[0].received and not servers[1].received
    line = plan["lines"][0]
    assert (line["provider"], line["scenes"], line["scenes_from"]) == ("earth-search", 10, "expected")
    assert line["estimate"]["requests"] > 0 and line["estimate"]["pu"] == 0
    asked = json.loads(CliRunner().invoke(app, [*told, "--ask"]).output)["lines"][0]
    assert asked["scenes_from"] == "catalogue" and servers[0].asked("/v1/search") and not servers[0].asked("/cog/")


@pytest.mark.slow
def test_the_whole_week_over_the_network_and_its_costs(region, tmp_path, servers):
    options = NetworkOptions(False, Limits(), tmp_path / "cache", QUICK)
    result = run_weekly(region, END, tmp_path / "ws", languages=("en",), network=options)
    assert result.report["network"]["requests"] > 0 and result.published
    shown = CliRunner().invoke(app, ["cost", "--workspace", str(tmp_path / "ws"), "--json"])
    assert shown.exit_code == 0, shown.output
    costs = json.loads(shown.output)
    assert sum(row["requests"] for row in costs["months"]) == result.report["network"]["requests"]
    assert sum(row["mb"] for row in costs["parcels"]) == pytest.approx(result.report["network"]["mb"], abs=1e-2)
    assert costs["per_ha_week"][0]["area_ha"] > 0
