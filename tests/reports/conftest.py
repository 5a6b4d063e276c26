from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_run import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


@pytest.fixture
def build_world(tmp_path: Path) -> Callable[..., World]:
    return lambda name="w", **kw: make_world(tmp_path / name, **kw)
