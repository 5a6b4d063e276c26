"""Tables of blocks, days and zones put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from agro.schema.errors import AgroError
from agro.schema.tables import empty, validate
from pipelines.units import one_line


def stack(parts: Sequence[pd.DataFrame], name: str) -> pd.DataFrame:
    """Tables of one contract, one below the other."""
    filled = [part for part in parts if len(part)]
    return validate(pd.concat(filled, ignore_index=True), name) if filled else empty(name)


def join_scenes(parts: Sequence[pd.DataFrame], pixels: Sequence[int]) -> pd.DataFrame:
    """Scenes of several blocks as one table, a row a scene.

    Parameters
    ----------
    parts : sequence of pandas.DataFrame
        Tables ``scenes``, one a block.
    pixels : sequence of int
        Pixels of each block's grid.

    Returns
    -------
    pandas.DataFrame
        Used where any block used it; ``clear_frac`` is the mean over the blocks that it holds pixels of, weighted by
        the pixels of their grids; state of the offset (the commonest) and reasons are those of the blocks that used it.
    """
    if len(parts) == 1:
        return parts[0]
    weighted = [part.assign(pixels=count) for part, count in zip(parts, pixels, strict=True) if len(part)]
    if not weighted:
        return empty("scenes")
    rows = []
    for _, group in pd.concat(weighted, ignore_index=True).groupby(["scene_id", "provider"], sort=False):
        told = group[group["used"]] if group["used"].any() else group
        row = told.iloc[0].drop("pixels").to_dict()
        seen = group[group["clear_frac"].notna()]
        row["clear_frac"] = np.average(seen["clear_frac"], weights=seen["pixels"]) if len(seen) else np.nan
        row["offset_state"] = told["offset_state"].value_counts().index[0]
        row["reason"] = "; ".join(told["reason"].dropna().unique()) or None
        rows.append(row)
    return validate(pd.DataFrame(rows).sort_values(["date", "scene_id"], kind="stable", ignore_index=True), "scenes")


def join_rejected(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """What several blocks or zones left out, each thing once."""
    return stack(parts, "rejected").drop_duplicates(ignore_index=True)


def rejected_row(kind: str, item: str, error: Exception, remedy: str) -> dict[str, str]:
    """A row for the ``rejected`` table from an error."""
    # The remedy has its own column.
    reason = f"{error.where}: {error.what}" if isinstance(error, AgroError) and error.where else one_line(error)
    return {"input": kind, "item": item, "reason": reason, "remedy": remedy}


def rejected_counts(rejected: pd.DataFrame) -> Mapping[str, int]:
    """Number of rejected rows by input."""
    return {str(k): int(v) for k, v in rejected["input"].value_counts().sort_index().items()}
