"""Scripts that run at the provider, one pixel at a time (evalscript version 3)."""

from __future__ import annotations

import ast
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from agro.schema.bands import SENTINEL2_COMMON_NAMES
from agro.schema.errors import ConfigError

#: Common name -> the provider's.
NATIVE = {**{common: native for native, common in SENTINEL2_COMMON_NAMES.items()}, "scl": "SCL"}
#: A denominator nearer to zero than this gives no value, as in ``agro.indices``.
_TINY = 1e-6
_OPERATORS: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}
_FUNCTIONS = {"sqrt": "Math.sqrt", "exp": "Math.exp", "log": "Math.log", "clip": "clip"}


class IndexLike(Protocol):
    """What is asked of a spectral index (see ``agro.indices.SpectralIndex``)."""

    @property
    def formula(self) -> str:
        """Arithmetic of bands (reflectance, 0..1) and constants."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Common names."""

    @property
    def constants(self) -> Mapping[str, float]:
        """Numbers that the formula names."""

    @property
    def valid_range(self) -> tuple[float, float]:
        """Values outside are none."""


def pixels_script(bands: Sequence[str]) -> str:
    """Digital numbers of bands, and the data mask as the last one, as unsigned integers of 16 bits."""
    names = [NATIVE[band] for band in bands]
    values = ", ".join(f"s.{name}" for name in [*names, "dataMask"])
    return (
        "//VERSION=3\n"
        "function setup() {\n"
        f'  return {{input: [{{bands: {json.dumps([*names, "dataMask"])}, units: "DN"}}],\n'
        f'    output: {{bands: {len(names) + 1}, sampleType: "UINT16"}}}};\n'
        "}\n"
        f"function evaluatePixel(s) {{ return [{values}]; }}\n"
    )


def statistics_script(indices: Mapping[str, IndexLike], drop: Collection[int]) -> str:
    """Values of indices, each with its own mask.

    A pixel counts where it has data, its scene class is none of `drop`, and the index has a value in its valid range.

    Raises
    ------
    ConfigError
        A formula that is not arithmetic.
    """
    bands = sorted({band for index in indices.values() for band in index.bands})
    reads = json.dumps([*(NATIVE[band] for band in bands), "SCL", "dataMask"])
    outputs = ", ".join(f'{{id: {json.dumps(key)}, bands: 1, sampleType: "FLOAT32"}}' for key in indices)
    values, masks = [], []
    for number, index in enumerate(indices.values()):
        low, high = index.valid_range
        values.append(f"  const v{number} = {_javascript(index)};\n")
        masks.append(f"clear && isFinite(v{number}) && v{number} >= {low!r} && v{number} <= {high!r} ? 1 : 0")
    given = ", ".join(f"{json.dumps(key)}: [isFinite(v{n}) ? v{n} : 0]" for n, key in enumerate(indices))
    return (
        "//VERSION=3\n"
        "function setup() {\n"
        f"  return {{input: [{{bands: {reads}}}],\n"
        f'    output: [{outputs}, {{id: "dataMask", bands: {json.dumps(list(indices))}}}]}};\n'
        "}\n"
        f"function over(a, b) {{ return Math.abs(b) < {_TINY!r} ? NaN : a / b; }}\n"
        "function clip(a, low, high) { return Math.min(Math.max(a, low), high); }\n"
        "function evaluatePixel(s) {\n"
        f"  const clear = s.dataMask === 1 && !{json.dumps(sorted(drop))}.includes(s.SCL);\n"
        + "".join(values)
        + f"  return {{{given}, dataMask: [{', '.join(masks)}]}};\n"
        "}\n"
    )


def _javascript(index: IndexLike) -> str:
    """A formula of the catalogue in the provider's language."""

    def walk(node: ast.AST) -> str:
        match node:
            case ast.Expression(body=body):
                return walk(body)
            case ast.Constant(value=int() | float() as value):
                return repr(float(value))
            case ast.Name(id=name) if name in index.constants:
                return repr(float(index.constants[name]))
            case ast.Name(id=name) if name in index.bands and name in NATIVE:
                return f"s.{NATIVE[name]}"
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"(-{walk(operand)})"
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return f"over({walk(left)}, {walk(right)})"
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return f"Math.pow({walk(left)}, {walk(right)})"
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return f"({walk(left)} {_OPERATORS[type(op)]} {walk(right)})"
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
                return f"{_FUNCTIONS[name]}({', '.join(walk(argument) for argument in args)})"
        raise ConfigError(f"not arithmetic: {index.formula}", where="index", do="Use + - * / **, sqrt, exp, log, clip")

    return walk(ast.parse(index.formula, mode="eval"))
