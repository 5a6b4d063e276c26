"""The balance compiled by numba: :func:`agro.water.day_step.day_step` in a loop over days and columns.

Imported only when asked for: numba is an extra (``fast``). No fast mathematics, so no term is fused or put in another order
and the bits are those of plain numpy.
"""

from __future__ import annotations

from typing import Any

from numba import njit
from numba.extending import overload, register_jitable

from agro.water import day_step as physics

#: Columns taken through all days: their state stays in the first cache.
BLOCK = 256


@overload(physics.choose, strict=False)
def _choose(condition: Any, yes: Any, no: Any) -> Any:
    return lambda condition, yes, no: yes if condition else no


@overload(physics.least, strict=False)
def _least(one: Any, other: Any) -> Any:
    return lambda one, other: one if one < other else other


@overload(physics.most, strict=False)
def _most(one: Any, other: Any) -> Any:
    return lambda one, other: one if one > other else other


# Plain functions made callable from compiled code; they stay plain for numpy.
register_jitable(physics.runoff_mm)
register_jitable(physics.day_step)


@njit(nogil=True, cache=True, error_model="numpy")
def step_through(
    forcing: Any, shared: Any, soil: Any, state: Any, switches: Any, out: Any, slots: Any, low: int, high: int
) -> None:  # pragma: no cover  (compiled)
    """Fill the columns ``low`` .. ``high`` of ``out`` (kept, days, columns); ``state`` (5, columns) is carried on in place."""
    for start in range(low, high, BLOCK):
        end = min(start + BLOCK, high)
        for day in range(out.shape[1]):
            for c in range(start, end):
                made = physics.day_step(
                    forcing[0][day, c * shared[0]], forcing[1][day, c * shared[1]], forcing[2][day, c * shared[2]],
                    forcing[3][day, c * shared[3]], forcing[4][day, c * shared[4]], forcing[5][day, c * shared[5]],
                    forcing[6][day, c * shared[6]], forcing[7][day, c * shared[7]], forcing[8][day, c * shared[8]],
                    forcing[9][day, c * shared[9]],
                    state[0, c], state[1, c], state[2, c], state[3, c], state[4, c],
                    soil[0, c], soil[1, c], soil[2, c], soil[3, c], soil[4, c], soil[5, c], soil[6, c], soil[7, c],
                    switches[0], switches[1], switches[2], switches[3], switches[4], switches[5], switches[6], switches[7], switches[8],
                    switches[9],
                )  # fmt: skip
                for k in range(5):
                    state[k, c] = made[k]
                for k in range(19):
                    if slots[k] >= 0:
                        out[slots[k], day, c] = made[k]
