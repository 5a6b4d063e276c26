"""Scripts that run at the provider give the values that are computed here."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from agro import indices
from agro.indices.catalogue import SpectralIndex, parse_catalogue
from agro.schema.errors import ConfigError
from agro.sources.imagery.sentinelhub.evalscript import NATIVE, pixels_script, statistics_script


def node() -> str:
    """A JavaScript engine: the machine's, or that of playwright."""
    found = shutil.which("node")
    if not found:
        inside = Path(str(resources.files("playwright"))) / "driver" / "node"
        found = str(inside) if inside.exists() else None
    if not found:
        pytest.skip("no JavaScript engine")
    return found


def run(script: str, pixels: list[dict[str, float]]) -> list[dict[str, list[float]]]:
    """`evaluatePixel` of each pixel; numbers that are none come as None."""
    code = f"{script}\nconsole.log(JSON.stringify({{setup: setup(), out: {json.dumps(pixels)}.map(evaluatePixel)}}));"
    done = subprocess.run([node(), "-e", code], capture_output=True, text=True, check=True, timeout=60)
    out: list[dict[str, list[float]]] = json.loads(done.stdout)["out"]
    return out


def pixels(count: int) -> list[dict[str, float]]:
    random = np.random.default_rng(7)
    rows = [
        {native: float(v) for native, v in zip(NATIVE.values(), random.uniform(-0.05, 0.6, 13), strict=True)}
        for _ in range(count)
    ]
    for row in rows:
        row |= {"SCL": 4, "dataMask": 1}
    # Nothing over nothing.
    rows[0] |= {"B04": 0.0, "B08": 0.0}
    return rows


@pytest.mark.parametrize("key", sorted(indices.catalogue()))
def test_every_index_of_the_catalogue(key: str) -> None:
    index = indices.catalogue()[key]
    seen = pixels(60)
    here = indices.compute(key, {band: np.array([[p[NATIVE[band]] for p in seen]]) for band in index.bands})[0]
    there = run(statistics_script({key: index}, (0, 1, 3)), seen)
    mask = np.array([row["dataMask"][0] for row in there])
    np.testing.assert_array_equal(mask == 1, np.isfinite(here))
    values = np.array([row[key][0] for row in there], dtype="float64")
    np.testing.assert_allclose(values[mask == 1], here[mask == 1], rtol=2e-6, atol=1e-6)
    assert mask.sum() > 5, "some pixels have a value"


def test_each_index_has_its_own_mask_and_clouds_are_dropped() -> None:
    chosen = {key: indices.catalogue()[key] for key in ("ndvi", "ndmi")}
    clear = {"B04": 0.05, "B08": 0.4, "B11": 0.2, "SCL": 4, "dataMask": 1}
    out = run(
        statistics_script(chosen, (0, 1, 3, 8, 9, 10, 11)),
        [clear, {**clear, "SCL": 9}, {**clear, "dataMask": 0}, {**clear, "B04": -0.4}, {**clear, "B08": -0.2}],
    )
    assert [row["dataMask"] for row in out] == [[1, 1], [0, 0], [0, 0], [0, 1], [0, 0]]
    assert out[0]["ndvi"][0] == pytest.approx(0.35 / 0.45)
    assert out[3]["ndvi"] == [0], "no number that is none goes out"


def test_pixels_are_asked_for_as_they_are_in_the_files() -> None:
    script = pixels_script(("nir08", "red", "scl"))
    assert 'bands: ["B8A", "B04", "SCL", "dataMask"], units: "DN"' in script
    assert 'bands: 4, sampleType: "UINT16"' in script
    [out] = run(script, [{"B8A": 3100, "B04": 1200, "SCL": 5, "dataMask": 1}])
    assert out == [3100, 1200, 5, 1]


def test_only_arithmetic_is_translated() -> None:
    entry = {
        "name": "x", "formula": "nir - red", "valid_range": [-1, 1], "unit": "1", "citation": "none",
    }  # fmt: skip
    index = parse_catalogue({"x": entry})["x"]
    wrong = SpectralIndex.model_validate({**index.model_dump(), "formula": "__import__('os')"})
    with pytest.raises(ConfigError, match="not arithmetic"):
        statistics_script({"x": wrong}, ())
