from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "reports"))

from fake_run import ISSUED, World, make_world

from pipelines.cli import app

DAY = ISSUED.isoformat()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path, languages=["fr", "ar"], crops={})


def agro(*words: str) -> tuple[int, dict[str, object]]:
    result = CliRunner().invoke(app, [*words, "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_report_writes_sheets_where_the_bulletin_is(world: World, tmp_path: Path) -> None:
    code, said = agro("report", "-w", str(tmp_path), "-d", DAY, "--only", "p000", "-l", "ar", "-f", "pdf")
    path = world.store.published(ISSUED) / "sheets" / "ar" / "parcel_p000.pdf"
    assert code == 0 and said["written"] == [str(path)] and path.read_bytes().startswith(b"%PDF")
    _, said = agro("report", "-w", str(tmp_path), "-d", DAY, "--by", "grower", "--only", "o1", "-f", "html")
    assert len(said["written"]) == 2  # type: ignore[arg-type]


def test_send_says_first_then_sends_once(world: World, tmp_path: Path) -> None:
    contacts, settings, outbox = tmp_path / "c.csv", tmp_path / "s.yaml", tmp_path / "outbox"
    contacts.write_text(
        "about,id,channel,address,language,form\nparcel,p000,folder,g0,fr,sms\nparcel,p002,folder,g2,fr,sms\n", encoding="utf-8"
    )  # fmt: skip
    settings.write_text(f"folder:\n  path: {outbox}\n", encoding="utf-8")
    words = ("send", "-w", str(tmp_path), "-d", DAY, "-c", str(contacts), "-s", str(settings))
    code, said = agro(*words)
    assert code == 3 and said["dry_run"] is True  # p002 awaits a person
    assert [d["outcome"] for d in said["deliveries"]] == ["would send"]  # type: ignore[attr-defined]
    assert [row["item"] for row in said["left_out"]] == ["parcel p002"]  # type: ignore[attr-defined]
    assert not outbox.exists() and not (world.store.path / "sent.sqlite").exists()
    outcomes = [[d["outcome"] for d in agro(*words, "--really")[1]["deliveries"]] for _ in range(2)]  # type: ignore[attr-defined]
    assert outcomes == [["sent"], ["sent before"]]
    assert len([p for p in outbox.rglob("*") if p.is_file()]) == 1
    assert CliRunner().invoke(app, ["opt-out", "-w", str(tmp_path), "folder", "G0"]).exit_code == 0
    assert [d["outcome"] for d in agro(*words, "--really")[1]["deliveries"]] == ["opted out"]  # type: ignore[attr-defined]
