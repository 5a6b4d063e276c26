"""Observations computed by the provider: by the month, once, and only where outlines may leave."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from test_sentinelhub_statistics import (  # noqa: F401  (fixtures)
    CELLS,
    UIDS,
    answer,
    answers,
    credentials,
    server,
    square,
    table,
)

from agro.schema.errors import PrivacyError
from agro.schema.region import ImagerySpec, MaskOptions, ObservationOptions
from agro.sources.imagery import Remote, open_imagery
from agro.sources.imagery.chain import ImageryChain
from agro.sources.net import Cache, Network, OutboundGuard
from pipelines.observing import Observed, observe_period
from pipelines.observing_by_parcel import months
from pipelines.units import Manifest


def observe(told, folder: Path, outlines: bool = True) -> Observed:
    parcels = table(square(0), square(1))
    parcels["agro:geometry_digest"] = ["a", "b"]
    network = Network(Cache(folder / "cache"), guard=OutboundGuard(set(UIDS), outlines))
    remote = Remote(network, CELLS, {(117, 684): UIDS}, ("nir", "red"))
    options = {"url": told.url, "token_url": f"{told.url}/token", "way": "statistics"}
    spec = ImagerySpec(kind="sentinelhub", options=options)
    try:
        return observe_period(
            ImageryChain([(spec.label, lambda: open_imagery(spec, folder, remote))]), parcels, date(2020, 5, 20),
            date(2020, 7, 10), mask=MaskOptions(), options=ObservationOptions(indices=("ndvi",)), crs=CELLS.crs,
            manifest=Manifest(folder / "region"), created_at=datetime(2020, 7, 10, tzinfo=UTC),
        )  # fmt: skip
    finally:
        network.close()


def test_months_cover_a_period_once():
    spans = list(months(date(2020, 5, 20), date(2020, 7, 10)))
    assert spans[0] == (date(2020, 5, 20), date(2020, 5, 31)) and spans[-1] == (date(2020, 7, 1), date(2020, 7, 10))
    assert all((b[0] - a[1]).days == 1 for a, b in itertools.pairwise(spans)) and len(spans) == 3


def test_a_month_is_asked_for_once(server, tmp_path):  # noqa: F811
    answers(server, answer("2020-06-11"), answer("2020-06-12"))
    done = observe(server, tmp_path)
    assert done.observations[["parcel_uid", "mean"]].to_numpy().tolist() == [[UIDS[0], 0.5], [UIDS[1], 0.5]]
    assert set(done.observations["source"]) == {"sentinelhub-cdse"} and len(done.scenes) == 3
    assert len(server.asked("statistics")) == 2 and done.days_read == 3
    assert not server.asked("process"), "pixels were paid for as well"
    again = observe(server, tmp_path)
    assert len(server.asked("statistics")) == 2 and again.days_reused == 3
    assert again.observations.equals(done.observations)


def test_outlines_stay_here_unless_the_region_says_otherwise(server, tmp_path):  # noqa: F811
    with pytest.raises(PrivacyError, match="outline"):
        observe(server, tmp_path, outlines=False)
    assert not server.asked("statistics")


def test_an_unknown_way_is_refused(server, tmp_path):  # noqa: F811
    from agro.schema.errors import ConfigError

    remote = Remote(Network(), CELLS)
    with pytest.raises(ConfigError, match="pixels, statistics"):
        open_imagery(ImagerySpec(kind="sentinelhub", options={"url": server.url, "way": "guess"}), tmp_path, remote)
