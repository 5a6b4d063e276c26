"""What a region has cost, from the ledger."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from typer.testing import CliRunner

from agro.sources.net import Estimate, Ledger
from pipelines.cli import app
from pipelines.costs import Costs


def test_a_region_without_a_run_is_said_and_is_null_in_json(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "requests.sqlite")
    for region in ("a", "b"):
        ledger.enter(
            provider="p", region=region, piece="day", parcels=(), estimated=Estimate(1, 1, 1), actual=Estimate(1, 2, 3),
            pu_reported=True, status="ok",
        )  # fmt: skip
    ledger.close()
    shown = CliRunner().invoke(app, ["cost", "--workspace", str(tmp_path)])
    assert shown.exit_code == 0 and "no run yet" in shown.output and "nan" not in shown.output


def test_one_region_with_an_area_and_one_without_stay_valid_json() -> None:
    empty = pd.DataFrame()
    rows = [
        {"region": "a", "area_ha": 2.0, "pu": 1.0, "money": 0.1},
        {"region": "b", "area_ha": None, "pu": None, "money": None},
    ]
    told = Costs(empty, empty, pd.DataFrame(rows)).as_dict()["per_ha_week"]
    assert told == rows
    assert json.loads(json.dumps(told, allow_nan=False)) == rows
