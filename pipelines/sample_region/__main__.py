"""``python -m pipelines.sample_region OUT``."""

import sys
from pathlib import Path

from pipelines.sample_region.build import build_sample_region

if __name__ == "__main__":
    build_sample_region(Path(sys.argv[1]))
