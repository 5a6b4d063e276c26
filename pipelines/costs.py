"""What a region has cost, from the ledger of its workspace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from agro.schema.errors import NoDataError
from agro.sources.net import Ledger
from agro.store.workspace import Workspace
from pipelines.network import LEDGER_FILE

AMOUNTS = ("estimated_requests", "requests", "estimated_pu", "pu", "estimated_mb", "mb")


@dataclass(frozen=True)
class Costs:
    """Amounts by month, provider and region; by parcel; and the cost of a hectare and week.

    Parameters
    ----------
    months : pandas.DataFrame
        month, region, provider and :data:`AMOUNTS`.
    parcels : pandas.DataFrame
        region, parcel_uid, requests, pu, mb: what served one parcel whole, what served several in equal parts, what
        served the region as a whole in parts by area.
    per_ha_week : pandas.DataFrame
        region, area_ha, weeks, pu, mb and, with a price, money; a hectare and week each.
    """

    months: pd.DataFrame
    parcels: pd.DataFrame
    per_ha_week: pd.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        tables = {"months": self.months, "parcels": self.parcels, "per_ha_week": self.per_ha_week}
        # A number that there is none of is null in JSON.
        return {
            name: table.astype(object).where(table.notna(), None).to_dict("records") for name, table in tables.items()
        }


def read_costs(workspace: Path, price_per_1000_pu: float | None = None) -> Costs:
    """Sum the ledger up.

    Parameters
    ----------
    workspace : Path
    price_per_1000_pu : float, optional
        In the person's currency, from their contract.

    Raises
    ------
    NoDataError
        Nothing was ever asked of a provider.
    """
    path = workspace / LEDGER_FILE
    if not path.exists():
        raise NoDataError("no request was ever made", where=str(path), do="Run a region that uses the network")
    ledger = Ledger(path)
    try:
        rows = ledger.table()
    finally:
        ledger.close()
    if rows.empty:
        raise NoDataError("no request was ever made", where=str(path), do="Run a region that uses the network")
    rows["month"] = rows["at"].dt.strftime("%Y-%m")
    months = rows.groupby(["month", "region", "provider"], as_index=False)[list(AMOUNTS)].sum()
    areas = {region: _areas(workspace, region) for region in sorted(rows["region"].unique())}
    return Costs(months, _by_parcel(rows, areas), _per_ha_week(rows, areas, price_per_1000_pu))


def _areas(workspace: Path, region: str) -> pd.Series:
    """Hectares by parcel, as of the newest run; empty when there is none."""
    store = Workspace(workspace).region(region)
    dates = store.run_dates() if store.path.exists() else []
    if not dates:
        return pd.Series(dtype=float)
    parcels = store.run(dates[-1]).read("parcels")
    return pd.Series(parcels["metrics:area"].to_numpy() / 1e4, index=parcels["parcel_uid"].to_numpy())


def _by_parcel(rows: pd.DataFrame, areas: Mapping[str, pd.Series]) -> pd.DataFrame:
    amounts = ["requests", "pu", "mb"]
    parts: list[pd.DataFrame] = []
    for region, of_region in rows.groupby("region"):
        named = of_region[of_region["parcels"].str.len() > 0]
        if len(named):
            shares = named[amounts].div(named["parcels"].str.len(), axis=0).assign(parcel_uid=named["parcels"])
            parts.append(shares.explode("parcel_uid").assign(region=region))
        hectares = areas[str(region)]
        whole = of_region[of_region["parcels"].str.len() == 0][amounts].sum()
        if len(hectares) and whole.any():
            share = hectares / hectares.sum()
            spread = pd.DataFrame({name: share * whole[name] for name in amounts})
            parts.append(spread.assign(parcel_uid=hectares.index, region=region))
    if not parts:
        return pd.DataFrame(columns=["region", "parcel_uid", *amounts])
    return pd.concat(parts, ignore_index=True).groupby(["region", "parcel_uid"], as_index=False)[amounts].sum()


def _per_ha_week(rows: pd.DataFrame, areas: Mapping[str, pd.Series], price: float | None) -> pd.DataFrame:
    found = []
    for region, of_region in rows.groupby("region"):
        area = float(areas[str(region)].sum())
        iso = of_region["at"].dt.isocalendar()
        weeks = len(iso[["year", "week"]].drop_duplicates())
        row: dict[str, Any] = {"region": region, "area_ha": area or None, "weeks": weeks}
        for name in ("requests", "pu", "mb"):
            row[name] = float(of_region[name].sum()) / area / weeks if area else None
        row["money"] = row["pu"] * price / 1000 if price is not None and row["pu"] is not None else None
        found.append(row)
    return pd.DataFrame(found)
