"""Model card, and a model on disk that can be loaded without running what is in it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from agro.schema.errors import ContractError
from agro.schema.provenance import digest_of
from agro.store.atomic import write_bytes, write_text
from agro.yields.forecast import LEVEL, CropModel, YieldModel


def model_card(model: YieldModel, data: str, label: str) -> dict[str, Any]:
    """Data, period, protocol, scores and limits of a model, as plain data."""
    return {
        "task": "yield of a parcel, t/ha, from the index of the season so far",
        "data": data,
        "label": label,
        "cut_day_of_season": model.cut_day,
        "protocol": "one season left out after the other; choice between mean and ridge, fit and interval made without it",
        "interval_level": LEVEL,
        "limits": "only crops and parcels like those trained on; not validated on measured field yields",
        "crops": {
            name: {
                "model": m.name,
                "seasons": list(m.seasons),
                "rows": m.rows,
                **{k: None if math.isnan(v) else round(v, 4) for k, v in m.scores.items()},
            }
            for name, m in sorted(model.crops.items())
        },
    }


def save(model: YieldModel, path: Path, card: dict[str, Any]) -> str:
    """Write the model (skops) and its card beside it; the digest of the model comes back."""
    body = {
        "cut_day": model.cut_day,
        "crops": {
            name: {
                "mean_t_ha": m.mean_t_ha, "parcel_mean": dict(m.parcel_mean), "estimator": m.estimator, "name": m.name,
                "half_width_t_ha": m.half_width_t_ha, "scores": dict(m.scores), "seasons": list(m.seasons), "rows": m.rows,
            }
            for name, m in model.crops.items()
        },
    }  # fmt: skip
    write_bytes(path, skops.io.dumps(body))
    write_text(path.with_suffix(".card.json"), json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return model_digest(model)


def model_digest(model: YieldModel) -> str:
    """Digest of what the model computes with; that of the file would change with each save (object ids, times)."""
    body: dict[str, Any] = {"cut_day": model.cut_day}
    for name, m in model.crops.items():
        steps = [] if m.estimator is None else [step for _, step in m.estimator.steps]
        numbers = [
            getattr(step, key).tolist() for step in steps for key in ("mean_", "scale_", "coef_") if hasattr(step, key)
        ]
        intercept = [float(step.intercept_) for step in steps if hasattr(step, "intercept_")]
        body[name] = [m.name, m.mean_t_ha, m.half_width_t_ha, dict(m.parcel_mean), numbers, intercept]
    return digest_of(body)


def load(path: Path) -> YieldModel:
    """Read a model.

    Raises
    ------
    ContractError
        No such file, not a model, or types in it that are not known to be safe.
    """
    try:
        body = skops.io.load(path, trusted=[])
        crops = {name: CropModel(**{**m, "seasons": tuple(m["seasons"])}) for name, m in body["crops"].items()}
        return YieldModel(int(body["cut_day"]), crops)
    except UntrustedTypesFoundException as error:
        raise ContractError(
            "the model file holds types that are not trusted",
            where=str(path),
            do="Train it again; never load a file of unknown origin",
        ) from error
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise ContractError(
            f"not a model file ({type(error).__name__})", where=str(path), do="Train it again"
        ) from error
