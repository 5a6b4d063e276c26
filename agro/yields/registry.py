"""Season models on disk: saved with skops, with a digest, and loaded without running what is in the file."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from agro.schema.errors import ContractError
from agro.store.atomic import write_bytes
from agro.yields import models as families
from agro.yields.applicability import Applicability
from agro.yields.choice import Choice
from agro.yields.intervals import Interval
from agro.yields.season_model import SeasonModel

#: Version of what is in the file; another one is refused.
FORMAT = 1
#: Types of ours that a file may hold; what else is trusted is what skops trusts (numpy, scikit-learn).
OURS = (
    families.Anomalies, families.MeanYield, families.LevelYield, families.RidgeYield, families.TreesYield,
    families.GaussianProcessYield,
)  # fmt: skip
#: skops leaves the compiled tree of scikit-learn to the reader; its links are checked before it is asked anything.
TREE = "sklearn.tree._tree.Tree"
TRUSTED = (*(f"{t.__module__}.{t.__name__}" for t in OURS), TREE)


def save_models(path: Path, models: Mapping[str, SeasonModel], about: Mapping[str, Any]) -> str:
    """Write models by key (lead or crop) and plain data about them; the digest of the models comes back."""
    digest = models_digest(models)
    body = {
        "format": FORMAT,
        "about": dict(about),
        "digest": digest,
        "models": {k: _as_plain(m) for k, m in models.items()},
    }
    write_bytes(path, skops.io.dumps(body))
    return digest


def load_models(path: Path) -> tuple[dict[str, SeasonModel], dict[str, Any], str]:
    """Models by key, what is said about them, and their digest.

    Raises
    ------
    ContractError
        No such file, not a model, types in it that are not known to be safe, another format, or contents that are not those
        that the digest was made of.
    """
    try:
        body = skops.io.load(path, trusted=list(TRUSTED))
        if body["format"] != FORMAT:
            raise ContractError(
                f"the model has format {body['format']}, not {FORMAT}", where=str(path), do="Train it again"
            )
        models = {str(k): _from_plain(m) for k, m in body["models"].items()}
        for model in models.values():
            _check_trees(model)
        about, digest = dict(body["about"]), str(body["digest"])
    except UntrustedTypesFoundException as error:
        raise ContractError(
            "the model file holds types that are not trusted",
            where=str(path),
            do="Train it again; never load a file of unknown origin",
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BadZipFile) as error:
        raise ContractError(
            f"not a model file ({type(error).__name__})", where=str(path), do="Train it again"
        ) from error
    if models_digest(models) != digest:
        raise ContractError("the model was changed after it was saved", where=str(path), do="Train it again")
    return models, about, digest


def _as_plain(model: SeasonModel) -> dict[str, Any]:
    return {
        "choice": dataclasses.asdict(model.choice), "interval": dataclasses.asdict(model.interval),
        "area": None if model.area is None else dataclasses.asdict(model.area), "fitted": dict(model.fitted), "usual": model.usual,
        "columns": list(model.columns), "years": list(model.years), "rows": model.rows,
    }  # fmt: skip


def _from_plain(body: Mapping[str, Any]) -> SeasonModel:
    return SeasonModel(
        Choice(**body["choice"]), dict(body["fitted"]), body["usual"], Interval(**body["interval"]),
        None if body["area"] is None else Applicability(**body["area"]), tuple(body["columns"]), tuple(body["years"]), body["rows"],
    )  # fmt: skip


def _check_trees(model: SeasonModel) -> None:
    """A split that points outside its tree, or at no feature, would read foreign memory."""
    for one in model.fitted.values():
        if not isinstance(one, families.TreesYield):
            continue
        wide = len(one.anomalies_.names_)
        for tree in (t.tree_ for t in one.trees_.estimators_):
            inner = tree.children_left >= 0
            links = np.concatenate([tree.children_left[inner], tree.children_right[inner]])
            after = np.tile(np.flatnonzero(inner), 2)
            feature = tree.feature[inner]
            if (
                (links <= after).any()
                or (links >= tree.node_count).any()
                or (feature < 0).any()
                or (feature >= wide).any()
            ):
                raise ValueError("a tree's links are broken")


def models_digest(models: Mapping[str, SeasonModel]) -> str:
    """Digest of everything the models compute with; that of the file would change with each save (object ids, times)."""
    digest = hashlib.sha256()
    for key in sorted(models):
        _feed(digest, (key, _as_plain(models[key])))
    return digest.hexdigest()[:16]


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.kind}{value.shape}".encode())
        digest.update(
            "\0".join(value.tolist()).encode() if value.dtype.kind == "U" else np.ascontiguousarray(value).tobytes()
        )
    elif isinstance(value, Mapping):
        for key in sorted(value):
            _feed(digest, (key, value[key]))
    elif isinstance(value, list | tuple):
        digest.update(f"[{len(value)}".encode())
        for one in value:
            _feed(digest, one)
    elif value is None or isinstance(value, str | int | float | np.generic):
        digest.update(f"{type(value).__name__[:3]}:{value!r};".encode())
    elif hasattr(value, "estimators_"):  # a forest: its trees' splits and values; their records hold padding bytes
        for tree in value.estimators_:
            inner = tree.tree_
            _feed(digest, [inner.feature, inner.threshold, inner.value, inner.children_left, inner.children_right])
    else:
        digest.update(type(value).__name__.encode())
        _feed(digest, vars(value))
