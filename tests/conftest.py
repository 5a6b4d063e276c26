from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("explore", max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def sample_tiles() -> Path:
    """The simulated sample region that comes with the project."""
    return ROOT / "sample_tiles"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Third-party data kept beside the project: ``AGRO_SHARED_DATA`` or ``../shared/data``."""
    path = Path(os.environ.get("AGRO_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not path.exists():
        pytest.skip(f"third-party data absent: no folder {path}")
    return path
