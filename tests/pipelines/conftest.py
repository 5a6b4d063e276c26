from __future__ import annotations

from pathlib import Path

import pytest
from pipelines_support import AS_OF

from pipelines.weekly import WeeklyResult, run_weekly


@pytest.fixture(scope="session")
def week(sample_tiles: Path, tmp_path_factory: pytest.TempPathFactory) -> WeeklyResult:
    """One run of the sample region, shared by the tests that only read it."""
    return run_weekly(sample_tiles, AS_OF, tmp_path_factory.mktemp("week"), languages=("en",))
