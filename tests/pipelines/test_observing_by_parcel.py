"""Observations computed by the provider: by the month, once, and only where outlines may leave."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from protocol_server import Reply
from rasterio.transform import from_origin
from test_sentinelhub_statistics import (  # noqa: F401  (fixtures)
    BOTTOM,
    CELLS,
    LEFT,
    QUICK,
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


def observe(told, folder: Path, outlines: bool = True, more=(), count: int = 2, offline: bool = False) -> Observed:
    parcels = table(square(0), square(1)).iloc[:count]
    parcels["agro:geometry_digest"] = ["a", "b"][:count]
    network = Network(Cache(folder / "cache"), guard=OutboundGuard(set(UIDS), outlines), offline=offline, policy=QUICK)
    remote = Remote(network, CELLS, {(117, 684): UIDS}, ("nir", "red"))
    options = {"url": told.url, "token_url": f"{told.url}/token", "way": "statistics"}
    spec = ImagerySpec(kind="sentinelhub", options=options)
    try:
        return observe_period(
            ImageryChain([(s.label, lambda s=s: open_imagery(s, folder, remote)) for s in (spec, *more)]), parcels, date(2020, 5, 20),
            date(2020, 7, 10), mask=MaskOptions(), options=ObservationOptions(indices=("ndvi",)), crs=CELLS.crs,
            manifest=Manifest(folder / "region"), created_at=datetime(2020, 7, 10, tzinfo=UTC),
        )  # fmt: skip
    finally:
        network.close()


def write_scene(folder: Path, day: date, left: float, bottom: float) -> None:
    """Ground without cloud under the parcels: NDVI 0.5."""
    folder.mkdir()
    for band, number in (("red", 1000), ("nir", 3000)):
        with rasterio.open(
            folder / f"S2_{day:%Y%m%d}_{band}.tif", "w", driver="GTiff", width=200, height=200, count=1, dtype="uint16",
            crs=CELLS.crs, nodata=0, transform=from_origin(left - 500, bottom + 1500, 10, 10),
        ) as out:  # fmt: skip
            out.write(np.full((200, 200), number, "uint16"), 1)


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


def test_a_provider_that_computes_nothing_is_replaced_by_the_next(server, tmp_path):  # noqa: F811
    server.fault("statistics", times=999, reply=Reply("down", 503))
    write_scene(tmp_path / "scenes", date(2020, 6, 11), LEFT, BOTTOM)
    done = observe(server, tmp_path, more=[ImagerySpec(kind="geotiff", path="scenes")])
    assert set(done.observations["parcel_uid"]) == {UIDS[0], UIDS[1]}
    assert set(done.observations["source"]) == {"geotiff"}
    assert done.observations["source_reason"].str.contains("503").all()
    assert "sentinelhub-cdse" in set(done.rejected["item"])


def test_offline_a_parcel_that_the_cache_lacks_is_left_out_alone(server, tmp_path):  # noqa: F811
    answers(server, answer("2020-06-11"), answer("2020-06-12"))
    observe(server, tmp_path, count=1)
    done = observe(server, tmp_path, offline=True)
    assert set(done.observations["parcel_uid"]) == {UIDS[0]}
    lacking = done.rejected[done.rejected["item"] == UIDS[1]]
    assert lacking["reason"].str.contains("offline").all() and len(lacking) == 1
