"""Card of the parcels' yield model, and the model on disk."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from agro.store.atomic import write_text
from agro.yields.forecast import CropModel, YieldModel
from agro.yields.intervals import LEVEL
from agro.yields.registry import load_models, models_digest, save_models


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
                "seasons": list(m.season.years),
                "rows": m.season.rows,
                **{k: None if math.isnan(v) else round(v, 4) for k, v in m.scores.items()},
            }
            for name, m in sorted(model.crops.items())
        },
    }


def save(model: YieldModel, path: Path, card: dict[str, Any]) -> str:
    """Write the model (skops) and its card beside it; the digest of the model comes back."""
    about = {
        "cut_day": model.cut_day,
        "crops": {name: {"mean_t_ha": m.mean_t_ha, "scores": dict(m.scores)} for name, m in model.crops.items()},
    }
    save_models(path, {name: m.season for name, m in model.crops.items()}, about)
    write_text(path.with_suffix(".card.json"), json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return model_digest(model)


def model_digest(model: YieldModel) -> str:
    """Digest of what the model computes with, and of the day of the season that it is for."""
    return models_digest({f"{model.cut_day}:{name}": m.season for name, m in model.crops.items()})


def load(path: Path) -> YieldModel:
    """Read a model; errors as for :func:`agro.yields.registry.load_models`."""
    seasons, about, _ = load_models(path)
    crops = {name: CropModel(season, **about["crops"][name]) for name, season in seasons.items()}
    return YieldModel(int(about["cut_day"]), crops)
