"""The catalogue against an independent one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from agro.indices import catalogue, compute

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    spyndex = pytest.importorskip("spyndex")

#: Our key -> theirs.
COUNTERPARTS = {
    "ndvi": "NDVI", "evi": "EVI", "evi2": "EVI2", "savi": "SAVI", "msavi": "MSAVI", "osavi": "OSAVI", "gndvi": "GNDVI",
    "ndre": "NDREI", "cire": "CIRE", "cigreen": "CIG", "ndmi": "NDMI", "ndwi": "NDWI", "mndwi": "MNDWI", "nbr": "NBR",
    "mtci": "MTCI", "mcari": "MCARI", "tcari": "TCARI", "tcari_osavi": "TCARIOSAVI", "ireci": "IRECI", "s2rep": "S2REP",
    "psri": "PSRI", "bsi": "BI", "nirv": "NIRv", "wdrvi": "WDRVI", "ndti": "NDTillI",
}  # fmt: skip
#: No counterpart: empirical relations. (Their NDTI is turbidity; the tillage index is NDTillI.)
ALONE = {"fcover", "lai", "fapar"}
LETTERS = {
    "blue": "B", "green": "G", "red": "R", "rededge1": "RE1", "rededge2": "RE2", "rededge3": "RE3", "nir": "N",
    "nir08": "N2", "swir16": "S1", "swir22": "S2",
}  # fmt: skip
CONSTANTS = {
    "EVI": {"g": 2.5, "C1": 6.0, "C2": 7.5, "L": 1.0},
    "EVI2": {"g": 2.5, "L": 1.0},
    "SAVI": {"L": 0.5},
    "WDRVI": {"alpha": 0.1},
}


def test_every_index_is_compared_or_known_to_stand_alone() -> None:
    assert set(COUNTERPARTS) | ALONE == set(catalogue())


@pytest.mark.parametrize("key", sorted(COUNTERPARTS))
def test_same_number(key: str) -> None:
    rng = np.random.default_rng(11)
    bands = {band: rng.uniform(0.01, 0.7, 5000) for band in LETTERS}
    theirs = spyndex.indices[COUNTERPARTS[key]]
    params = {letter: bands[band] for band, letter in LETTERS.items() if letter in theirs.bands}
    params |= CONSTANTS.get(COUNTERPARTS[key], {})
    with np.errstate(all="ignore"):
        expected = np.asarray(spyndex.computeIndex(COUNTERPARTS[key], params=params))
    ours = compute(key, bands)
    low, high = catalogue()[key].valid_range
    inside = (expected > low) & (expected < high)
    assert inside.mean() > 0.4
    np.testing.assert_allclose(ours[inside], expected[inside], rtol=2e-6, atol=1e-6)
    assert np.isnan(ours[(expected < low) | (expected > high)]).all()
