"""What one link of the soil chain gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class LinkResult:
    """Layers found, and why others were not.

    Parameters
    ----------
    soil : pandas.DataFrame
        Rows of the table ``soil``, all layers of a parcel or none.
    reasons : mapping
        ``parcel_uid`` -> why this link does not serve it; only looked at for parcels that are absent from `soil`.
    rejected : list of dict
        Rows of the table ``rejected``.
    """

    soil: pd.DataFrame
    reasons: Mapping[str, str] = field(default_factory=dict)
    rejected: list[dict[str, str]] = field(default_factory=list)

    @property
    def served(self) -> set[str]:
        """Parcels with layers."""
        return set(self.soil["parcel_uid"])
