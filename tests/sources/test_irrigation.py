"""Reported irrigation: one bad row costs that day, never the batch."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from agro.schema.errors import ConfigError
from agro.sources.irrigation import load_irrigation

PARCELS = pd.DataFrame({"parcel_uid": ["a", "b", "c"]})
OTHERS = pd.DataFrame({"parcel_uid": ["a", "007"]})
AS_OF = date(2022, 4, 11)


def test_irrigation_rows_are_judged_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "i.csv"
    path.write_text(
        "parcel_uid,date,depth_mm\na,2022-04-01,20\na,2022-04-01,10\nb,2022-04-02,-5\nz,2022-04-02,10\nb,soon,10\nb,2022-04-03,9000\nc,2022-05-01,30\n"
    )
    events, rejected = load_irrigation(path, PARCELS, date(2022, 4, 11))
    assert events[["parcel_uid", "depth_mm"]].to_numpy().tolist() == [["a", 30.0]]
    assert len(rejected) == 4  # the later event is not bad, only not known yet
    assert load_irrigation(None, PARCELS, date(2022, 4, 11))[0].empty


def test_a_day_that_adds_up_to_too_much_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "irrigation.csv"
    path.write_text(
        "parcel_uid,date,depth_mm,source\na,2022-04-01,250,\na,2022-04-01,250,\n007,2022-04-02,20,\n,2022-04-03,20,\n"
    )
    events, rejected = load_irrigation(path, OTHERS, AS_OF)
    assert events[["parcel_uid", "depth_mm", "source"]].to_numpy().tolist() == [["007", 20.0, "reported"]]
    assert sorted(rejected["reason"]) == ["no parcel_uid", "the day's events come to 500 mm"]


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "irrigation.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ConfigError, match="not a CSV table"):
        load_irrigation(tmp_path / "irrigation.csv", OTHERS, AS_OF)
