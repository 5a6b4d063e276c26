from __future__ import annotations

import numpy as np
import pytest
from aquacrop.entities.soil import Soil as AquaCropSoil

from agro.schema.crops import load_crops
from agro.schema.errors import ContractError
from agro.water import salinity as salt
from agro.water.groundwater import CLASSES, capillary_rise_mm
from agro.water.tables import CROPS_FILE


def test_fao29_example_maize_leaching_requirement() -> None:
    # FAO-29 rev. 1, example 2: ECw 1.1, maize at 90 % of its yield (ECe 2.5), 800 mm a season: 0.10 and 890 mm.
    fraction = salt.leaching_fraction(1.1, 2.5)
    assert fraction == pytest.approx(0.10, abs=0.005)
    assert salt.with_leaching_mm(800.0, round(float(fraction), 2)) == pytest.approx(890, abs=2)
    assert salt.relative_yield(2.5, 1.7, 12.0) == pytest.approx(0.90, abs=0.01)


def test_stress_of_field_beans() -> None:
    # FAO-56 chapter 8: threshold 1.0 dS/m, 19 % a dS/m, Ky 1.15.
    ks = salt.salinity_ks(np.array([0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 9.0]), 1.0, 19.0, 1.15)
    np.testing.assert_allclose(ks, [1.0, 1.0, 0.92, 0.83, 0.67, 0.50, 0.0], atol=0.006)
    assert np.isnan(salt.salinity_ks(np.nan, 1.0, 19.0, 1.15))


def test_leaching_and_salinity_undo_each_other() -> None:
    ecw, ece = np.array([0.8, 1.5, 3.0]), np.array([1.7, 2.0, 6.0])
    np.testing.assert_allclose(salt.steady_ece_ds_m(ecw, salt.leaching_fraction(ecw, ece)), ece)
    # Drip: tomato, threshold 2.5, 9.9 %: nothing grows at 12.6.
    assert salt.leaching_fraction_frequent(2.5, 2.5, 9.9) == pytest.approx(2.5 / (2 * 12.6), abs=1e-3)


def test_water_that_no_leaching_helps_is_refused() -> None:
    with pytest.raises(ContractError, match="too salty"):
        salt.leaching_fraction(9.0, 2.0)
    with pytest.raises(ContractError, match="no end"):
        salt.steady_ece_ds_m(1.0, 0.0)


def test_tolerances_of_the_crop_table_are_sound() -> None:
    crops = load_crops(CROPS_FILE)
    known = {key: crop.salt_tolerance.value for key, crop in crops.items() if crop.salt_tolerance}
    assert known["barley_winter"][0] > known["wheat_winter"][0] > known["tomato"][0] > known["citrus"][0]
    assert (
        crops["olive"].salt_tolerance is None and crops["olive"].yield_response_ky is None
    )  # not tabled: not invented


@pytest.mark.parametrize(("kind", "name"), [("sandy", "Sand"), ("loamy", "Loam"), ("silty_clayey", "Clay")])
def test_rise_has_the_coefficients_of_aquacrop(kind: str, name: str) -> None:
    soil = AquaCropSoil(name)
    soil.add_capillary_rise_params()
    layer = soil.profile.iloc[0]
    a0, a1, b0, b1 = CLASSES[kind]
    assert (a0 + a1 * layer.Ksat, b0 + b1 * np.log(layer.Ksat)) == pytest.approx((layer.aCR, layer.bCR))
    expected = np.exp((np.log(0.8) - layer.bCR) / layer.aCR)
    assert capillary_rise_mm(1.8, 1.0, kind, layer.Ksat) == pytest.approx(min(expected, 99.0))  # type: ignore[arg-type]


def test_rise_falls_with_the_depth_of_the_table() -> None:
    rise = capillary_rise_mm(np.array([0.5, 1.2, 2.0, 3.0, 4.9, 5.1, np.nan]), 1.0, "loamy", 250.0)
    assert rise[0] == 99.0 and (np.diff(rise[:5]) < 0).all() and rise[5] == 0.0 and rise[6] == 0.0
    with pytest.raises(ContractError, match="class"):
        capillary_rise_mm(2.0, 1.0, "peat", 100.0)  # type: ignore[arg-type]
    with pytest.raises(ContractError, match="conductivity"):
        capillary_rise_mm(2.0, 1.0, "loamy", 0.0)
