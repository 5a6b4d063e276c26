"""What the balance reads: every cell checked, observed coefficients, what is left aside, storage beside depletion."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agro.schema.errors import AgroError, ConfigError, ContractError, NoDataError
from pipelines.balance import measured_water, run_balance_folder, score_balance, simulate
from pipelines.balance_tables import COLUMNS, Tables, read_tables
from pipelines.pyfao56_files import read_pyfao56_folder

Edit = Callable[[pd.DataFrame], pd.DataFrame]


def reference_output(path: Path) -> pd.DataFrame:
    lines = path.read_text(encoding="utf-8").splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("Year-DOY"))
    return pd.DataFrame([line.split() for line in lines[header + 1 :]], columns=lines[header].split())


def worst(table: pd.DataFrame, theirs: pd.DataFrame, plot: str) -> float:
    mine = table[table["plot_id"] == plot].reset_index(drop=True)
    assert len(mine) == len(theirs)
    pairs = (("Dr", "dr_mm"), ("ETa", "eta_mm"), ("Ks", "ks"), ("DP", "drainage_mm"), ("Kcb", "kcb"), ("fc", "fc_frac"))
    return max(float((theirs[a].astype(float) - mine[b]).abs().max()) for a, b in pairs)


@pytest.mark.real_data
def test_parity_with_observed_coefficients(shared_data: Path) -> None:
    folder = shared_data / "pyfao56-test03"
    result = run_balance_folder(folder)
    assert worst(result.table, reference_output(folder / "cotton2019.out"), "cotton2019") < 0.01
    assert "observed Kcb lie outside" in result.warnings[0]  # the file goes on after the harvest


@pytest.mark.real_data
@pytest.mark.parametrize("plot", ["cotton2018_060", "cotton2018_100", "cotton2018_120"])
def test_parity_of_three_treatments(shared_data: Path, plot: str) -> None:
    folder = shared_data / "pyfao56-test04"
    theirs = reference_output(folder / f"{plot}.out")
    tables = Tables(**read_pyfao56_folder(folder))
    assert (
        worst(simulate(tables), theirs, plot) < 0.05
    )  # the weather file rounds reference ET to 0.01 mm, the run did not
    weather = tables.weather.copy()
    days = pd.date_range(tables.start, tables.end)
    weather.loc[days, "et0_mm"] = theirs["ETref"].astype(float).to_numpy()
    assert worst(simulate(dataclasses.replace(tables, weather=weather)), theirs, plot) < 0.01


@pytest.mark.real_data
def test_greeley_scores_storage_and_says_what_it_left_aside(shared_data: Path) -> None:
    result = run_balance_folder(shared_data / "soilwater-greeley-2023")
    assert result.scores["readings_left_out"] == 0
    assert result.scores["storage_rmse_mm"] < 20
    assert any(
        "50.8 mm in all, first 2023-04-13" in warning for warning in result.warnings
    )  # before the first observed Kcb


@pytest.mark.real_data
def test_reference_et_of_the_stations_is_met(shared_data: Path, tmp_path: Path) -> None:
    for name, within in (("soilwater-greeley-2023", 0.03), ("soilwater-maricopa-2018", 0.03)):
        folder = tmp_path / name
        shutil.copytree(shared_data / name, folder)
        path = folder / "weather.csv"
        folder.chmod(0o755)
        path.chmod(0o644)
        table = pd.read_csv(path, parse_dates=["date"])
        table.drop(columns="et0_station_mm").to_csv(path, index=False)
        mine = read_tables(folder).weather["et0_mm"].to_numpy()
        theirs = table["et0_station_mm"].to_numpy()
        warm = theirs > 2
        assert abs(mine[warm].sum() / theirs[warm].sum() - 1) < within, name


@pytest.mark.real_data
def test_maricopa_untuned(shared_data: Path) -> None:
    scores = run_balance_folder(shared_data / "soilwater-maricopa-2018").scores
    assert scores["depletion_readings"] == 504 and scores["readings_left_out"] == 0
    assert scores["depletion_rmse_mm"] < 34  # pyfao56 untuned on these plots


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two plots, sixty days, readings and observed Kcb."""
    days = pd.date_range("2022-05-01", periods=60)
    tables = {
        "weather": pd.DataFrame({"date": days, "rs_mj_m2": 25.0, "tmax_c": 30.0, "tmin_c": 14.0, "rhmax_pct": 80.0, "rhmin_pct": 25.0, "wind_m_s": 2.0, "rain_mm": 0.0}),
        "station": pd.DataFrame([{"lat": 31.7, "elevation_m": 470, "wind_height_m": 2, "reference": "short"}]),
        "soil": pd.DataFrame(
            [
                {"plot_id": p, "top_m": t, "bottom_m": b, "fc_m3_m3": 0.26, "wp_m3_m3": 0.12, "initial_m3_m3": 0.22}
                for p in ("01", "02")
                for t, b in ((0.0, 0.4), (0.4, 1.2))
            ]
        ),
        "irrigation": pd.DataFrame({"plot_id": ["01", "02", "01"], "date": ["2022-05-10", "2022-05-12", "2022-05-30"], "depth_mm": [30.0, 25.0, 20.0], "wetted_fraction": 0.8}),
        "crop_parameters": pd.DataFrame(
            {
                "name": ["Kcbini", "Kcbmid", "Kcbend", "Lini", "Ldev", "Lmid", "Lend", "hini", "hmax", "theta0", "Zrini", "Zrmax", "pbase", "Ze", "REW"],
                "value": [0.15, 1.1, 0.5, 10, 15, 20, 10, 0.05, 1.0, 0.2, 0.3, 1.0, 0.55, 0.1, 8],
            }
        ),
        "measured": pd.DataFrame(
            [
                {"plot_id": p, "date": d, "top_m": t, "bottom_m": b, "swc_m3_m3": 0.2}
                for p in ("01", "02")
                for d in ("2022-05-15", "2022-06-15")
                for t, b in ((0.0, 0.4), (0.4, 1.0))
            ]
        ),
        "kcb_observed": pd.DataFrame({"date": days, "kcb": 0.6}),
    }  # fmt: skip
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def edited(folder: Path, name: str, edit: Edit) -> Path:
    path = folder / name
    edit(pd.read_csv(path, dtype={"plot_id": "str"})).to_csv(path, index=False)
    return folder


def cell(column: str, value: object, row: int = 1) -> Edit:
    def put(table: pd.DataFrame) -> pd.DataFrame:
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
        return table

    return put


def test_plots_keep_their_names_and_observed_kcb_its_days(folder: Path) -> None:
    table = run_balance_folder(folder).table
    assert set(table["plot_id"]) == {"01", "02"}
    assert (table["kcb"] == 0.6).all()
    assert table.groupby("plot_id")["irrigation_mm"].sum().to_dict() == {"01": 50.0, "02": 25.0}


@pytest.mark.parametrize("name", sorted(set(COLUMNS) - {"plots.csv", "index.csv"}))
def test_each_column_that_is_needed_is_named_when_absent(folder: Path, name: str) -> None:
    for column, rule in COLUMNS[name].items():
        if not rule.required:
            continue
        copy = shutil.copytree(folder, folder / f"without_{column}", ignore=shutil.ignore_patterns("without_*"))
        edited(Path(copy), name, lambda t, c=column: t.drop(columns=c))  # type: ignore[misc]
        with pytest.raises(ContractError, match=column):
            run_balance_folder(Path(copy))


@pytest.mark.parametrize(
    ("name", "edit", "error", "said"),
    [
        ("weather.csv", cell("rain_mm", "x"), ContractError, r"row 3: column rain_mm: 'x' is not a number"),
        ("weather.csv", cell("rain_mm", None), ContractError, "column rain_mm: an empty cell"),
        ("weather.csv", cell("tmax_c", None), NoDataError, "no et0_mm on 2022-05-02"),
        ("weather.csv", cell("tmax_c", 99), ContractError, "99.0 is outside -60 .. 65"),
        ("weather.csv", lambda t: t.drop(columns=["rhmax_pct", "rhmin_pct"]), NoDataError, "no et0_mm on 2022-05-01"),
        ("weather.csv", lambda t: pd.concat([t, t.iloc[[3]]]), ContractError, "2022-05-04 stands twice"),
        ("weather.csv", lambda t: t.iloc[:0], NoDataError, "no row"),
        ("station.csv", lambda t: t.iloc[:0], NoDataError, "no row"),
        ("station.csv", lambda t: t.assign(reference="grass"), ContractError, "'grass'"),
        ("soil.csv", cell("fc_m3_m3", "x"), ContractError, "'x' is not a number"),
        ("soil.csv", cell("initial_m3_m3", None), ContractError, "initial_m3_m3: an empty cell"),
        ("soil.csv", cell("top_m", 0.5), ContractError, "plot 01: layers overlap, leave a gap"),
        ("soil.csv", lambda t: t[t["plot_id"] == "01"], ContractError, "unknown plot 02"),
        ("irrigation.csv", cell("depth_mm", None), ContractError, "depth_mm: an empty cell"),
        ("irrigation.csv", cell("depth_mm", -3), ContractError, "-3.0 is below zero"),
        ("irrigation.csv", cell("wetted_fraction", 0), ContractError, "0.0 is outside"),
        ("crop_parameters.csv", cell("value", "x"), ContractError, "'x' is not a number"),
        ("crop_parameters.csv", cell("name", "Kcb_mid"), ContractError, "no parameter Kcbmid"),
        ("crop_parameters.csv", lambda t: pd.concat([t, pd.DataFrame({"name": ["Zmax"], "value": [1]})]), ContractError, "unknown parameter Zmax"),
        ("crop_parameters.csv", lambda t: pd.concat([t, t.iloc[[0]]]), ContractError, "Kcbini stands twice"),
        ("crop_parameters.csv", cell("value", 99, row=14), ContractError, "REW 99 mm is not below"),
        ("crop_parameters.csv", cell("value", 0.2, row=11), ContractError, "Zrmax is below Zrini"),
        ("measured.csv", cell("swc_m3_m3", "x"), ContractError, "'x' is not a number"),
        ("measured.csv", cell("date", "2023-05-15"), ContractError, "a reading on 2023-05-15 matches no day"),
        ("kcb_observed.csv", cell("kcb", 7), ContractError, "7.0 is outside 0 .. 2"),
        ("kcb_observed.csv", cell("date", "2021-05-02"), ContractError, "an observed Kcb on 2021-05-02 matches no day"),
        ("kcb_observed.csv", lambda t: pd.concat([t, t.iloc[[0]]]), ContractError, "2022-05-01 stands twice"),
    ],
)  # fmt: skip
def test_a_wrong_cell_is_named(folder: Path, name: str, edit: Edit, error: type[AgroError], said: str) -> None:
    with pytest.raises(error, match=said) as caught:
        run_balance_folder(edited(folder, name, edit))
    assert caught.value.do


def test_a_file_that_is_no_table_is_refused(folder: Path) -> None:
    (folder / "soil.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ConfigError, match="not a CSV table"):
        run_balance_folder(folder)


def test_what_is_not_counted_is_said(folder: Path) -> None:
    edited(folder, "kcb_observed.csv", lambda t: t[t["date"] >= "2022-05-11"])
    edited(folder, "soil.csv", lambda t: t[t["top_m"] == 0])
    warnings = run_balance_folder(folder).warnings
    assert any("30.0 mm in all, first 2022-05-10, lie before the first day" in w for w in warnings)
    assert any("its lowest layer is taken to go on" in w for w in warnings)


def test_a_planting_date_starts_the_balance(folder: Path) -> None:
    pd.DataFrame({"plot_id": ["01", "02"], "planting_date": ["2022-05-05", "2022-05-06"]}).to_csv(
        folder / "plots.csv", index=False
    )
    assert run_balance_folder(folder).table["date"].min() == pd.Timestamp("2022-05-05")
    pd.DataFrame({"plot_id": ["01", "03"]}).to_csv(folder / "plots.csv", index=False)
    with pytest.raises(ContractError, match="02, 03"):
        run_balance_folder(folder)


def test_a_perfect_reading_scores_perfectly(folder: Path) -> None:
    """Readings made of the balance's own soil water give no error, in storage and in depletion."""
    tables = read_tables(folder)
    table = simulate(tables)
    q, rows = tables.parameters, []
    for plot, layers in tables.soil.items():
        one = table[table["plot_id"] == plot].set_index("date")
        for day in one.index[10:-1:7]:
            # The roots' layer and the rest down to the deepest roots, each evenly wet.
            roots, full = one.loc[day, "zr_m"], q["Zrmax"]
            above = layers["fc_m3_m3"].iloc[0] - one.loc[day, "dr_mm"] / 1000 / roots
            below = layers["fc_m3_m3"].iloc[0] - (one.loc[day, "dr_full_mm"] - one.loc[day, "dr_mm"]) / 1000 / max(
                full - roots, 1e-9
            )
            parts = [(0.0, roots, above)] + ([(roots, full, below)] if full - roots > 0.02 else [])
            rows += [
                {"plot_id": plot, "date": day + pd.Timedelta(days=1), "top_m": t, "bottom_m": b, "swc_m3_m3": s}
                for t, b, s in parts
            ]
    perfect = dataclasses.replace(tables, measured=pd.DataFrame(rows))
    scores = score_balance(table, perfect)
    assert scores["depletion_readings"] > 8 and scores["readings_left_out"] == 0
    assert scores["depletion_rmse_mm"] == 0 and scores["depletion_nse"] == 1
    assert scores["storage_rmse_mm"] < 0.3


def test_readings_that_cannot_be_compared_are_counted(folder: Path) -> None:
    tables = read_tables(folder)
    table = simulate(tables)
    assert tables.measured is not None
    holed = tables.measured[~((tables.measured["plot_id"] == "01") & (tables.measured["top_m"] == 0))]
    changed = dataclasses.replace(tables, measured=holed)
    assert score_balance(table, changed)["readings_left_out"] == 2
    assert set(measured_water(changed, table)["plot_id"]) == {"02"}
    nothing = dataclasses.replace(tables, measured=tables.measured.assign(swc_m3_m3=np.nan))
    assert score_balance(table, nothing) == {"depletion_readings": 0, "readings_left_out": 4}


def test_same_tables_same_bytes(folder: Path) -> None:
    for suffix in ("csv", "parquet"):
        first, second = folder / f"a.{suffix}", folder / f"b.{suffix}"
        run_balance_folder(folder).write(first)
        run_balance_folder(folder).write(second)
        assert first.read_bytes() == second.read_bytes()
    back = pd.read_parquet(folder / "a.parquet")
    assert list(back.columns) == list(pd.read_csv(folder / "a.csv").columns)


def add_index(folder: Path, crop: str = "wheat_winter", **columns: object) -> None:
    pd.DataFrame({"plot_id": ["01", "02"], "crop": crop}).to_csv(folder / "plots.csv", index=False)
    (folder / "kcb_observed.csv").unlink()
    looks = {"plot_id": ["01", "01", "02"], "date": ["2022-05-11", "2022-05-21", "2022-05-15"], "ndvi": [0.4, 0.6, 0.3]}
    pd.DataFrame({**looks, **columns}).to_csv(folder / "index.csv", index=False)


def test_an_index_gives_kcb_between_its_looks_and_the_table_elsewhere(folder: Path) -> None:
    (folder / "measured.csv").unlink()
    table_only = folder / "table_only"
    shutil.copytree(folder, table_only)
    (table_only / "kcb_observed.csv").unlink()
    usual = run_balance_folder(table_only).table.set_index(["plot_id", "date"])["kcb"]
    add_index(folder)
    seen = run_balance_folder(folder).table.set_index(["plot_id", "date"])
    kcb = seen["kcb"]
    for day, ndvi in (("2022-05-11", 0.4), ("2022-05-16", 0.5), ("2022-05-21", 0.6)):
        assert kcb["01", day] == pytest.approx(1.64 * (ndvi - 0.14))
        assert seen["fc_frac"]["01", day] == pytest.approx(1.18 * (ndvi - 0.14))
    assert kcb["02", "2022-05-15"] == pytest.approx(1.64 * 0.16)
    other = [key for key in kcb.index if key[0] == "02" and key[1] != pd.Timestamp("2022-05-15")]
    assert np.allclose(kcb[other], usual[other])


@pytest.mark.parametrize(
    ("crop", "columns", "error", "said"),
    [
        ("rye", {}, ContractError, "unknown crop rye"),
        ("tomato_covered", {}, ContractError, "plastic"),
        ("wheat_winter", {"plot_id": ["01", "09", "02"]}, ContractError, "unknown plot 09"),
        (
            "wheat_winter",
            {"date": ["2022-05-11", "2021-05-21", "2022-05-15"]},
            ContractError,
            "2021-05-21 matches no day",
        ),
        ("wheat_winter", {"ndvi": [0.4, 7.0, 0.3]}, ContractError, "7.0 is outside"),
        ("wheat_winter", {"evi": 0.3}, ContractError, "unknown column evi"),
    ],
)
def test_what_is_wrong_with_an_index_is_named(
    folder: Path, crop: str, columns: dict[str, object], error: type[Exception], said: str
) -> None:
    add_index(folder, crop, **columns)
    with pytest.raises(error, match=said):
        run_balance_folder(folder)


def test_an_index_without_its_crop_is_refused(folder: Path) -> None:
    add_index(folder)
    edited(folder, "plots.csv", lambda t: t.drop(columns="crop"))
    with pytest.raises(ConfigError, match="crop"):
        run_balance_folder(folder)


def test_observed_kcb_may_differ_by_plot(folder: Path) -> None:
    rows = {"plot_id": ["01", "02"], "date": "2022-05-10", "kcb": [0.5, 0.8]}
    pd.DataFrame(rows).to_csv(folder / "kcb_observed.csv", index=False)
    table = run_balance_folder(folder).table.set_index(["plot_id", "date"])
    assert table["kcb"]["01", "2022-05-10"] == 0.5 and table["kcb"]["02", "2022-05-10"] == 0.8


def test_runoff_by_curve_number_when_asked_for(folder: Path) -> None:
    edited(folder, "weather.csv", lambda t: t.assign(rain_mm=np.where(t.index == 10, 60.0, 0.0)))
    with pytest.raises(ContractError, match="CN2"):
        run_balance_folder(folder, runoff=True)
    edited(folder, "crop_parameters.csv", lambda t: pd.concat([t, pd.DataFrame([{"name": "CN2", "value": 80.0}])]))
    dry, wet = (run_balance_folder(folder, runoff=asked).table for asked in (False, True))
    assert dry["runoff_mm"].sum() == 0 and 10 < wet["runoff_mm"].max() < 60


def test_observed_kcb_with_its_doubt_is_weighed_against_the_stages(folder: Path) -> None:
    (folder / "kcb_observed.csv").unlink()
    # Without a planting date the first observation would be the first day.
    planted = pd.DataFrame({"plot_id": ["01", "02"], "planting_date": "2022-05-01"})
    planted.to_csv(folder / "plots.csv", index=False)
    usual = run_balance_folder(folder).table.set_index(["plot_id", "date"])["kcb"]
    day, later = pd.Timestamp("2022-05-10"), pd.Timestamp("2022-05-14")
    prior = usual["01", day]
    told = {"plot_id": ["01"], "date": [day], "kcb": [prior + 0.2], "kcb_sd": [0.15 * prior]}
    pd.DataFrame(told).to_csv(folder / "kcb_observed.csv", index=False)
    kcb = run_balance_folder(folder).table.set_index(["plot_id", "date"])["kcb"]
    assert kcb["01", day] == pytest.approx(prior + 0.1)  # as doubtful as the table: half way
    assert kcb["01", later] == pytest.approx(usual["01", later] * (1 + 0.1 / prior * np.exp(-4 / 20)))
    assert kcb["02", day] == usual["02", day]
