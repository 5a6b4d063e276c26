from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from agro.schema.errors import ContractError, NoDataError
from agro.sources.cybench import read_cybench


def write_country(folder: Path, sos: float = 330.0, eos: float = 180.0) -> Path:
    """Two regions, 2001 to 2006, in the benchmark's layout."""
    folder.mkdir(parents=True)
    years = range(2001, 2007)
    pd.DataFrame({"crop_name": "wheat", "adm_id": ["A", "B"], "sos": [sos, 189.7], "eos": [eos, 192.6]}).to_csv(
        folder / "crop_calendar_wheat_XX.csv", index=False
    )
    pd.DataFrame(
        [{"adm_id": a, "harvest_year": y, "yield": 3.0 + 0.1 * (y - 2001)} for a in "AB" for y in years]
    ).to_csv(folder / "yield_wheat_XX.csv", index=False)
    days = pd.date_range("2001-01-01", "2006-12-31", freq="8D")
    for name, value in (("ndvi", 150.0), ("fpar", 40.0)):
        pd.DataFrame([{"adm_id": a, "date": d.strftime("%Y%m%d"), name: value} for a in "AB" for d in days]).to_csv(
            folder / f"{name}_wheat_XX.csv", index=False
        )
    return folder


def test_units_and_calendar(tmp_path: Path) -> None:
    data = read_cybench(write_country(tmp_path / "wheat" / "XX").parent)
    assert (data.crop, data.country) == ("wheat", "XX")
    values = data.series.groupby("variable")["value"].first()
    assert values["ndvi"] == pytest.approx(0.5) and values["fpar"] == pytest.approx(0.4)
    assert list(data.regions["calendar_repaired"]) == [False, True]
    assert data.regions.loc["B", "season_length_d"] == data.regions.loc["A", "season_length_d"] == pytest.approx(215.0)
    assert data.regions[["latitude", "awc"]].isna().all(axis=None), "no file, no value"


@pytest.mark.parametrize(("sos", "first"), [(330.0, 2004), (40.0, 2003)])
def test_first_harvest_is_that_of_a_whole_season(tmp_path: Path, sos: float, first: int) -> None:
    folder = write_country(tmp_path / "XX", sos)
    assert read_cybench(folder).yields["year"].min() == first
    assert read_cybench(folder, 2001).yields["year"].min() == 2001


def test_faults_are_said(tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match="yield_<crop>_<country>"):
        read_cybench(tmp_path)
    folder = write_country(tmp_path / "XX")
    path = folder / "yield_wheat_XX.csv"
    table = pd.read_csv(path)
    pd.concat([table, table.head(1)]).to_csv(path, index=False)
    with pytest.raises(ContractError, match="twice, first A, 2001"):
        read_cybench(folder)
    table.astype({"yield": object}).assign(**{"yield": "many"}).to_csv(path, index=False)
    with pytest.raises(ContractError, match="not numeric"):
        read_cybench(folder)
    table.drop(columns="yield").to_csv(path, index=False)
    with pytest.raises(ContractError, match="no column yield"):
        read_cybench(folder)
    table.to_csv(path, index=False)
    (folder / "ndvi_wheat_XX.csv").unlink()
    (folder / "fpar_wheat_XX.csv").unlink()
    with pytest.raises(NoDataError, match="no NDVI"):
        read_cybench(folder)
