"""Advice records as a flat table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from agro.schema.advice import AdviceRecord
from agro.schema.provenance import canonical_json
from agro.schema.tables import empty, validate

_JSON = ("confidence_drivers", "reasons", "evidence", "counterfactual", "rule_ids", "escalation", "message")


def to_table(records: Sequence[AdviceRecord]) -> pd.DataFrame:
    """Table ``advice``: scalars as columns, lists and nested records as JSON text."""
    if not records:
        return empty("advice")
    rows = []
    for record in records:
        body = record.model_dump(mode="json")
        rows.append({key: canonical_json(value) if key in _JSON else value for key, value in body.items()})
    return validate(pd.DataFrame(rows), "advice")
