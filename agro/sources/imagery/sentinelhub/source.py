"""Sentinel-2 L2A from Sentinel Hub: on the Copernicus Data Space, or the commercial service."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
from sentinelhub import CRS, DataCollection

from agro.schema.bands import SENTINEL2_COMMON_NAMES
from agro.schema.errors import ConfigError, ContractError
from agro.schema.grid import Grid
from agro.schema.region import MaskOptions, ObservationOptions
from agro.schema.tables import validate
from agro.sources.imagery.protocol import Scene, SearchResult
from agro.sources.imagery.raster import as_classes
from agro.sources.imagery.remote import Remote
from agro.sources.imagery.sentinelhub.account import Account, configuration, deployment_of
from agro.sources.imagery.sentinelhub.catalogue import Acquisition, Catalogue, acquisitions
from agro.sources.imagery.sentinelhub.evalscript import IndexLike
from agro.sources.imagery.sentinelhub.pixels import Pixels
from agro.sources.imagery.sentinelhub.statistics import Statistics, StatisticsResult
from agro.sources.net import Estimate, Pace
from agro.sources.providers import provider

#: Bands of the indices that a region observes unless it says otherwise.
DEFAULT_BANDS = ("nir", "red", "rededge1", "swir16")
#: Process API by the cell, Statistical API by the parcel.
WAYS = ("pixels", "statistics")
_BANDS = tuple(SENTINEL2_COMMON_NAMES.values())


class SentinelHub:
    """One request a cell and acquisition brings all bands of the run and the scene classification.

    Parameters
    ----------
    remote : Remote
        Network, cells, and the bands that the run will read.
    deployment : {"cdse", "commercial"}
    url, token_url : str, optional
        Other addresses than the deployment's own.
    profile : str, optional
        Of the ``sentinelhub`` package's ``config.toml``; ``SH_CLIENT_ID`` and ``SH_CLIENT_SECRET`` go before it.
    max_cloud_frac : float
        Products with a larger share of cloud are not asked for.
    way : {"pixels", "statistics"}
        Pixels by the cell, or :meth:`statistics` by the parcel, for which outlines leave this machine.
    bands : iterable of str, optional
        Common names to fetch together; None: those of `remote`, else of the default indices.

    Notes
    -----
    With bands told, by `bands` or by `remote`, scenes offer just these and ``"scl"``: nothing else is paid for. Otherwise
    they offer all twelve; one that is not fetched with the others costs a request of its own.

    Raises
    ------
    ConfigError
        A wrong option, or no credentials (offline none are needed).
    """

    over_network = True

    def __init__(
        self,
        remote: Remote,
        *,
        deployment: str = "cdse",
        url: str | None = None,
        token_url: str | None = None,
        profile: str | None = None,
        max_cloud_frac: float = 1.0,
        bands: Iterable[str] | None = None,
        way: str = "pixels",
    ) -> None:
        if way not in WAYS:
            raise ConfigError(f"no way {way!r}", where="imagery.options.way", do=f"One of: {', '.join(WAYS)}")
        #: Whether the provider is to compute from outlines.
        self.by_parcel = way == "statistics"
        if isinstance(max_cloud_frac, bool) or not isinstance(max_cloud_frac, (int, float)):
            raise ConfigError(f"{max_cloud_frac!r} is not a number", where="imagery.options.max_cloud_frac")
        if not (math.isfinite(max_cloud_frac) and 0 <= max_cloud_frac <= 1):
            raise ConfigError(
                f"a cloud share of {max_cloud_frac}", where="imagery.options.max_cloud_frac", do="Give 0 to 1"
            )
        try:
            CRS(remote.cells.crs)
        except ValueError as error:
            raise ConfigError(
                f"the provider knows no CRS {remote.cells.crs}", where="place.crs", do="Give one like EPSG:32629"
            ) from error
        place = deployment_of(deployment, url, token_url)
        self.name = place.name
        self.remote = remote
        told = _checked_bands(bands) if bands is not None else tuple(b for b in remote.bands if b in _BANDS)
        #: Fetched together.
        self.together = (*sorted(set(told or DEFAULT_BANDS)), "scl")
        self._offered = self.together if told else (*_BANDS, "scl")
        self._max_cloud_frac = float(max_cloud_frac)
        config = configuration(place, profile)
        # The package's own collection is bound to the commercial service.
        collection = DataCollection.SENTINEL2_L2A.define_from(f"s2l2a {place.url}", service_url=place.url)
        network = remote.network
        limits = provider(place.name).limits
        pace = Pace(limits.requests_minute, limits.pu_minute)
        client = network.client(place.name, retry_after_in_ms=True, pace=pace)
        account = None
        if not network.offline:
            account = Account(config, network.client(f"{place.name}-sign-in", retry_after_in_ms=True))
        self._catalogue = Catalogue(config, collection, client, account)
        self._pixels = Pixels(config, collection, remote, client, account, self._max_cloud_frac)
        self._statistics = Statistics(config, collection, remote, client, account, self._max_cloud_frac, self.name)

    def search(self, start: date, end: date) -> SearchResult:
        """Acquisitions of the period over the region's cells, one scene each.

        Raises
        ------
        SourceError, NoDataError, BudgetError, PrivacyError
            As :meth:`agro.sources.net.Client.fetch`.
        """
        box = self.remote.box()
        products, rejected = self._catalogue.products(box, start, end, self._max_cloud_frac)
        scenes = acquisitions(products, self.name, self._offered, (box[0] + box[2]) / 2)
        # The box is rounded outward: passes that miss all cells are none of the region's.
        held = [scene for scene in scenes if any(scene.over(cell) for cell in self._pixels.boxes.values())]
        return SearchResult.of(held, rejected)

    def read(self, scene: Scene, band: str, grid: Grid) -> np.ndarray:
        """See :class:`~agro.sources.imagery.protocol.ImagerySource`.

        Raises
        ------
        ContractError
            The scene is of another source, or there is no such band.
        SourceError, NoDataError, BudgetError, PrivacyError
            As :meth:`agro.sources.net.Client.fetch`.
        """
        if not isinstance(scene, Acquisition):
            raise ContractError("a scene of another source", where=scene.scene_id, do="Give one that search gave")
        if band not in (*_BANDS, "scl"):
            raise ContractError(f"no band {band!r}", where=scene.scene_id, do=f"Known: {', '.join(_BANDS)}, scl")
        bands = self.together if band in self.together else (band,)
        values = self._pixels.read(scene, bands, band, grid)
        return as_classes(values) if band == "scl" else values

    def estimate(self, scenes: Sequence[Scene]) -> Estimate:
        """Cost of reading scenes of :meth:`search`, without what the cache has."""
        return sum(
            (self._pixels.estimate(scene, self.together) for scene in scenes if isinstance(scene, Acquisition)),
            Estimate(),
        )

    def statistics(
        self,
        parcels: gpd.GeoDataFrame,
        start: date,
        end: date,
        indices: Mapping[str, IndexLike],
        options: ObservationOptions | None = None,
        mask: MaskOptions | None = None,
    ) -> StatisticsResult:
        """Statistics of parcels computed by the provider; their exact outlines leave this machine.

        Parameters
        ----------
        parcels : geopandas.GeoDataFrame
            Table ``parcels``.
        start, end : datetime.date
            Solar days, both included.
        indices : mapping of str to IndexLike
            Spectral indices by key (``agro.indices.catalogue()``).
        options : ObservationOptions, optional
            Inner buffer and what makes a row usable.
        mask : MaskOptions, optional
            Scene classes to drop; they cannot be grown at the provider.

        Raises
        ------
        PrivacyError
            The region does not say ``outbound: {outlines: true}``.
        SourceError
            No parcel was served, and it may pass.
        BudgetError, NoDataError
            As :meth:`agro.sources.net.Client.fetch`.
        """
        self._statistics.check_allowed()
        found = self.search(start, end)
        result = self._statistics.ask(
            parcels, start, end, indices, [s for s in found.scenes if isinstance(s, Acquisition)],
            options or ObservationOptions(), mask or MaskOptions(),
        )  # fmt: skip
        rejected = pd.concat([found.rejected, result.rejected], ignore_index=True)
        return StatisticsResult(result.observations, validate(rejected, "rejected"))


def _checked_bands(bands: Iterable[str]) -> tuple[str, ...]:
    told = tuple(band for band in ([bands] if isinstance(bands, str) else bands) if band != "scl")
    unknown = [str(band) for band in told if band not in _BANDS]
    if unknown or not told:
        raise ConfigError(
            f"no band {', '.join(unknown)}" if unknown else "no band at all", where="imagery.options.bands",
            do=f"Known: {', '.join(_BANDS)}",
        )  # fmt: skip
    return told
