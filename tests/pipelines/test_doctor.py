"""``agro doctor`` says what works and what is missing, link by link."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from protocol_server import Reply
from test_network_run import links, region, servers, write_imagery  # noqa: F401  (fixtures)
from typer.testing import CliRunner

from pipelines.cli import app


def examined(folder: Path, tmp_path: Path) -> tuple[int, list[dict]]:
    told = ["doctor", "--region", str(folder), "--date", "2022-04-11", "--workspace", str(tmp_path / "ws")]
    result = CliRunner().invoke(app, [*told, "--cache", str(tmp_path / "cache"), "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_each_link_is_tried_and_told(region, servers, tmp_path):  # noqa: F811
    code, findings = examined(region, tmp_path)
    assert code == 0 and all(f["works"] for f in findings), findings
    assert [f["data"] for f in findings] == ["imagery"] * 2 + ["weather"] * 3 + ["soil"] * 2
    first, second = findings[:2]
    assert first["requests"] == len(servers[0].received) > 1 and second["requests"] > 1
    assert "scenes, newest 2022-04-" in first["told"]


def test_a_link_that_fails_does_not_hide_the_others(region, servers, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.delenv("CDSE_S3_ACCESS_KEY_ID", raising=False)
    write_imagery(region, *links(servers), {"kind": "cdse-stac"})
    servers[0].fault("", times=1000, reply=Reply("no", 404))
    code, findings = examined(region, tmp_path)
    told = {f["link"]: f for f in findings if f["data"] == "imagery"}
    assert code == 3
    assert not told["earth-search"]["works"] and "404" in told["earth-search"]["told"]
    assert told["planetary-computer"]["works"]
    assert not told["cdse-stac"]["works"] and "CDSE_S3_ACCESS_KEY_ID" in told["cdse-stac"]["told"]


def test_no_imagery_at_all_is_a_failure(region, servers, tmp_path):  # noqa: F811
    write_imagery(region, links(servers)[0])
    servers[0].fault("", times=1000, reply=Reply("no", 404))
    code, _ = examined(region, tmp_path)
    assert code == 1


@pytest.mark.parametrize("command", ["plan", "doctor", "cost"])
def test_help_shows_an_example(command):
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0 and "Example" in shown.stdout
