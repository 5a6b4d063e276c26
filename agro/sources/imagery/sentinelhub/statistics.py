"""Statistics of parcels from the Statistical API: one request a parcel, which shows its outline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from sentinelhub import CRS, DataCollection, Geometry, SentinelHubStatistical, SHConfig
from shapely import set_precision
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from agro.schema.errors import OfflineError, PrivacyError, SourceError
from agro.schema.region import MaskOptions, ObservationOptions
from agro.schema.tables import empty, validate
from agro.sources.imagery.names import solar_day
from agro.sources.imagery.protocol import rejection
from agro.sources.imagery.remote import Remote
from agro.sources.imagery.sentinelhub.account import Account
from agro.sources.imagery.sentinelhub.catalogue import Acquisition
from agro.sources.imagery.sentinelhub.cost import PIXEL_M, parcel_estimate
from agro.sources.imagery.sentinelhub.evalscript import IndexLike, statistics_script
from agro.sources.imagery.sentinelhub.pixels import cloud_limit, together
from agro.sources.net import Call, Client

#: Percentiles asked for, and the columns they go to.
_PERCENTILES = {10.0: "p10", 50.0: "median", 90.0: "p90"}


@dataclass(frozen=True)
class StatisticsResult:
    """Table ``observations``, and what the provider could not compute (table ``rejected``)."""

    observations: pd.DataFrame
    rejected: pd.DataFrame = field(repr=False)


@dataclass(frozen=True)
class _Parcel:
    """A parcel as it is asked for.

    Parameters
    ----------
    uid : str
    inner : geometry
        Its outline without the buffer, in the CRS of the cells (m).
    scenes : tuple of Acquisition
        That may hold it.
    """

    uid: str
    inner: BaseGeometry
    scenes: tuple[Acquisition, ...]

    @property
    def pixels(self) -> float:
        """Pixels of the inner outline, by its area."""
        return float(self.inner.area) / PIXEL_M**2

    @property
    def box_m2(self) -> float:
        """Area of the box around it, which is charged."""
        left, bottom, right, top = self.inner.bounds
        return float((right - left) * (top - bottom))


class Statistics:
    """The Statistical API.

    Parameters
    ----------
    config : SHConfig
    collection : DataCollection
    remote : Remote
    client : Client
    account : Account, optional
        None offline.
    max_cloud_frac : float
        Products with more cloud are left out.
    name : str
        Of the source, in rows.
    """

    def __init__(
        self, config: SHConfig, collection: DataCollection, remote: Remote, client: Client, account: Account | None,
        max_cloud_frac: float, name: str,
    ) -> None:  # fmt: skip
        self._config = config
        self._collection = collection
        self._remote = remote
        self._client = client
        self._account = account
        self._limit = cloud_limit(max_cloud_frac)
        self._name = name

    def check_allowed(self) -> None:
        """Raise PrivacyError unless the region lets outlines leave."""
        if not self._remote.network.guard.outlines_allowed:
            raise PrivacyError(
                "statistics at the provider need the exact outline of each parcel", where=self._name,
                do="Nothing was sent. Ask for pixels instead, or let outlines leave: outbound: {outlines: true}",
            )  # fmt: skip

    def ask(
        self, parcels: gpd.GeoDataFrame, start: date, end: date, indices: Mapping[str, IndexLike],
        scenes: Sequence[Acquisition], options: ObservationOptions, mask: MaskOptions,
    ) -> StatisticsResult:  # fmt: skip
        """See :meth:`agro.sources.imagery.sentinelhub.source.SentinelHub.statistics`."""
        self.check_allowed()
        if not scenes or not indices or parcels.empty:
            return StatisticsResult(empty("observations"), empty("rejected"))
        projected = parcels.to_crs(self._remote.cells.crs)
        inner = [_rounded(outline.buffer(-options.buffer_m)) for outline in projected.geometry]
        boxes = parcels.to_crs("EPSG:4326").bounds.itertuples(index=False, name=None)
        wanted = [
            _Parcel(str(uid), shape, tuple(scene for scene in scenes if scene.over(bounds)))
            for uid, shape, bounds in zip(projected["parcel_uid"], inner, boxes, strict=True)
        ]
        # What cannot be observed is not paid for.
        small = [parcel for parcel in wanted if parcel.pixels < options.min_pixels]
        asked = [parcel for parcel in wanted if parcel.pixels >= options.min_pixels and parcel.scenes]
        work = _Work(self, start, end, indices, options, mask)
        answers = together(work.answer, asked)
        rows: list[dict[str, Any]] = []
        rejected: list[dict[str, str]] = []
        failures = [answer for answer in answers if isinstance(answer, (SourceError, OfflineError))]
        passing = [error for error in failures if error.transient]
        if asked and passing and len(failures) == len(asked):
            # Nobody was served: the next provider of the chain may do better.
            raise passing[-1]
        for parcel, answer in zip(asked, answers, strict=True):
            if isinstance(answer, (SourceError, OfflineError)):
                rejected.append(rejection(parcel.uid, str(answer), answer.do or "The other parcels go on"))
            else:
                work.read(parcel, answer, rows, rejected)
        rows += [row for parcel in small for row in work.unobservable(parcel)]
        observations = validate(pd.DataFrame(rows), "observations") if rows else empty("observations")
        order = ["date", "index", "parcel_uid"]
        return StatisticsResult(
            observations.sort_values(order, ignore_index=True),
            validate(pd.DataFrame(rejected), "rejected") if rejected else empty("rejected"),
        )

    def call(
        self, parcel: _Parcel, script: str, begins: datetime, ends: datetime, indices: Mapping[str, IndexLike]
    ) -> Call:
        """The request for one parcel."""
        request = SentinelHubStatistical(
            aggregation=SentinelHubStatistical.aggregation(
                script, (begins, ends), "P1D", resolution=(PIXEL_M, PIXEL_M),
                # The default leaves out a day that is not over: the newest one.
                other_args={"aggregationInterval": {"lastIntervalBehavior": "SHORTEN"}},
            ),
            input_data=[
                SentinelHubStatistical.input_data(
                    self._collection,
                    other_args={
                        **({"dataFilter": self._limit} if self._limit else {}),
                        # Reflectance below zero stays.
                        "processing": {"upsampling": "NEAREST", "downsampling": "NEAREST", "harmonizeValues": False},
                    },
                )
            ],
            geometry=Geometry(mapping(parcel.inner), CRS(self._remote.cells.crs)),
            calculations={
                key: {"statistics": {"default": {"percentiles": {"k": list(_PERCENTILES)}}}} for key in indices
            },
            config=self._config,
        ).download_list[0]  # fmt: skip
        bands = {band for index in indices.values() for band in index.bands}
        products = sorted({name for scene in parcel.scenes for name, _ in scene.products})
        return Call(
            str(request.url), method="POST", body=request.post_values, headers=request.headers,
            version=",".join(products), signer=self._account.sign if self._account else None,
            estimate=parcel_estimate(parcel.box_m2, len(parcel.scenes), len(bands) + 1, len(indices)),
            piece=f"{begins:%Y-%m-%d}..{ends:%Y-%m-%d} statistics", parcels=(parcel.uid,),
            constants=frozenset({script, self._collection.api_id, *request.headers.values(), *indices}),
        )  # fmt: skip


class _Work:
    """One set of requests and what is read from the answers."""

    def __init__(
        self, api: Statistics, start: date, end: date, indices: Mapping[str, IndexLike], options: ObservationOptions,
        mask: MaskOptions,
    ) -> None:  # fmt: skip
        self._api = api
        self._indices = indices
        self._options = options
        west, _, east, _ = api._remote.box()
        self._longitude = (west + east) / 2
        # Days of the provider begin and end like solar days, to the hour.
        shift = timedelta(hours=round(self._longitude / 15))
        self._begins = datetime.combine(start, time()) - shift
        self._ends = datetime.combine(end + timedelta(days=1), time()) - shift
        self._script = statistics_script(indices, mask.drop)

    def answer(self, parcel: _Parcel) -> Any:
        """The provider's answer, or the SourceError (offline: OfflineError) that stands for it."""
        call = self._api.call(parcel, self._script, self._begins, self._ends, self._indices)
        try:
            document = self._api._client.fetch(call).json()
        except (SourceError, OfflineError) as error:
            return error
        if not isinstance(document, dict) or document.get("status") != "OK":
            # What failed may work next time.
            self._api._client.forget(call)
        return document

    def read(self, parcel: _Parcel, document: Any, rows: list[dict[str, Any]], rejected: list[dict[str, str]]) -> None:
        """Rows of one answer; failed parcels and days go to `rejected`."""
        data = document.get("data") if isinstance(document, dict) else None
        if not isinstance(data, list) or not data:
            said = _said(document.get("error") or document.get("status")) if isinstance(document, dict) else ""
            what = "no day in the answer" if said in ("", "OK") else f"the provider failed: {said}"
            rejected.append(rejection(parcel.uid, what, "Run it again"))
            return
        for part in data:
            try:
                begins = datetime.fromisoformat(str(part["interval"]["from"]).replace("Z", "+00:00")).replace(
                    tzinfo=None
                )
                day = solar_day(begins + timedelta(hours=12), self._longitude)
                if "error" in part:
                    reason = f"the provider failed: {_said(part['error'])}"
                    rejected.append(rejection(f"{parcel.uid} {day}", reason, "Run it again; the other days are used"))
                    continue
                found = [
                    self._observation(parcel, day, key, part["outputs"][key]["bands"]["B0"]["stats"])
                    for key in self._indices
                ]
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                reason = f"an answer that is not understood ({error!r})"
                rejected.append(rejection(parcel.uid, reason, "The other days are used"))
                continue
            rows.extend(found)

    def unobservable(self, parcel: _Parcel) -> list[dict[str, Any]]:
        """Rows of a parcel too small to be asked for."""
        return [
            {**self._base(parcel, day, key), "pixels_effective": 0.0, "valid_frac": 0.0, "usable": False,
             "reason": "not_observable", **dict.fromkeys(("mean", "sd", *_PERCENTILES.values()), np.nan)}
            for day in dict.fromkeys(scene.date for scene in parcel.scenes)
            for key in self._indices
        ]  # fmt: skip

    def _base(self, parcel: _Parcel, day: date, key: str) -> dict[str, Any]:
        scenes = "+".join(scene.scene_id for scene in parcel.scenes if scene.date == day) or f"{self._api._name} {day}"
        return {
            "parcel_uid": parcel.uid, "date": pd.Timestamp(day), "index": key, "source": self._api._name,
            "source_reason": None, "buffer_m": self._options.buffer_m, "scene_ids": scenes,
        }  # fmt: skip

    def _observation(self, parcel: _Parcel, day: date, key: str, stats: Mapping[str, Any]) -> dict[str, Any]:
        # Samples are those of the box; the ones outside the outline are among those without data.
        valid = float(stats["sampleCount"]) - float(stats["noDataCount"])
        percentiles = {float(name): _number(value) for name, value in (stats.get("percentiles") or {}).items()}
        frac = min(1.0, valid / parcel.pixels)
        if valid <= 0 or math.isnan(_number(stats.get("mean"))):
            reason: str | None = "no_valid_pixels"
        elif frac < self._options.min_valid_frac or valid < self._options.min_pixels:
            reason = "cloudy"
        else:
            reason = None
        numbers = {"mean": stats.get("mean"), "sd": stats.get("stDev")} if valid > 0 else {"mean": None, "sd": None}
        return {
            **self._base(parcel, day, key), **{name: _number(value) for name, value in numbers.items()},
            **{column: percentiles.get(rank, np.nan) if valid > 0 else np.nan for rank, column in _PERCENTILES.items()},
            "pixels_effective": max(0.0, valid), "valid_frac": max(0.0, frac), "usable": reason is None,
            "reason": reason,
        }  # fmt: skip


def _rounded(outline: BaseGeometry) -> BaseGeometry:
    """To the decimetre: the same bytes from the same outline, whatever the last digits of a projection."""
    return set_precision(outline, 0.1)


def _number(value: Any) -> float:
    """A number of the answer; NaN also where it is a word ("NaN", "Infinity")."""
    number = float(value) if value is not None else math.nan
    return number if math.isfinite(number) else math.nan


def _said(error: Any) -> str:
    """What the provider says of a failure, whichever form it has."""
    if isinstance(error, Mapping):
        error = error.get("message") or error.get("type") or error.get("code") or error
    return str(error)[:200] if error else ""
