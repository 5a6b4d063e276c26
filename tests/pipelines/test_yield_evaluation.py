from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from agro.sources.cybench import read_cybench
from agro.yields.models import LevelYield, MeanYield, RidgeYield
from pipelines.cli import app
from pipelines.yield_evaluation import leave_one_year_out, score, spatial_blocks_left_out, walk_forward, yield_table
from pipelines.yield_report import published_figures

SIMPLE = {"mean": MeanYield(), "level": LevelYield()}


@pytest.mark.real_data
@pytest.mark.parametrize(("country", "nrmse", "mape", "r2"), [("ES", 28.95, 24.11, 0.21), ("NL", 4.75, 3.75, 0.68)])
def test_published_mean_is_reproduced(shared_data: Path, country: str, nrmse: float, mape: float, r2: float) -> None:
    folder = shared_data / "yield-cybench" / "wheat" / country
    X, y, left_out = yield_table(read_cybench(folder), "mid")
    found = score(leave_one_year_out(X, y, SIMPLE)).scores["mean"]
    assert left_out == 0
    assert [found["nrmse_pct"], found["mape_pct"], found["r2"]] == pytest.approx([nrmse, mape, r2], abs=0.01)
    table = published_figures(folder, "wheat", country)["AverageYieldModel"]
    assert table == {"nrmse_pct": nrmse, "mape_pct": mape, "r2": r2}


@pytest.mark.real_data
def test_spain_beats_the_mean_at_the_end_of_the_season(shared_data: Path) -> None:
    """The ridge alone; the whole of the protocol takes minutes and stands in docs/yield_protocol.md."""
    X, y, _ = yield_table(read_cybench(shared_data / "yield-cybench" / "wheat" / "ES"), "end")
    found = score(leave_one_year_out(X, y, {**SIMPLE, "ridge": RidgeYield()})).scores
    assert found["chosen"]["nrmse_pct"] < 23 and found["chosen"]["skill"] > 0.12 and found["chosen"]["years_won"] >= 13
    assert found["chosen"]["skill_against_screened_mean"] > 0.1


def country(folder: Path, told: float = 0.08) -> Path:
    """Eight regions, 2004 to 2012, in the benchmark's layout; greenness tells the yield by `told` a standard deviation."""
    rng = np.random.default_rng(4)
    folder.mkdir(parents=True)
    ids = [f"R{n}" for n in range(8)]
    pd.DataFrame({"adm_id": ids, "sos": 330.0, "eos": 180.0}).to_csv(folder / "crop_calendar_wheat_XX.csv", index=False)
    pd.DataFrame({"adm_id": ids, "latitude": 40 + np.arange(8) % 4, "longitude": -4 + np.arange(8) // 4 * 5}).to_csv(
        folder / "location_wheat_XX.csv", index=False
    )
    yields, looks = [], []
    for year in range(2004, 2013):
        for number, one in enumerate(ids):
            season = rng.normal()
            yields.append(
                {
                    "adm_id": one,
                    "harvest_year": year,
                    "yield": (2 + 0.3 * number) * (1 + told * season + 0.02 * rng.normal()),
                }
            )
            for day in pd.date_range(f"{year - 1}-11-01", f"{year}-07-20", freq="16D"):
                looks.append({"adm_id": one, "date": day.strftime("%Y%m%d"), "ndvi": 150 + 12 * season})
    pd.DataFrame(yields).to_csv(folder / "yield_wheat_XX.csv", index=False)
    pd.DataFrame(looks).to_csv(folder / "ndvi_wheat_XX.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return country(tmp_path_factory.mktemp("cybench") / "wheat" / "XX")


def test_walk_forward_reads_no_later_year(folder: Path) -> None:
    X, y, _ = yield_table(read_cybench(folder), "end")
    before = walk_forward(X, y, SIMPLE).forecasts
    assert before["year"].min() == 2010
    last = (X["year"] == 2012).to_numpy()
    after = walk_forward(X, np.where(last, 99.0, y), SIMPLE).forecasts
    columns = ["mean", "level", "chosen", "low", "high"]
    pd.testing.assert_frame_equal(before[before["year"] < 2012][columns], after[after["year"] < 2012][columns])


def test_a_block_is_forecast_from_the_others(folder: Path) -> None:
    data = read_cybench(folder)
    X, y, _ = yield_table(data, "end")
    found = spatial_blocks_left_out(X, y, SIMPLE, data.regions).forecasts
    assert len(found) == np.isfinite(y).sum()
    one = found[(found["group"] == "R0") & (found["year"] == 2010)]["mean"].item()
    means = pd.Series(y).groupby([X["group"], X["year"]]).first().drop(2010, level=1).unstack()
    assert one != pytest.approx(means.loc["R0"].mean())


@pytest.mark.slow
def test_command_prints_one_object_and_writes_table_and_plots(folder: Path, tmp_path: Path) -> None:
    (folder / "published_baselines.md").write_text(
        "## wheat normalized_rmse\n\n| crop | country | Some |\n| --- | --- | --- |\n| wheat | XX | **12.34** |\n"
        "## wheat mape\n\n| crop | country | Some |\n| --- | --- | --- |\n| wheat | XX | 11.00 |\n"
        "## wheat r2\n\n| crop | country | Some |\n| --- | --- | --- |\n| wheat | XX | 0.10 |\n"
    )
    done = CliRunner().invoke(
        app,
        ["yield", "evaluate", str(folder), "--out", str(tmp_path), "--lead", "end", "--validation", "leave_one_year_out", "--jobs", "1", "--json"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["protocol"] == "leave_one_year_out" and found["model"] == "chosen"
    wanted = {"nrmse_pct", "mape_pct", "r2", "skill", "years_won", "years", "coverage_90", "worst_year_coverage_90"}
    assert wanted <= set(found["leads"]["end"])
    assert found["leads"]["end"]["skill"] > 0.5 and found["leads"]["end"]["years"] == 9
    assert {"mean", "trend", "ridge", "trees", "gp"} <= set(found["baselines"]["end"])
    text = (tmp_path / "yield_wheat_XX.md").read_text()
    assert "| Some | 12.34 | 11.00 | 0.10 |" in text
    assert {p.name for p in tmp_path.glob("*.png")} == {"yield_wheat_XX_years.png", "yield_wheat_XX_scatter.png"}


def test_a_folder_without_yields_is_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["yield", "evaluate", str(tmp_path)])
    assert done.exit_code != 0 and "yield_<crop>_<country>" in str(done.exception)


@pytest.mark.slow
def test_train_predict_and_card(folder: Path, tmp_path: Path) -> None:
    run = CliRunner()
    model, out = tmp_path / "m.skops", tmp_path / "f.csv"
    options = ["--lead", "mid", "--lead", "end", "--until", "2011", "--jobs", "1", "--licence", "CC-BY-4.0"]
    done = run.invoke(app, ["yield", "train", str(folder), "--out", str(model), *options])
    assert done.exit_code == 0, done.output
    card = json.loads(run.invoke(app, ["yield", "card", str(model)]).stdout)
    assert card["licence_of_data"] == "CC-BY-4.0" and card["leads"]["end"]["years"] == [2004, 2011]
    done = run.invoke(app, ["yield", "predict", str(model), str(folder), "--year", "2012", "--out", str(out), "--json"])
    assert done.exit_code in (0, 3), done.output
    found, table = json.loads(done.stdout), pd.read_csv(out)
    assert found["forecasts"] + found["abstained"] == len(table) == 8 and found["drift"]["rows"] == 8
    assert set(table["model_digest"]) == {card["model_digest"]}
    known = table[table["abstain_reason"].isna()]
    assert len(known) >= 4 and known["reason"].str.contains("NDVI").all() and known["change"].str.contains("t/ha").all()
    data = read_cybench(folder).yields
    truth = data[data["year"] == 2012].set_index("adm_id")["yield_t_ha"].reindex(known["group"]).to_numpy()
    assert np.corrcoef(known["yield_t_ha"], truth)[0, 1] > 0.9
    (tmp_path / "m.card.json").write_text(json.dumps({**card, "model_digest": "0"}))
    assert run.invoke(app, ["yield", "card", str(model)]).exit_code != 0
