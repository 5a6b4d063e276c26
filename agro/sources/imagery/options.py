"""Options that several sources share."""

from __future__ import annotations

import math

from agro.schema.errors import ConfigError


def checked_scaling(scale: float | None, offset: float | None) -> tuple[float | None, float | None]:
    """Scale and offset of a region file, as numbers.

    Raises
    ------
    ConfigError
        Not a number, or a scale that is not above zero.
    """
    for key, value in (("scale", scale), ("offset", offset)):
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
        ):
            raise ConfigError(f"{value!r} is not a number", where=f"imagery.options.{key}", do="Give a number")
    if scale is not None and scale <= 0:
        raise ConfigError(f"a scale of {scale} is not above zero", where="imagery.options.scale", do="Give e.g. 0.0001")
    return None if scale is None else float(scale), None if offset is None else float(offset)
