"""Balance from tables: parity with the reference implementation, scores on measured plots, named mistakes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from agro.schema.errors import AgroError, ConfigError, ContractError, NoDataError
from pipelines.balance import run_balance_folder


def reference_output(path: Path) -> pd.DataFrame:
    lines = path.read_text().splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("Year-DOY"))
    return pd.DataFrame([line.split() for line in lines[header + 1 :]], columns=lines[header].split())


@pytest.mark.real_data
def test_parity_with_pyfao56_test01(shared_data: Path) -> None:
    table = run_balance_folder(shared_data / "pyfao56-test01").table
    for plot in ("cottondry2013", "cottonwet2013"):
        theirs = reference_output(shared_data / "pyfao56-test01" / f"{plot}.out")
        mine = table[table["plot_id"] == plot].reset_index(drop=True)
        assert len(mine) == len(theirs) == 200
        for column, ours in (("Dr", "dr_mm"), ("ETa", "eta_mm"), ("Ks", "ks"), ("DP", "drainage_mm")):
            assert (theirs[column].astype(float) - mine[ours]).abs().max() < 0.01, (plot, column)


@pytest.mark.real_data
def test_greeley_2023_with_observed_kcb(shared_data: Path) -> None:
    scores = run_balance_folder(shared_data / "soilwater-greeley-2023").scores
    assert scores["depletion_readings"] == 34
    assert scores["depletion_rmse_mm"] < 12.8  # published for pyfao56 on the same plot


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small folder of tables: one plot, forty dry days, one irrigation."""
    days = pd.date_range("2022-05-01", periods=40)
    pd.DataFrame(
        {"date": days, "rs_mj_m2": 25.0, "tmax_c": 30.0, "tmin_c": 14.0, "tdew_c": 8.0, "wind_m_s": 2.0, "rain_mm": 0.0}
    ).to_csv(tmp_path / "weather.csv", index=False)
    pd.DataFrame([{"lat": 31.7, "elevation_m": 470, "wind_height_m": 2, "reference": "short"}]).to_csv(
        tmp_path / "station.csv", index=False
    )
    pd.DataFrame([{"plot_id": "a", "top_m": 0.0, "bottom_m": 1.5, "fc_m3_m3": 0.26, "wp_m3_m3": 0.12}]).to_csv(
        tmp_path / "soil.csv", index=False
    )
    pd.DataFrame([{"plot_id": "a", "date": "2022-05-10", "depth_mm": 30.0}]).to_csv(
        tmp_path / "irrigation.csv", index=False
    )
    values = {"Kcbini": 0.15, "Kcbmid": 1.1, "Kcbend": 0.5, "Lini": 10, "Ldev": 15, "Lmid": 10, "Lend": 10, "hini": 0.05, "hmax": 1.0, "theta0": 0.2, "Zrini": 0.3, "Zrmax": 1.0, "pbase": 0.55, "Ze": 0.1, "REW": 8}  # fmt: skip
    pd.DataFrame({"name": values.keys(), "value": values.values()}).to_csv(
        tmp_path / "crop_parameters.csv", index=False
    )
    return tmp_path


def change(path: Path, edit: object) -> None:
    table = pd.read_csv(path)
    edit(table).to_csv(path, index=False)  # type: ignore[operator]


def test_runs_and_writes(folder: Path) -> None:
    result = run_balance_folder(folder)
    result.write(folder / "out.csv")
    table = pd.read_csv(folder / "out.csv")
    assert len(table) == 40 and (table["dr_mm"] <= table["taw_mm"] + 1e-6).all()
    assert table["irrigation_mm"].sum() == 30
    with pytest.raises(ConfigError, match=r"\.csv or \.parquet"):
        result.write(folder / "out.xls")


@pytest.mark.parametrize(
    ("name", "edit", "error", "said"),
    [
        ("weather.csv", lambda t: t.drop(index=7), NoDataError, "2022-05-08"),
        ("weather.csv", lambda t: t.assign(rain_mm=t["rain_mm"].where(t.index != 3, -2)), ContractError, "rain below zero on 2022-05-04"),
        ("weather.csv", lambda t: t.assign(moon=1), ContractError, "unknown column moon"),
        ("irrigation.csv", lambda t: t.assign(date="2021-05-10"), ContractError, "2021-05-10 matches no day"),
        ("irrigation.csv", lambda t: t.assign(plot_id="z"), ContractError, "unknown plot z"),
        ("irrigation.csv", lambda t: t.assign(date="10 mai"), ContractError, "is not a date"),
        ("soil.csv", lambda t: t.assign(wp_m3_m3=0.3), ContractError, "wilting point 0.3 is not below field capacity"),
        ("crop_parameters.csv", lambda t: t[t["name"] != "Zrmax"], ContractError, "no parameter Zrmax"),
    ],
)  # fmt: skip
def test_mistakes_are_named(folder: Path, name: str, edit: object, error: type[AgroError], said: str) -> None:
    change(folder / name, edit)
    with pytest.raises(error, match=said):
        run_balance_folder(folder)


def test_an_absent_file_is_named(folder: Path) -> None:
    (folder / "soil.csv").unlink()
    with pytest.raises(ConfigError, match=r"no soil\.csv"):
        run_balance_folder(folder)


@pytest.mark.real_data
def test_a_pyfao56_irrigation_outside_the_weather_is_named(shared_data: Path, tmp_path: Path) -> None:
    for path in (shared_data / "pyfao56-test01").iterdir():
        shutil.copy(path, tmp_path / path.name)
    irr = tmp_path / "cottondry2013.irr"
    irr.chmod(0o644)
    irr.write_text(irr.read_text() + "\n1999-115  33.00   0.50  100.0\n")
    with pytest.raises(ContractError, match="1999-04-25"):
        run_balance_folder(tmp_path)
