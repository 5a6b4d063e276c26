"""Colours that people with any colour vision can tell apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

RGB = tuple[int, int, int]

#: Actions, as in the bulletin: Okabe and Ito (2008), https://jfly.uni-koeln.de/color/, the green lightened so that
#: what needs doing stands out by lightness too.
ACTIONS: dict[str, str] = {"irrigate": "#0072B2", "inspect": "#E69F00", "hold": "#9FD9C4", "abstain": "#B4B8BC"}
ACTION_INK: dict[str, str] = {"irrigate": "#FFFFFF", "inspect": "#22282E", "hold": "#22282E", "abstain": "#22282E"}
#: Outline of advice that a person must decide on.
ESCALATED = "#B0307F"
MISSING = "#E9E6DF"
INK, MUTED = "#22282E", "#59636D"
BLUE, ORANGE, GREEN, VERMILION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8A3D72"

# Seventeen evenly spaced colours of matplotlib's maps (CC0): viridis and inferno of Smith and van der Walt, cividis of
# Nunez et al. (2018, doi 10.1371/journal.pone.0199239). Between them lightness is close to linear. "drying" is
# inferno from 0.97 down to 0.15, so that a drier soil is darker and its end is not black.
_STOPS = {
    "viridis": "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b "
    "addc30 d8e219 fde725",
    "drying": "f3f68a f4e156 f9c72f fcac11 fa9407 f57d15 ec6726 e05536 d04545 bf3952 ab2f5e 972766 "
    "801f6c 6c186e 57106e 420a68 2b0b57",
    "cividis": "00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 8c8878 9b9476 aba072 bcae6c cdbb63 "
    "dec958 f0d846 fee838",
}
SCALES: dict[str, tuple[str, ...]] = {name: tuple(f"#{c}" for c in stops.split()) for name, stops in _STOPS.items()}


def rgb(color: str) -> RGB:
    """Red, green and blue (0 to 255) of ``#rrggbb``."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def shade(value: float | None, low: float, high: float, scale: str) -> RGB | None:
    """Colour of a value on a continuous scale; None for NaN. Values beyond the limits take the limits' colours.

    Parameters
    ----------
    value : float or None
    low, high : float
        Values of the first and the last colour; equal limits give the middle colour.
    scale : {"viridis", "drying", "cividis"}
    """
    if value is None or value != value:
        return None
    share = 0.5 if high <= low else min(max((value - low) / (high - low), 0.0), 1.0)
    stops = SCALES[scale]
    position = share * (len(stops) - 1)
    below = min(int(position), len(stops) - 2)
    first, second = rgb(stops[below]), rgb(stops[below + 1])
    red, green, blue = (round(a + (b - a) * (position - below)) for a, b in zip(first, second, strict=True))
    return red, green, blue


def limits(values: Sequence[float], step: float) -> tuple[float, float]:
    """Limits of a scale: the values' range opened out to multiples of `step`; (0, step) without values."""
    known = [v for v in values if v == v]
    if not known:
        return 0.0, step
    low, high = math.floor(min(known) / step) * step, math.ceil(max(known) / step) * step
    return low, high if high > low else low + step
