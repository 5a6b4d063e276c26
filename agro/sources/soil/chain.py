"""The chain of soil links: each parcel whole from the first link that has it, its rows naming that and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from agro.schema.crops import Texture
from agro.schema.errors import ConfigError, NoDataError, SourceError
from agro.schema.region import SoilSpec
from agro.schema.tables import empty, validate
from agro.sources.net import Estimate, Network
from agro.sources.soil.link import LinkResult
from agro.sources.soil.table import table_link

#: Depth that a texture default stands for, m.
DEFAULT_DEPTH_M = 2.0


@dataclass(frozen=True)
class SoilResult:
    """Table ``soil``, layers for every parcel that a link covers, and table ``rejected``."""

    soil: pd.DataFrame
    rejected: pd.DataFrame


def load_soil(
    specs: Sequence[SoilSpec], folder: Path, parcels: pd.DataFrame, textures: Mapping[str, Texture],
    network: Network | None = None, mixing: bool = True,
) -> SoilResult:  # fmt: skip
    """Soil of each parcel from the first link that has it whole.

    Parameters
    ----------
    specs : sequence of SoilSpec
        The chain, best first.
    folder : Path
        Relative paths start here.
    parcels : pandas.DataFrame
        Table ``parcels``; with geometry where the chain has ``soilgrids``.
    textures : mapping
        Texture classes.
    network : Network, optional
        Without one, ``soilgrids`` is passed over and that is said.
    mixing : bool
        Whether parcels may come from different links. If not, the first link that has all of them serves alone; where
        none has all, the one that has most, and the others are listed.

    Returns
    -------
    SoilResult
        ``source_reason`` says why no earlier link serves the parcel; null on rows of the first.

    Raises
    ------
    ConfigError
        A file or column is absent, or a texture or option is unknown.
    BudgetError, PrivacyError
        A request was not made.
    """
    wanted = [str(uid) for uid in parcels["parcel_uid"]]
    rejected: list[dict[str, str]] = []
    reasons: dict[str, list[str]] = {uid: [] for uid in wanted}
    parts: list[pd.DataFrame] = []
    best: tuple[int, pd.DataFrame] | None = None
    open_uids = wanted
    for spec in specs:
        if not open_uids:
            break
        found = _link(spec, folder, parcels, open_uids, textures, network)
        rejected += found.rejected
        served = found.served
        named = found.soil.assign(
            source_reason=pd.Series(_joined(found.soil, reasons), found.soil.index, dtype="object")
        )
        for uid in set(open_uids) - served:
            reasons[uid].append(found.reasons.get(uid, f"{spec.kind} lacks it"))
        if mixing:
            parts.append(named)
            open_uids = [uid for uid in open_uids if uid not in served]
        elif best is None or len(served) > best[0]:
            best = (len(served), named)
            if len(served) == len(wanted):
                break
    if best is not None:
        parts, lacking = [best[1]], len(wanted) - best[0]
        if lacking:
            rejected.append(
                _row(
                    f"{lacking} parcel(s)",
                    "the one link that serves most lacks them",
                    "Allow mixing: mixing.soil: true",
                )
            )
    soil = pd.concat([p for p in parts if len(p)] or [empty("soil")], ignore_index=True)
    soil = soil.sort_values(["parcel_uid", "layer"], ignore_index=True)
    return SoilResult(
        validate(soil, "soil"), validate(pd.DataFrame(rejected), "rejected") if rejected else empty("rejected")
    )


def plan_soil(spec: SoilSpec, parcels: pd.DataFrame) -> Estimate:
    """What a link asks for the first time; nothing for what is on this machine."""
    if spec.kind != "soilgrids":
        return Estimate()
    from agro.sources.soil.soilgrids import clip_estimate

    return clip_estimate(spec, parcels)


def probe_soil(spec: SoilSpec, network: Network) -> str:
    """Whether a provider of soil answers, in a few words; a small request.

    Raises
    ------
    SourceError, NoDataError, BudgetError, ConfigError
        It does not.
    """
    if spec.kind != "soilgrids":
        raise ConfigError(f"{spec.kind} is no provider", where="soil", do="Read it with load_soil")
    from agro.sources.soil.soilgrids import probe_soilgrids

    return probe_soilgrids(spec, network)


def _link(
    spec: SoilSpec, folder: Path, parcels: pd.DataFrame, uids: list[str], textures: Mapping[str, Texture],
    network: Network | None,
) -> LinkResult:  # fmt: skip
    if spec.kind == "texture":
        return LinkResult(_default(spec, uids, textures))
    if spec.kind == "table":
        if spec.path is None:
            raise ConfigError("a soil table needs a path", where="soil", do="Add path: soil.csv")
        return table_link((folder / spec.path).resolve(), spec, uids, set(parcels["parcel_uid"]))
    if network is None:
        return _failed("soilgrids", "there is no network here", uids)
    from agro.sources.soil.soilgrids import soilgrids_link

    try:
        return soilgrids_link(spec, parcels, uids, network)
    except (SourceError, NoDataError) as error:
        return _failed("soilgrids", str(error), uids)


def _failed(name: str, reason: str, uids: list[str]) -> LinkResult:
    row = _row(name, reason, "The next link of the chain is used")
    return LinkResult(empty("soil"), dict.fromkeys(uids, f"{name}: {reason}"), [row])


def _joined(soil: pd.DataFrame, reasons: Mapping[str, list[str]]) -> list[str | None]:
    """Why no earlier link, and what the link itself says of how it came to the row."""
    own = soil["source_reason"] if "source_reason" in soil else pd.Series(None, index=soil.index, dtype="object")
    rows = zip(soil["parcel_uid"], own, strict=True)
    return ["; ".join([*reasons[uid], *([said] if isinstance(said, str) else [])]) or None for uid, said in rows]


def _default(spec: SoilSpec, uids: list[str], textures: Mapping[str, Texture]) -> pd.DataFrame:
    if spec.texture is None or spec.texture not in textures:
        raise ConfigError(f"unknown texture {spec.texture!r}", where="soil", do=f"Known: {', '.join(textures)}")
    t = textures[spec.texture]
    return pd.DataFrame(
        {
            "parcel_uid": uids, "layer": 1, "top_m": 0.0, "bottom_m": DEFAULT_DEPTH_M, "fc_m3_m3": t.fc_m3_m3.value,
            "wp_m3_m3": t.wp_m3_m3.value, "fc_sd_m3_m3": t.fc_sd_m3_m3.value, "wp_sd_m3_m3": t.wp_sd_m3_m3.value,
            "stones_frac": 0.0, "source": f"texture_default:{spec.texture}",
        }
    )  # fmt: skip


def _row(item: str, reason: str, remedy: str) -> dict[str, str]:
    return {"input": "soil", "item": item, "reason": reason, "remedy": remedy}
