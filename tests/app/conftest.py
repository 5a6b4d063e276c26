from __future__ import annotations

from pathlib import Path

import pytest
from fake_workspace import ISSUED, REGION, make_workspace


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only: a test that changes a file takes ``own_workspace``."""
    return make_workspace(tmp_path_factory.mktemp("app") / "workspace", 30)


@pytest.fixture
def own_workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "workspace", 8, (ISSUED,))


@pytest.fixture(scope="session")
def folder(workspace: Path) -> Path:
    return workspace / REGION / "runs" / ISSUED.isoformat()
