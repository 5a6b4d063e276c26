"""Evaluation of soil water: nothing hidden leaks, and what is printed is what was asked for."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from measured_folder import write_folder
from typer.testing import CliRunner

from agro.schema.errors import AgroError, ConfigError, ContractError, NoDataError
from pipelines.cli import app
from pipelines.evaluate_command import evaluate_water

#: The untouched folder is evaluated once for each protocol.
evaluated = cache(evaluate_water)

ESTIMATES = ["storage_mm", "storage_low_mm", "storage_high_mm", "depletion_mm", "depletion_low_mm", "depletion_high_mm"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("site") / "a")


def change_readings(folder: Path, target: Path, plot: str | None, from_rank: int) -> Path:
    """The folder again, with the readings of a plot (None: of all) from a rank on made wetter."""
    target.mkdir()
    for file in folder.glob("*.csv"):
        (target / file.name).write_text(file.read_text())
    measured = pd.read_csv(target / "measured.csv")
    rank = measured.groupby("plot_id")["date"].rank(method="dense") - 1
    chosen = (rank >= from_rank) & ((measured["plot_id"] == plot) | (plot is None))
    measured.loc[chosen, "swc_m3_m3"] += 0.03
    measured.to_csv(target / "measured.csv", index=False)
    return target


@pytest.mark.parametrize(("protocol", "seen"), [("blind", 1), ("three-readings", 3)])
@pytest.mark.parametrize("corrected", [True, False])
def test_estimates_of_a_plot_do_not_know_its_hidden_readings(
    folder: Path, tmp_path: Path, protocol: str, seen: int, corrected: bool
) -> None:
    before = evaluated(folder, protocol, corrected=corrected)
    after = evaluate_water(change_readings(folder, tmp_path / "b", "p3", seen), protocol, corrected=corrected)
    own = before.estimates["plot_id"] == "p3"
    pd.testing.assert_frame_equal(before.estimates.loc[own, ESTIMATES], after.estimates.loc[own, ESTIMATES])
    assert before.scores["storage"]["rmse_mm"] != after.scores["storage"]["rmse_mm"]
    # The other plots do learn from it, so the change was there to be seen.
    assert (before.estimates.loc[~own, "storage_mm"] - after.estimates.loc[~own, "storage_mm"]).abs().max() > 0.1


@pytest.mark.parametrize(("protocol", "seen"), [("blind", 1), ("three-readings", 3)])
def test_learned_from_elsewhere_no_hidden_reading_counts(
    folder: Path, tmp_path: Path, protocol: str, seen: int
) -> None:
    teacher = write_folder(tmp_path / "teacher", seed=8)
    before = evaluate_water(folder, protocol, teacher)
    after = evaluate_water(change_readings(folder, tmp_path / "b", None, seen), protocol, teacher)
    pd.testing.assert_frame_equal(before.estimates[ESTIMATES], after.estimates[ESTIMATES])
    assert after.scores["storage"]["bias_mm"] == pytest.approx(before.scores["storage"]["bias_mm"] - 30.0, abs=0.02)


def test_readings_that_may_be_seen_are_used(folder: Path, tmp_path: Path) -> None:
    before = evaluated(folder, "three-readings", corrected=True)
    after = evaluate_water(change_readings(folder, tmp_path / "b", "p3", 1), "three-readings")
    own = before.estimates["plot_id"] == "p3"
    assert (after.estimates.loc[own, "storage_mm"] - before.estimates.loc[own, "storage_mm"]).min() > 1.0


def test_a_folder_that_teaches_itself_teaches_nothing(folder: Path) -> None:
    result = evaluate_water(folder, "blind", folder)
    assert any("scored themselves" in w for w in result.scores["warnings"])
    assert any("no other plot to learn from" in w for w in result.scores["warnings"])


def test_a_plot_alone_gets_physics_and_a_wider_interval(folder: Path, tmp_path: Path) -> None:
    alone = write_folder(tmp_path / "one", count=1)
    result = evaluate_water(alone, "blind")
    assert any("physics alone" in w for w in result.scores["warnings"])
    assert (result.estimates["storage_mm"] == result.estimates["physics_mm"]).all()
    assert (
        result.scores["storage"]["width_90_mm"]
        > evaluated(folder, "blind", corrected=True).scores["storage"]["width_90_mm"]
    )


def test_terms_of_the_week_and_shares_of_the_correction_add_up(folder: Path) -> None:
    table = evaluated(folder, "blind", corrected=True).estimates
    terms = table[[c for c in table if c.startswith("week_") and c != "week_change_mm"]]
    np.testing.assert_allclose(terms.sum(axis=1), table["week_change_mm"], atol=1e-9)
    shares = table[[c for c in table if c.startswith("correction ")]]
    np.testing.assert_allclose(shares.sum(axis=1) + table["physics_mm"], table["storage_mm"], atol=1e-9)


def test_json_has_the_keys_agreed_on_and_is_the_same_twice(folder: Path) -> None:
    runs = [
        CliRunner().invoke(app, ["evaluate", "water", str(folder), "--protocol", "blind", "--json"]) for _ in range(2)
    ]
    assert runs[0].exit_code == 0
    assert runs[0].stdout == runs[1].stdout
    said = json.loads(runs[0].stdout)
    assert set(said) == {"storage", "depletion", "decision_agreement", "warnings"}
    assert set(said["storage"]) == set(said["depletion"]) == {"rmse_mm", "bias_mm", "coverage_90", "width_90_mm"}
    assert 0 <= said["decision_agreement"] <= 1


def edit(folder: Path, name: str, change: object) -> None:
    table = pd.read_csv(folder / name)
    table = change(table)  # type: ignore[operator]
    table.to_csv(folder / name, index=False)


@pytest.mark.parametrize(
    ("name", "change", "error", "named"),
    [
        ("irrigation.csv", lambda t: t.assign(date=t["date"].replace("2021-05-07", "2020-05-07")), ContractError, "2020-05-07"),
        ("measured.csv", lambda t: t.assign(plot_id=t["plot_id"].replace("p2", "p99")), ContractError, "p99"),
        ("measured.csv", lambda t: t.assign(date=t["date"].replace("2021-05-16", "2022-05-16")), ContractError, "2022-05-16"),
        ("weather.csv", lambda t: t.drop(index=12), NoDataError, "2021-05-13"),
        ("soil.csv", lambda t: t.assign(humus=1.0), ContractError, "humus"),
        ("crop_parameters.csv", lambda t: t[t["name"] != "Kcbmid"], ContractError, "Kcbmid"),
        ("measured.csv", lambda t: t[t["top_m"] < 0.5], NoDataError, "1 m"),
        ("measured.csv", lambda t: t.head(0), NoDataError, "measured"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, name: str, change: object, error: type[AgroError], named: str) -> None:
    folder = write_folder(tmp_path / "bad", count=2)
    edit(folder, name, change)
    with pytest.raises(error, match=named):
        evaluate_water(folder, "blind")


def test_an_unknown_protocol_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match="two-readings"):
        evaluate_water(folder, "two-readings")


def test_a_field_capacity_that_the_readings_contradict_is_named(folder: Path, tmp_path: Path) -> None:
    wrong = change_readings(folder, tmp_path / "b", None, 99)
    edit(wrong, "soil.csv", lambda t: t.assign(fc_m3_m3=np.where(t["plot_id"] == "p2", 0.17, t["fc_m3_m3"])))
    told = evaluate_water(wrong, "three-readings", corrected=False).scores["warnings"]
    assert [w for w in told if w.startswith("plot p2: the field capacity stated, 170 mm")]
    assert not [w for w in told if w.startswith("plot p1:")]
    assert not [w for w in evaluate_water(wrong, "blind", corrected=False).scores["warnings"] if "field capacity" in w]


def test_a_hidden_log_is_scored(folder: Path) -> None:
    run = CliRunner().invoke(app, ["evaluate", "irrigation", str(folder), "--json"])
    assert run.exit_code == 0
    said = json.loads(run.stdout)
    assert said["windows"] == 12
    assert said["rmse_15d_mm"] < 28.8
    assert said["correlation"] > 0.5


@pytest.mark.real_data
def test_greeley_with_observed_kcb_and_nothing_learned(shared_data: Path) -> None:
    scores = evaluate_water(shared_data / "soilwater-greeley-2023", "blind").scores
    assert scores["depletion"]["rmse_mm"] < 12.8
    assert scores["depletion"]["coverage_90"] >= 0.87


@pytest.mark.real_data
def test_a_hidden_log_at_maricopa(shared_data: Path) -> None:
    run = CliRunner().invoke(app, ["evaluate", "irrigation", str(shared_data / "soilwater-maricopa-2018"), "--json"])
    assert json.loads(run.stdout)["rmse_15d_mm"] < 28.8


def test_a_plot_without_a_log_is_given_inferred_events_and_a_wider_interval(folder: Path, tmp_path: Path) -> None:
    silent = change_readings(folder, tmp_path / "b", None, 99)
    edit(silent, "irrigation.csv", lambda t: t[t["plot_id"] != "p6"])
    logged, found = (evaluate_water(f, "three-readings", corrected=False) for f in (folder, silent))
    assert [
        w for w in found.scores["warnings"] if w.startswith("plot p6: no irrigation is logged and its readings ask")
    ]
    own = found.estimates["plot_id"] == "p6"

    def width(table: pd.DataFrame) -> pd.Series:
        return (table["storage_high_mm"] - table["storage_low_mm"])[own]

    assert (width(found.estimates) > width(logged.estimates)).all()
    blind = evaluate_water(silent, "blind", corrected=False)
    assert [w for w in blind.scores["warnings"] if w.startswith("plot p6: no irrigation is logged; taken as rainfed")]

    def miss(table: pd.DataFrame) -> float:
        part = table[(table["plot_id"] == "p6") & table["date"].isin(found.estimates["date"])]
        return float(np.sqrt(((part["storage_mm"] - part["storage_measured_mm"]) ** 2).mean()))

    assert miss(found.estimates) < 0.7 * miss(blind.estimates)


@pytest.mark.real_data
@pytest.mark.slow
def test_maricopa_blind(shared_data: Path) -> None:
    scores = evaluate_water(shared_data / "soilwater-maricopa-2018", "blind").scores
    assert scores["storage"]["rmse_mm"] < 12.8  # what a ridge by date on recent irrigation reaches
    assert abs(scores["storage"]["bias_mm"]) < 2.0
    assert scores["depletion"]["rmse_mm"] < 15.0
    assert 0.87 <= scores["storage"]["coverage_90"] <= 0.93
