from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from agro.parcels import observe_table
from agro.schema.errors import ConfigError, ContractError, NoDataError

BANDS = {"ndvi": ("red", "nir"), "ndmi": ("nir", "swir16")}
NAMES = {"B04": "red", "B08": "nir"}


def ndvi(key, bands):
    assert key == "ndvi"
    return (bands["nir"] - bands["red"]) / (bands["nir"] + bands["red"])


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample_id": ["a", "a", "b", "b"],
            "timestamp": ["2026-01-01", "2026-02-01"] * 2,
            "B04": [1000, 500, 65535, 800],
            "B08": [3000, 4500, 65535, 0],
        }
    )


def observe(path, keys=("ndvi",)):
    return observe_table(path, keys, BANDS, ndvi, NAMES.get)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_values_and_missing_months(tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"
    table().to_csv(path, index=False) if suffix == "csv" else table().to_parquet(path)
    found, given = observe(path, ("ndvi", "ndmi"))
    assert given == ["ndvi"]  # no band for the other
    np.testing.assert_allclose(found["mean"], [0.5, 0.8, np.nan, np.nan])
    assert found["usable"].tolist() == [True, True, False, False]
    assert found["reason"].fillna("").tolist() == ["", "", "no_valid_pixels", "no_valid_pixels"]
    assert found["pixels_effective"].tolist() == [1, 1, 0, 0]
    assert found["sd"].isna().all()


def test_observations_pass_as_they_are(tmp_path):
    table().to_csv(tmp_path / "t.csv", index=False)
    found, _ = observe(tmp_path / "t.csv")
    found.to_parquet(tmp_path / "o.parquet")
    again, given = observe(tmp_path / "o.parquet")
    pd.testing.assert_frame_equal(again, found)
    assert given == ["ndvi"]


@pytest.mark.parametrize(
    "change, error, message",
    [
        (lambda t: t.drop(columns="sample_id"), ConfigError, "no column for the parcel"),
        (lambda t: t.drop(columns="timestamp"), ConfigError, "no column for the date"),
        (lambda t: t.drop(columns="B04"), ConfigError, "give none of ndvi"),
        (lambda t: t.iloc[:0], NoDataError, "no row"),
        (
            lambda t: t.assign(timestamp=["2026-01-01", "soon", "2026-01-01", "2026-02-01"]),
            ContractError,
            "1 row.*row 2",
        ),
        (lambda t: t.assign(timestamp="2026-01-01"), ContractError, "repeat a parcel and date, first: a on 2026-01-01"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, change, error, message):
    change(table()).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(error, match=message):
        observe(tmp_path / "t.csv")


def test_files_that_are_no_table(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        observe(tmp_path / "absent.csv")
    (tmp_path / "t.parquet").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="not a table"):
        observe(tmp_path / "t.parquet")
    table().to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ConfigError, match="unknown index nonsense"):
        observe(tmp_path / "t.csv", ("nonsense",))
