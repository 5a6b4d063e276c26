"""What a workspace holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agro.advice.review import ReviewStore, publishable
from agro.schema.errors import ConfigError, NoDataError
from agro.store.workspace import RegionStore, Workspace


def region_of(workspace: Path, region_id: str | None) -> RegionStore:
    """The region named, or the only one.

    Raises
    ------
    NoDataError
        The workspace is empty or has no such region.
    ConfigError
        Several regions and none named.
    """
    regions = {store.region_id: store for store in Workspace(workspace).regions()}
    if not regions:
        raise NoDataError("no region in this workspace yet", where=str(workspace), do="Run: agro run weekly")
    if region_id is None:
        if len(regions) > 1:
            raise ConfigError(
                f"several regions here: {', '.join(regions)}", where=str(workspace), do="Name one with --region"
            )
        return next(iter(regions.values()))
    if region_id not in regions:
        raise NoDataError(f"no region {region_id} here", where=str(workspace), do=f"Known: {', '.join(regions)}")
    return regions[region_id]


def describe_workspace(workspace: Path) -> list[dict[str, Any]]:
    """One row a region and run date, oldest first.

    Raises
    ------
    ContractError
        A broken artefact; it is named.
    """
    rows = []
    for store in Workspace(workspace).regions():
        decisions = ReviewStore(store.review_database).decisions()
        for day in store.run_dates():
            run = store.run(day)
            report = run.report()
            _, awaiting = publishable(run.advice(), decisions)
            imagery = report.get("imagery", {})
            rows.append(
                {
                    "region": store.region_id,
                    "date": day.isoformat(),
                    "parcels": report.get("parcels"),
                    "actions": report.get("actions", {}),
                    "awaiting": len(awaiting),
                    "scenes": f"{imagery.get('scenes_used', '?')} of {imagery.get('scenes_found', '?')}",
                    "rejected": sum(report.get("rejected", {}).values()),
                    "published": store.published(day).exists(),
                }
            )
    return rows
