"""The catalogue, and the evaluation of its formulas."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from agro.schema.bands import SENTINEL2_COMMON_NAMES
from agro.schema.errors import ConfigError, ContractError

#: A denominator nearer to zero than this gives NaN.
TINY = 1e-6

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Pow: operator.pow,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": lambda a: np.sqrt(np.where(a < 0, np.nan, a)),
    "exp": np.exp,
    "log": lambda a: np.log(np.where(a <= 0, np.nan, a)),
    "clip": lambda a, low, high: np.clip(a, low, high),
}


class SpectralIndex(BaseModel):
    """One index as data.

    ``formula`` speaks of bands by common name (reflectance, 0..1) and of ``constants``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    name: str
    formula: str
    bands: tuple[str, ...]
    constants: Mapping[str, float] = {}
    valid_range: tuple[float, float]
    unit: str
    citation: str
    #: Where the relation holds, and what differs from the paper.
    note: str = ""


@lru_cache(maxsize=1)
def catalogue() -> dict[str, SpectralIndex]:
    """All indices by key.

    Raises
    ------
    ConfigError
        An entry with a wrong key, an unknown name in its formula, or bands that do not fit the formula.
    """
    text = resources.files("agro.indices").joinpath("catalogue.yaml").read_text(encoding="utf-8")
    return parse_catalogue(yaml.safe_load(text))


def parse_catalogue(body: Mapping[str, Mapping[str, Any]]) -> dict[str, SpectralIndex]:
    """Check a catalogue given as plain data; bands are read off the formula."""
    found = {}
    for key, entry in body.items():
        try:
            names = _names(entry["formula"])
            bands = tuple(sorted(names & set(SENTINEL2_COMMON_NAMES.values())))
            index = SpectralIndex.model_validate({**entry, "key": key, "bands": bands})
        except (KeyError, SyntaxError, ValidationError) as error:
            raise ConfigError(f"index {key}: {error}", where="index catalogue", do="Correct the entry") from error
        unknown = names - set(bands) - set(index.constants)
        if unknown:
            raise ConfigError(
                f"index {key}: unknown name {', '.join(sorted(unknown))}",
                where="index catalogue",
                do="Use common band names",
            )
        found[key] = index
    return found


def _names(formula: str) -> set[str]:
    called = {
        n.func.id
        for n in ast.walk(ast.parse(formula, mode="eval"))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    return {n.id for n in ast.walk(ast.parse(formula, mode="eval")) if isinstance(n, ast.Name)} - called


def evaluate(formula: str, values: Mapping[str, Any]) -> Any:
    """Value of a formula of numbers, names, ``+ - * / **`` and a few functions; nothing else is run.

    A quotient whose denominator is about zero is NaN.

    Raises
    ------
    ConfigError
        Anything that is not arithmetic.
    """

    def walk(node: ast.AST) -> Any:
        match node:
            case ast.Expression(body=body):
                return walk(body)
            case ast.Constant(value=int() | float() as value):
                return value
            case ast.Name(id=name) if name in values:
                return values[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -walk(operand)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                below = np.asarray(walk(right))
                safe = np.where(np.abs(below) < TINY, np.nan, below)
                return walk(left) / safe
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _BINARY[type(op)](walk(left), walk(right))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
                return _FUNCTIONS[name](*(walk(a) for a in args))
        raise ConfigError(
            f"not arithmetic: {formula}", where="index catalogue", do="Use + - * / **, sqrt, exp, log, clip"
        )

    return walk(ast.parse(formula, mode="eval"))


def compute(key: str, cube: Mapping[str, Any]) -> np.ndarray:
    """One index of a cube.

    Parameters
    ----------
    key : str
        Key of the catalogue.
    cube : xarray.Dataset or mapping of str to array
        Reflectance (0..1, NaN = missing) by common band name. A leading time axis of length 1 is dropped.

    Returns
    -------
    numpy.ndarray
        float32 of the bands' shape; NaN where a band is NaN, a denominator is about zero, or the value is
        outside the index's valid range.

    Raises
    ------
    ContractError
        Unknown key, or a band is absent.
    """
    index = catalogue().get(key)
    if index is None:
        raise ContractError(f"unknown index {key!r}", do=f"Known: {', '.join(catalogue())}")
    missing = [band for band in index.bands if band not in cube]
    if missing:
        raise ContractError(f"index {key} needs {', '.join(missing)}", where="cube", do="Read these bands too")
    bands = {}
    for band in index.bands:
        values = np.asarray(getattr(cube[band], "values", cube[band]), dtype="float64")
        bands[band] = values[0] if values.ndim == 3 and values.shape[0] == 1 else values
    with np.errstate(all="ignore"):
        out = np.asarray(evaluate(index.formula, {**bands, **index.constants}), dtype="float64")
    for values in bands.values():
        out = np.where(np.isnan(values), np.nan, out)
    low, high = index.valid_range
    return np.where((out >= low) & (out <= high), out, np.nan).astype("float32")
