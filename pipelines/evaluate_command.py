"""``agro evaluate water``: soil water estimated under a protocol and scored against readings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from agro.evaluate.water import score_by_plot, score_water
from agro.schema.errors import ConfigError
from agro.store.plain_table import write_plain_table
from pipelines.balance_tables import read_tables
from pipelines.water_doubt import field_capacity_warnings, score_hidden_log, with_inferred_irrigation
from pipelines.water_estimates import PROTOCOLS, Options, estimate
from pipelines.water_inputs import Site, read_site


@dataclass(frozen=True)
class WaterEvaluation:
    """Scores as printed, estimates reading by reading, and scores by plot."""

    scores: dict[str, Any]
    estimates: pd.DataFrame
    by_plot: pd.DataFrame

    def write(self, path: Path) -> None:
        """Write the estimates as CSV or Parquet, by the file's suffix."""
        write_plain_table(self.estimates, path)


def evaluate_water(
    folder: Path, protocol: str, learned_from: Path | None = None, corrected: bool = True
) -> WaterEvaluation:
    """Estimate and score the plots of a folder.

    Parameters
    ----------
    folder : Path
        Tables as in docs/balance_tables.md, with measured.csv.
    protocol : str
        ``blind`` or ``three-readings``.
    learned_from : Path, optional
        Another folder, whose plots alone are learned from; default: each plot is estimated with the others of `folder`.
    corrected : bool
        False: physics alone, to see what the learned correction is worth.

    Raises
    ------
    ConfigError, ContractError, NoDataError
        As :func:`pipelines.balance_tables.read_tables`; an unknown protocol; no reading that could be scored.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"unknown protocol {protocol!r}", where="--protocol", do=f"Known: {', '.join(PROTOCOLS)}")
    site = _site(folder)
    teacher = None if learned_from is None else _site(learned_from)
    options = Options(protocol, corrected)
    site, doubt_mm, unlogged = with_inferred_irrigation(site, options.seen)
    # One thread: the matrices are small, and the sums' order, so the bytes, do not depend on the machine's cores.
    with threadpool_limits(limits=1):
        estimates, told = estimate(site, teacher, options, doubt_mm)
    doubts = field_capacity_warnings(site, options.seen)
    scores = {**score_water(estimates), "warnings": [*site.warnings, *unlogged, *told, *doubts]}
    return WaterEvaluation(scores, estimates, score_by_plot(estimates))


def evaluate_hidden_log(folder: Path) -> dict[str, Any]:
    """Irrigation inferred from readings with the log hidden, scored against the log; see :func:`score_hidden_log`."""
    return score_hidden_log(_site(folder))


def _site(folder: Path) -> Site:
    if not folder.is_dir():
        raise ConfigError("not a folder", where=str(folder), do="Give the folder of the tables")
    return read_site(read_tables(folder))
