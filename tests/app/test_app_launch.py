from __future__ import annotations

import socket
from pathlib import Path

import pytest

from agro.schema.errors import ConfigError
from app.context import options
from app.launch import ADDRESS, command, launch


def test_a_taken_port_is_said_and_nothing_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((ADDRESS, 0))
        taken.listen()
        with pytest.raises(ConfigError, match="cannot be used"):
            launch(tmp_path, port=taken.getsockname()[1], headless=True)


@pytest.mark.parametrize("port", [-1, 70000])
def test_an_impossible_port_is_said(tmp_path: Path, port: int) -> None:
    with pytest.raises(ConfigError):
        launch(tmp_path, port=port, headless=True)


def test_the_command_listens_on_this_machine_alone_and_names_the_workspace(tmp_path: Path) -> None:
    line = command(tmp_path, 8600, True, "haouz")
    assert line[line.index("--server.address") + 1] == "127.0.0.1"
    chosen = options(line[line.index("--") + 1 :])
    assert chosen.workspace == tmp_path.resolve()
    assert chosen.region == "haouz"


def test_the_workspace_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AGRO_WORKSPACE", str(tmp_path))
    assert options([]).workspace == tmp_path
    assert options(["--workspace", "other", "--unknown"]).workspace == Path("other")
