"""The network and the imagery of a region, joined from its file and the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd

from agro import indices
from agro.parcels.cells import cells_by_parcel
from agro.schema.grid import Cells
from agro.schema.region import Region
from agro.sources.imagery import ImagerySource, Remote, open_imagery
from agro.sources.imagery.chain import ImageryChain
from agro.sources.net import Budget, Cache, Ledger, Network, OutboundGuard, RetryPolicy
from agro.sources.net.budget import Limits
from agro.sources.net.cache import default_cache_folder
from pipelines.observing import MARGIN_M, parcel_crs

#: Columns of parcels whose words never leave this machine.
PRIVATE_COLUMNS = ("parcel_uid", "name", "agro:owner_ref", "agro:cooperative", "agro:sector")
LEDGER_FILE = "requests.sqlite"


@dataclass(frozen=True)
class NetworkOptions:
    """What the person says of the network on the command line."""

    offline: bool = False
    limits: Limits = field(default_factory=Limits)
    cache_folder: Path | None = None
    policy: RetryPolicy = field(default_factory=RetryPolicy)


def open_network(
    region: Region, parcels: gpd.GeoDataFrame, workspace: Path, options: NetworkOptions | None = None
) -> Network:
    """The region's network: its guard knows the parcels' words, its ledger lies in the workspace."""
    options = options or NetworkOptions()
    words = {str(word) for column in PRIVATE_COLUMNS for word in parcels[column].dropna().unique()}
    return Network(
        cache=Cache(options.cache_folder or default_cache_folder()), ledger=Ledger(workspace / LEDGER_FILE),
        budget=Budget(options.limits), guard=OutboundGuard(words, region.outbound.outlines), region=region.place.id,
        offline=options.offline, policy=options.policy,
    )  # fmt: skip


def uses_network(region: Region) -> bool:
    """Whether any link of the region's chains may leave this machine."""
    links = [*(s.over_network for s in region.imagery), *(s.over_network for s in region.weather)]
    return any([*links, *(s.over_network for s in region.soil)])


def remote_of(region: Region, parcels: gpd.GeoDataFrame, network: Network) -> Remote:
    """Cells and bands that sources over the network may ask for."""
    crs = parcel_crs(parcels, region.place.crs)
    served = cells_by_parcel(parcels, crs, MARGIN_M)
    catalogue = indices.catalogue()
    bands = sorted({band for key in region.observe.indices if key in catalogue for band in catalogue[key].bands})
    return Remote(
        network, Cells(crs, tuple(served)), {cell: tuple(uids) for cell, uids in served.items()}, tuple(bands)
    )


def region_imagery(region: Region, parcels: gpd.GeoDataFrame, network: Network | None) -> ImageryChain:
    """The imagery chain of a region."""
    remote = remote_of(region, parcels, network) if network is not None else None
    links = [(spec.label, lambda spec=spec: open_imagery(spec, region.folder, remote)) for spec in region.imagery]
    return ImageryChain(links, region.mixing.imagery)


def imagery_of_zones(region: Region, network: Network | None) -> Callable[[gpd.GeoDataFrame], ImagerySource]:
    """Opens the imagery chain for parcels of one zone after the other; without mixing one link serves them all."""
    opened: list[ImageryChain] = []

    def open_source(parcels: gpd.GeoDataFrame) -> ImagerySource:
        chain = region_imagery(region, parcels, network)
        if not region.mixing.imagery:
            for earlier in opened:
                chain.keep_to(earlier)
        opened.append(chain)
        return chain

    return open_source
