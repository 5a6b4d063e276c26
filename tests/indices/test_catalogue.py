from __future__ import annotations

import ast
from importlib import resources

import numpy as np
import pytest
import xarray as xr
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.indices import catalogue, compute
from agro.indices.catalogue import evaluate, parse_catalogue
from agro.schema.bands import SENTINEL2_COMMON_NAMES
from agro.schema.errors import ConfigError, ContractError

KEYS = sorted(catalogue())
WANTED = [
    "ndvi",
    "evi",
    "evi2",
    "savi",
    "msavi",
    "osavi",
    "gndvi",
    "ndre",
    "cire",
    "cigreen",
    "ndmi",
    "ndwi",
    "mndwi",
    "nbr",
    "mtci",
    "mcari",
    "tcari_osavi",
    "s2rep",
    "ireci",
    "psri",
    "bsi",
    "nirv",
    "ndti",
    "wdrvi",
    "fcover",
    "lai",
    "fapar",
]
#: Reflectance of a wheat canopy and of bare soil, by common name.
WHEAT = {
    "blue": 0.03, "green": 0.06, "red": 0.035, "rededge1": 0.10, "rededge2": 0.30, "rededge3": 0.42, "nir": 0.45,
    "nir08": 0.46, "swir16": 0.18, "swir22": 0.08,
}  # fmt: skip
SOIL = {
    "blue": 0.08, "green": 0.12, "red": 0.16, "rededge1": 0.19, "rededge2": 0.21, "rededge3": 0.23, "nir": 0.25,
    "nir08": 0.26, "swir16": 0.33, "swir22": 0.28,
}  # fmt: skip


def pixel(values: dict[str, float]) -> dict[str, np.ndarray]:
    return {band: np.array([[value]], dtype="float32") for band, value in values.items()}


def one(key: str, values: dict[str, float]) -> float:
    return float(compute(key, pixel(values))[0, 0])


class _NoTwice(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        keys = [self.construct_object(k, deep=True) for k, _ in node.value]
        assert len(keys) == len(set(keys)), f"twice in the file: {keys}"
        return super().construct_mapping(node, deep)


class TestEntries:
    def test_all_that_is_wanted(self) -> None:
        assert set(WANTED) <= set(KEYS)
        assert len(KEYS) >= 24

    def test_no_key_is_written_twice(self) -> None:
        text = resources.files("agro.indices").joinpath("catalogue.yaml").read_text(encoding="utf-8")
        assert list(yaml.load(text, _NoTwice)) == list(catalogue())

    @pytest.mark.parametrize("key", KEYS)
    def test_is_complete(self, key: str) -> None:
        index = catalogue()[key]
        assert index.key == key == key.lower()
        assert index.name
        assert index.unit
        assert any(year in index.citation for year in map(str, range(1970, 2025)))
        assert index.valid_range[0] < index.valid_range[1]
        assert set(index.bands) <= set(SENTINEL2_COMMON_NAMES.values())
        names = {n.id for n in ast.walk(ast.parse(index.formula)) if isinstance(n, ast.Name)}
        assert set(index.bands) <= names
        assert set(index.constants) <= names

    def test_empirical_relations_state_where_they_hold(self) -> None:
        for key in ("fcover", "lai", "fapar"):
            assert catalogue()[key].note.startswith("Empirical")

    @pytest.mark.parametrize(
        ("entry", "said"),
        [
            ({"formula": "(nir - rad) / nir"}, "unknown name rad"),
            ({"formula": "(nir - red"}, "index x"),
            ({"formula": "nir", "colour": 1}, "colour"),
            ({}, "formula"),
        ],
    )
    def test_a_wrong_entry_is_named(self, entry: dict[str, object], said: str) -> None:
        whole = {"name": "x", "valid_range": [0, 1], "unit": "1", "citation": "x 2000"} | entry
        with pytest.raises(ConfigError, match=said):
            parse_catalogue({"x": whole})


class TestFormulas:
    @pytest.mark.parametrize(
        "formula",
        ["__import__('os')", "nir.real", "nir[0]", "open(nir)", "nir if red else 1", "[nir]", "lambda: 1", "nir < red", "'a'", "exp(x=nir)", "nir @ red", "nir // red", "unknown"],
    )  # fmt: skip
    def test_only_arithmetic_runs(self, formula: str) -> None:
        with pytest.raises(ConfigError, match="not arithmetic"):
            evaluate(formula, {"nir": np.ones(2), "red": np.ones(2)})

    @settings(max_examples=60)
    @given(st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0.1, 3))
    def test_arithmetic_is_that_of_python(self, a: float, b: float, c: float) -> None:
        for formula in ("a + b * c - a / b", "-a ** 2 / (b + c)", "sqrt(a) * exp(b) - log(c)", "clip(a - b, 0, c)"):
            expected = eval(
                formula, {"sqrt": np.sqrt, "exp": np.exp, "log": np.log, "clip": np.clip}, {"a": a, "b": b, "c": c}
            )
            assert float(evaluate(formula, {"a": np.array(a), "b": np.array(b), "c": np.array(c)})) == pytest.approx(
                expected
            )

    def test_roots_and_logarithms_of_negatives_are_missing(self) -> None:
        assert np.isnan(evaluate("sqrt(a)", {"a": np.array(-1.0)}))
        assert np.isnan(evaluate("log(a)", {"a": np.array([0.0])})).all()


class TestCompute:
    def test_golden_values(self) -> None:
        """By hand from the papers' formulas."""
        assert one("ndvi", WHEAT) == pytest.approx(0.415 / 0.485)
        assert one("evi", WHEAT) == pytest.approx(2.5 * 0.415 / (0.45 + 6 * 0.035 - 7.5 * 0.03 + 1), rel=1e-5)
        assert one("evi2", WHEAT) == pytest.approx(2.5 * 0.415 / (0.45 + 2.4 * 0.035 + 1), rel=1e-5)
        assert one("savi", WHEAT) == pytest.approx(1.5 * 0.415 / 0.985, rel=1e-5)
        assert one("ndmi", SOIL) == pytest.approx(-0.08 / 0.58, rel=1e-5)
        assert one("ndti", SOIL) == pytest.approx((0.33 - 0.28) / 0.61, rel=1e-5)
        assert one("mtci", WHEAT) == pytest.approx(0.20 / 0.065, rel=1e-5)
        assert one("s2rep", WHEAT) == pytest.approx(705 + 35 * (0.2275 - 0.10) / 0.20, rel=1e-6)
        assert one("fcover", WHEAT) == pytest.approx(1.26 * 0.415 / 0.485 - 0.18, rel=1e-5)
        assert one("fapar", WHEAT) == pytest.approx(1.257 * 0.415 / 0.485 - 0.161, rel=1e-5)
        assert one("lai", WHEAT) == pytest.approx(3.618 * one("evi", WHEAT) - 0.118, rel=1e-5)

    def test_wheat_is_greener_than_soil(self) -> None:
        for key in (
            "ndvi",
            "evi",
            "evi2",
            "savi",
            "msavi",
            "osavi",
            "gndvi",
            "ndre",
            "cire",
            "ndmi",
            "mtci",
            "nirv",
            "fcover",
            "lai",
            "fapar",
        ):
            assert one(key, WHEAT) > one(key, SOIL), key
        for key in ("bsi", "psri", "ndwi"):
            assert one(key, WHEAT) < one(key, SOIL), key

    @pytest.mark.parametrize("key", KEYS)
    def test_ordinary_land_is_within_the_valid_range(self, key: str) -> None:
        assert np.isfinite(one(key, WHEAT))
        assert np.isfinite(one(key, SOIL))

    @pytest.mark.parametrize("key", KEYS)
    def test_missing_band_is_missing_index(self, key: str) -> None:
        for band in catalogue()[key].bands:
            assert np.isnan(one(key, {**WHEAT, band: np.nan})), band

    @pytest.mark.parametrize("key", KEYS)
    def test_all_zero(self, key: str) -> None:
        low, high = catalogue()[key].valid_range
        value = one(key, dict.fromkeys(WHEAT, 0.0))
        assert np.isnan(value) or low <= value <= high
        if key in {
            "ndvi",
            "gndvi",
            "ndre",
            "cire",
            "cigreen",
            "ndmi",
            "ndwi",
            "mndwi",
            "nbr",
            "mtci",
            "s2rep",
            "psri",
            "bsi",
            "ndti",
            "wdrvi",
            "nirv",
            "fcover",
            "fapar",
        }:
            assert np.isnan(value)

    @settings(max_examples=150, deadline=None)
    @given(
        st.sampled_from(KEYS),
        st.fixed_dictionaries({band: st.one_of(st.just(np.nan), st.just(0.0), st.floats(-0.2, 1.6)) for band in WHEAT}),
    )
    def test_never_infinite_never_outside_never_from_nothing(self, key: str, values: dict[str, float]) -> None:
        out = one(key, values)
        index = catalogue()[key]
        assert np.isnan(out) or np.float32(index.valid_range[0]) <= out <= np.float32(index.valid_range[1])
        if any(np.isnan(values[band]) for band in index.bands):
            assert np.isnan(out)

    @settings(max_examples=60, deadline=None)
    @given(st.floats(-1e-7, 1e-7), st.floats(0.05, 0.6))
    def test_denominator_about_zero(self, rest: float, red: float) -> None:
        assert np.isnan(one("ndvi", {"nir": -red + rest, "red": red}))
        assert np.isnan(one("mtci", {**WHEAT, "red": red, "rededge1": red + rest}))

    def test_a_ratio_of_two_nothings_is_missing_though_in_range(self) -> None:
        assert np.isnan(one("ndvi", {"nir": 3e-7, "red": 1e-7}))
        assert one("ndvi", {"nir": 3e-4, "red": 1e-4}) == pytest.approx(0.5, rel=1e-5)

    def test_lai_beyond_the_relation_is_missing_not_cut_off(self) -> None:
        assert np.isnan(one("lai", {"nir": 0.9, "red": 0.05, "blue": 0.25}))
        assert one("lai", {"nir": 0.2, "red": 0.2, "blue": 0.1}) == 0

    def test_a_cube_of_one_day(self) -> None:
        values = np.linspace(0.1, 0.5, 12, dtype="float32").reshape(1, 3, 4)
        cube = xr.Dataset({"nir": (("time", "y", "x"), values), "red": (("time", "y", "x"), values / 3)})
        out = compute("ndvi", cube)
        assert (out.shape, out.dtype) == ((3, 4), np.float32)
        np.testing.assert_allclose(out, 0.5, rtol=1e-6)
        columns = compute("ndvi", {"nir": values[0, 0], "red": values[0, 0] / 3})
        assert columns.shape == (4,)

    def test_unknown_index_and_absent_band(self) -> None:
        with pytest.raises(ContractError, match="unknown index 'ndvj'"):
            compute("ndvj", pixel(WHEAT))
        with pytest.raises(ContractError, match="needs swir16"):
            compute("ndmi", pixel({"nir": 0.4}))
