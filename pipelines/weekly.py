"""The main job: from a region folder to advice and a bulletin for one date."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as day_time
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
from filelock import FileLock, Timeout

from agro import __version__
from agro.advice.advise import AdviceInputs, advise
from agro.advice.review import ReviewStore, publishable
from agro.advice.rules import RULES_FILE, load_rules
from agro.advice.table import to_table
from agro.parcels import read_parcels
from agro.reports.bulletin import Bulletin
from agro.reports.publish import gather, publish
from agro.schema.advice import AdviceRecord
from agro.schema.crops import Crop, Texture, load_crops, load_textures
from agro.schema.errors import AgroError, NoDataError, SourceError
from agro.schema.provenance import digest_file, digest_of
from agro.schema.region import Region, WaterOptions, load_region
from agro.schema.tables import empty, validate
from agro.series import neighbour_anomaly, phenology, recent_change
from agro.sources.irrigation import load_irrigation
from agro.sources.net import Network
from agro.sources.soil import load_soil
from agro.sources.weather import load_weather
from agro.store.workspace import RegionStore, RunFolder, Workspace
from agro.water.planning import irrigation_plan
from agro.water.reference_et import add_et0
from agro.water.scheduling import irrigation_need
from agro.water.state import water_state
from agro.water.tables import CROPS_FILE, SOILS_FILE
from agro.water.turns import turn_advice
from agro.yields.forecast import predict, train
from pipelines.network import NetworkOptions, imagery_of_zones, open_network, uses_network
from pipelines.observed_tables import rejected_counts, rejected_row, stack
from pipelines.observing import Progress, observe_region, quiet
from pipelines.region_series import region_series
from pipelines.units import Manifest, Unit

STEP = "advise/1"
#: How far back imagery is read when the region says no season start.
SEASON_MONTH_DAY = (9, 1)


@dataclass
class WeeklyResult:
    """What a run did."""

    region_id: str
    issued_on: date
    workspace: Path
    actions: Mapping[str, int]
    escalated: int
    published: list[Path]
    rejected: pd.DataFrame
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 all done, 3 something was left out (it is listed)."""
        return 3 if len(self.rejected) else 0


@dataclass(frozen=True)
class Inputs:
    """A region's folder, read and checked."""

    region: Region
    crops: dict[str, Crop]
    textures: dict[str, Texture]
    parcels: gpd.GeoDataFrame
    rejected: pd.DataFrame
    digests: dict[str, str]


def read_inputs(folder: Path) -> Inputs:
    """Read the region file, the crop and soil tables and the parcels.

    Raises
    ------
    ConfigError, NoDataError
        The region cannot be run at all; single bad parcels are rejected instead.
    """
    region = load_region(folder)
    crops = load_crops(CROPS_FILE, region.crops_file)
    textures = load_textures(SOILS_FILE, region.soils_file)
    parcels = read_parcels(region.parcels, region.folder, set(crops))
    if not len(parcels.parcels):
        raise NoDataError(
            "no parcel can be used", where=region.parcels.path, do="See the reasons with: agro check region DIR"
        )
    files = [region.folder / "region.yaml", CROPS_FILE, SOILS_FILE, RULES_FILE]
    files += [p for p in (region.crops_file, region.soils_file, region.rules_file) if p]
    named = [region.parcels.path, region.irrigation, region.yield_history, region.index_history]
    named += [w.path for w in region.weather] + [s.path for s in region.soil]
    files += [path for path in (region.resolve(p) for p in named if p) if path.is_file()]
    return Inputs(region, crops, textures, parcels.parcels, parcels.rejected, {p.name: digest_file(p) for p in files})


def season_start(region: Region, as_of: date) -> date:
    """Start of the balance: as the region says, else the 1 September before."""
    if region.season_start and region.season_start <= as_of:
        return region.season_start
    start = date(as_of.year, *SEASON_MONTH_DAY)
    return start if start <= as_of else date(as_of.year - 1, *SEASON_MONTH_DAY)


def run_weekly(
    folder: Path,
    as_of: date,
    workspace: Path,
    *,
    languages: tuple[str, ...] | None = None,
    network: NetworkOptions | None = None,
    retry_failed: bool = False,
    progress: Progress = quiet,
) -> WeeklyResult:
    """Run the whole line for one date.

    Parameters
    ----------
    folder : Path
        Region folder with ``region.yaml``.
    as_of : date
        Issue date; nothing later is read, forecasts issued later neither.
    workspace : Path
        Where artefacts go; made when absent.
    languages : tuple of str, optional
        Languages of the bulletin; default: the region's.
    network : NetworkOptions, optional
        Limits, cache, offline; only for regions that use the network.
    retry_failed : bool
        Days of imagery of which something was left out before are read again.
    progress : callable
        Called with (stage, done, total).

    Returns
    -------
    WeeklyResult

    Raises
    ------
    AgroError
        The run as a whole is impossible. Single parcels, days and rows that fail are in ``rejected``.
    """
    inputs = read_inputs(folder)
    store = Workspace(workspace).region(inputs.region.place.id)
    try:
        store.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(store.path / ".lock", timeout=0)
        with lock:
            opened = (
                open_network(inputs.region, inputs.parcels, workspace, network) if uses_network(inputs.region) else None
            )
            try:
                return _run(
                    inputs,
                    as_of,
                    store,
                    workspace,
                    languages or inputs.region.languages,
                    opened,
                    retry_failed,
                    progress,
                )
            finally:
                if opened:
                    opened.close()
    except Timeout as error:
        raise AgroError(
            "another run is at work on this region", where=str(store.path), do="Wait until it ends"
        ) from error
    except PermissionError as error:
        raise AgroError(
            f"cannot write: {error.strerror}", where=str(store.path), do="Choose another --workspace"
        ) from error


def _run(
    inputs: Inputs,
    as_of: date,
    store: RegionStore,
    workspace: Path,
    languages: tuple[str, ...],
    network: Network | None,
    retry_failed: bool,
    progress: Progress,
) -> WeeklyResult:
    began = time.monotonic()
    region = inputs.region
    # The clock of a run is its issue date: the same inputs give the same bytes.
    created_at = datetime.combine(as_of, day_time(), tzinfo=UTC)
    start = season_start(region, as_of)
    rejected = [inputs.rejected]
    timings: dict[str, float] = {}

    def stage(name: str, number: int) -> None:
        timings[name] = time.monotonic() - began
        progress(name, number, 8)

    store.write_description(_description(inputs))
    manifest = Manifest(store.path)
    observed = None
    try:
        observed = observe_region(
            imagery_of_zones(region, network), inputs.parcels, start, as_of,
            mask=region.mask, options=region.observe, crs=region.place.crs,
            manifest=manifest, created_at=created_at, retry_failed=retry_failed, progress=progress,
        )  # fmt: skip
        rejected.append(observed.rejected)
        observations, scenes = observed.observations, observed.scenes
    except (NoDataError, SourceError) as error:
        # No image is an outcome: every parcel then abstains and says so.
        observations, scenes = empty("observations"), empty("scenes")
        label = ", ".join(spec.label for spec in region.imagery)
        rejected.append(validate(pd.DataFrame([rejected_row("imagery", label, error, error.do)]), "rejected"))

    stage("series", 1)
    series = region_series(observations, inputs.parcels, as_of, start, region.series, inputs.crops)
    seasons = phenology(series)
    neighbours, change = neighbour_anomaly(series, inputs.parcels, as_of), recent_change(series, as_of)

    stage("weather", 2)
    forcing = load_weather(
        region.weather,
        region.folder,
        start,
        as_of,
        region.advice.outlook_d,
        region.place,
        network,
        region.mixing.weather,
    )
    weather = add_et0(forcing.weather, region.place.latitude, region.place.elevation_m)
    soil = load_soil(
        region.soil, region.folder, inputs.parcels, inputs.textures, network=network, mixing=region.mixing.soil
    )
    irrigation, irrigation_rejected = load_irrigation(
        region.resolve(region.irrigation) if region.irrigation else None, inputs.parcels, as_of
    )
    rejected += [forcing.rejected, soil.rejected, irrigation_rejected]

    stage("water", 3)
    water = water_state(
        inputs.parcels,
        series,
        weather,
        soil.soil,
        irrigation,
        inputs.crops,
        start,
        as_of,
        region.initial_depletion_frac,
    )
    need = irrigation_need(
        water, inputs.parcels, weather, irrigation, soil.soil, inputs.crops, as_of, region.advice.outlook_d
    )

    practice = practice_tables(inputs, water, as_of)

    stage("yield", 4)
    yields, yields_rejected = _yields(inputs, observations, as_of)
    rejected.append(yields_rejected)

    stage("advice", 5)
    records = advise(
        AdviceInputs(
            region=region, as_of=as_of, parcels=inputs.parcels, need=need, series=series, phenology=seasons, water=water,
            weather=weather, soil=soil.soil, yields=yields, neighbours=neighbours, change=change,
            observations=observations, crops=inputs.crops, rules=load_rules(RULES_FILE, region.rules_file),
        )
    )  # fmt: skip
    run = store.run(as_of)
    records = _supersede(run, records)

    stage("writing", 6)
    unit = Unit(
        STEP, as_of.isoformat(), inputs={**inputs.digests, "observations": digest_of(observations.to_csv(index=False))}
    )
    all_rejected = stack(rejected, "rejected")
    tables: dict[str, pd.DataFrame] = {
        "parcels": inputs.parcels, "rejected": all_rejected, "scenes": scenes, "observations": observations,
        "series": series, "phenology": seasons, "weather": weather, "soil": soil.soil, "irrigation": irrigation,
        "water": water, "need": need, "yield": yields, "advice": to_table(records), **practice,
    }  # fmt: skip
    files = [run.write(name, table, unit.provenance(name, created_at)) for name, table in tables.items()]
    files.append(run.write_advice(records))

    stage("bulletin", 7)
    paths = publish_run(store, run, languages, inputs.crops)
    manifest.enter(unit, files, {"advice": len(records)})
    stage("done", 8)

    actions = pd.Series([r.action for r in records]).value_counts().sort_index()
    report: dict[str, Any] = {
        "region": region.place.id,
        "simulated": region.place.simulated,
        "issued_on": as_of.isoformat(),
        "code_version": __version__,
        "period": [start.isoformat(), as_of.isoformat()],
        "parcels": len(inputs.parcels),
        "imagery": {
            "scenes_found": len(scenes),
            "scenes_used": int(scenes["used"].sum()) if len(scenes) else 0,
            "days_read": observed.days_read if observed else 0,
            "days_reused": observed.days_reused if observed else 0,
            "indices": list(observed.indices) if observed else [],
        },
        "weather_sources": sorted(weather["source"].unique()),
        "soil_sources": sorted(soil.soil["source"].unique()),
        "actions": {str(k): int(v) for k, v in actions.items()},
        "escalated": sum(r.escalated for r in records),
        "network": _spent(network),
        "rejected": rejected_counts(all_rejected),
        "published": [p.relative_to(store.path).as_posix() for p in paths],
        "seconds": {k: round(v, 2) for k, v in timings.items()},
    }
    run.write_report(report)
    return WeeklyResult(
        region.place.id, as_of, workspace, report["actions"], report["escalated"], paths, all_rejected, report
    )


def _spent(network: Network | None) -> dict[str, float]:
    if network is None:
        return {"requests": 0, "pu": 0.0, "mb": 0.0}
    spent = network.budget.spent
    return {"requests": spent.requests, "pu": round(spent.pu, 4), "mb": round(spent.mb, 3)}


def practice_tables(inputs: Inputs, water: pd.DataFrame, as_of: date) -> dict[str, pd.DataFrame]:
    """Plan of the outlook and decisions on canal turns, where the region says how water comes and is given."""
    options = inputs.region.water
    if options == WaterOptions():
        return {}
    out = {"plan": irrigation_plan(water, inputs.parcels, inputs.crops, options, as_of)}
    if options.turns:
        out["turns"] = turn_advice(water, inputs.parcels, inputs.crops, options, as_of)
    return out


def _description(inputs: Inputs) -> dict[str, Any]:
    place = inputs.region.place
    return {
        **place.model_dump(mode="json"),
        "languages": list(inputs.region.languages),
        "crops": {key: dict(inputs.crops[key].name) for key in sorted(inputs.parcels["agro:crop"].unique())},
        "currency": inputs.region.advice.currency,
        "water_price_per_m3": inputs.region.advice.water_price_per_m3,
        "price_date": inputs.region.advice.price_date.isoformat() if inputs.region.advice.price_date else None,
        "reports": inputs.region.reports.model_dump(mode="json"),
        "digest": digest_of(inputs.digests),
    }


def _yields(inputs: Inputs, observations: pd.DataFrame, as_of: date) -> tuple[pd.DataFrame, pd.DataFrame]:
    region = inputs.region
    history, index_history, rows = empty("yield_history"), empty("observations"), []
    try:
        if region.yield_history:
            history = validate(pd.read_csv(region.resolve(region.yield_history)), "yield_history", region.yield_history)
        if region.index_history:
            path = region.resolve(region.index_history)
            table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
            index_history = validate(table, "observations", region.index_history)
    except (AgroError, OSError, ValueError) as error:
        # Without history the yield stage abstains parcel by parcel; the reason is on the list.
        history, index_history = empty("yield_history"), empty("observations")
        rows.append(
            rejected_row("yields", region.yield_history or "", error, "Correct the file; until then no yield outlook")
        )
    model = train(history, index_history, as_of, inputs.crops)
    rejected = validate(pd.DataFrame(rows), "rejected") if rows else empty("rejected")
    return predict(model, observations, inputs.parcels, as_of, region), rejected


def _supersede(run: RunFolder, records: list[AdviceRecord]) -> list[AdviceRecord]:
    """Records of a second run for the same date name the ones they replace; unchanged ones stay as issued."""
    try:
        earlier = {r.parcel_uid: r for r in run.advice()}
    except NoDataError:
        return records
    out = []
    changed = False
    for record in records:
        before = earlier.get(record.parcel_uid)
        if before is None or before.advice_id == record.advice_id:
            out.append(before or record)
        else:
            changed = True
            out.append(record.model_copy(update={"supersedes": before.advice_id}))
    if changed or len(earlier) != len(records):
        archive = RunFolder(run.path / "superseded" / digest_of([r.advice_id for r in earlier.values()]))
        archive.write_advice(list(earlier.values()))
    return out


def publish_run(
    store: RegionStore, run: RunFolder, languages: tuple[str, ...], crops: Mapping[str, Crop] | None = None
) -> list[Path]:
    """Write the bulletins of a run: advice that needs no decision or has one; the rest is listed as awaiting.

    Raises
    ------
    NoDataError
        The run has no advice.
    """
    out, awaiting, previous = let_out(store, run)
    names = {key: dict(crop.name) for key, crop in crops.items()} if crops else store.describe()["crops"]
    return publish(store, run, out, awaiting, languages, previous, run.issued_on, crop_names=names)


def let_out(
    store: RegionStore, run: RunFolder
) -> tuple[list[tuple[AdviceRecord, Mapping[str, Any] | None]], list[AdviceRecord], RunFolder | None]:
    """Advice of a run that may go out, each with its decision; what waits for a person; and the run of the week before."""
    out, awaiting = publishable(run.advice(), ReviewStore(store.review_database).decisions())
    earlier = [d for d in store.run_dates() if d < run.issued_on and run.issued_on - d <= timedelta(days=10)]
    return out, awaiting, store.run(earlier[-1]) if earlier else None


def bulletin_of(store: RegionStore, run: RunFolder) -> Bulletin:
    """What a run lets out, for sheets, workbook and messages."""
    out, awaiting, previous = let_out(store, run)
    return gather(store, run, out, awaiting, previous, run.issued_on, crop_names=store.describe()["crops"])[0]
