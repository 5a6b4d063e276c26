"""Root-zone balance (FAO-56 chapters 7 and 8) of all columns at once, day by day.

A column is a parcel, or a parcel in one member of an ensemble. Columns do not see each other, so the result does not depend on
how they are cut into chunks, to the bit. The physics of a day stands in :mod:`agro.water.day_step`; here the inputs are checked
and the days stepped through, by plain numpy or, where numba is installed, compiled (the same bits).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np

from agro.schema.errors import ConfigError, ContractError
from agro.water.day_step import day_step, runoff_mm

__all__ = ["Balance", "Engine", "Forcing", "Soil", "column_chunks", "run_balance", "runoff_mm"]

Engine = Literal["auto", "numpy", "numba"]
#: Columns taken through all days at a time: enough to make a call worth its while, few enough for the cache.
CHUNK_COLUMNS = 10_000
#: Compiling (or reading the compiled code) costs seconds: not worth it for fewer column-days.
WORTH_COMPILING = 20_000_000


@dataclass(frozen=True)
class Forcing:
    """What drives the balance: arrays (days, columns), or (days, 1) where all columns share it; no NaN.

    ``irrigation_mm`` is net, over the whole area; ``taw_mm`` and ``kcb`` follow roots and canopy; ``kc_max`` is the upper
    limit of eq. 72; ``fc_frac`` the ground covered; ``fw_frac`` the share of the surface that an irrigation of the day wets.
    With ``Soil.dual`` off, ``kcb`` holds the single Kc, and fw_frac, kc_max and fc_frac are not looked at.
    """

    et0_mm: np.ndarray
    rain_mm: np.ndarray
    irrigation_mm: np.ndarray
    fw_frac: np.ndarray
    kcb: np.ndarray
    kc_max: np.ndarray
    fc_frac: np.ndarray
    taw_mm: np.ndarray
    #: Most that may rise from a water table in the day (see :mod:`agro.water.groundwater`), mm; None: no water table.
    rise_mm: np.ndarray | None = None

    def __post_init__(self) -> None:
        shapes = {f.name: array.shape for f in fields(self) if (array := getattr(self, f.name)) is not None}
        columns = max((shape[1] for shape in shapes.values() if len(shape) == 2), default=0)
        days = self.et0_mm.shape[0]
        if any(len(s) != 2 or s[0] != days or s[1] not in (1, columns) for s in shapes.values()):
            raise ContractError(f"forcing must be (days, columns) or (days, 1) throughout: {shapes}")
        for name in shapes:
            # A sum is finite only if every term is, and needs no array of flags.
            if not np.isfinite(getattr(self, name).sum()):
                raise ContractError(f"a gap in {name}", where="water balance", do="Fill it before the balance is run")
        for name in shapes.keys() - {"kcb"}:
            if getattr(self, name).min(initial=0.0) < 0:
                what = "rain or irrigation" if name in {"rain_mm", "irrigation_mm"} else name
                raise ContractError(f"{what} below zero", where="water balance", do="Correct the record")

    @property
    def shape(self) -> tuple[int, int]:
        """Days and columns."""
        return self.et0_mm.shape[0], max(a.shape[1] for f in fields(self) if (a := getattr(self, f.name)) is not None)


@dataclass(frozen=True)
class Soil:
    """Per column (columns,): total and readily evaporable water of the surface layer (mm) and tabled p; then options."""

    tew_mm: np.ndarray
    rew_mm: np.ndarray
    depletion_p: np.ndarray
    #: Curve number for average moisture; None: all rain enters the soil.
    curve_number: np.ndarray | None = None
    adjust_p: bool = True
    #: TAW down to the deepest roots, mm. Given, the soil below the roots is kept too: roots that grow take over its
    #: depletion, and drainage is what leaves the deepest roots. None: soil that roots reach is at field capacity.
    taw_full_mm: np.ndarray | None = None
    #: True: evaporation stops when the root zone is empty, and the day closes exactly. False: depletion is cut at
    #: TAW afterwards, as the reference implementation does.
    closed: bool = True
    #: False: single crop coefficient (chapter 6): no surface layer.
    dual: bool = True
    #: True: rain below a fifth of ET0 evaporates from leaves and crust (FAO-56, note on eq. 85). For single coefficients; with
    #: dual ones the surface layer already does it.
    light_rain_lost: bool = False
    #: Share of the potential transpiration that salt leaves (see :mod:`agro.water.salinity`); None: no salt.
    salt_ks: np.ndarray | None = None
    #: Share of the water above field capacity that drains in a day (FAO-56: 1, at once), 0 < share <= 1, and the most that the
    #: soil holds above field capacity (saturation), mm; depletion is then negative for a while. Both or none.
    drainage_frac: np.ndarray | None = None
    above_fc_mm: np.ndarray | None = None

    def __post_init__(self) -> None:
        columns = self.tew_mm.shape
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray) and (value.shape != columns or not np.isfinite(value).all()):
                raise ContractError(
                    f"{f.name} must be (columns,) without a gap, {columns}: {value.shape}", where="soil"
                )
        if self.dual and (self.tew_mm <= self.rew_mm).any():
            raise ContractError("REW is not below TEW", where="soil", do="Correct REW or the surface layer")
        if (self.drainage_frac is None) != (self.above_fc_mm is None):
            raise ContractError("drainage_frac and above_fc_mm go together", where="soil", do="Give both or none")
        if self.drainage_frac is not None and not ((self.drainage_frac > 0) & (self.drainage_frac <= 1)).all():
            raise ContractError("drainage_frac outside 0 < share <= 1", where="soil")


@dataclass(frozen=True)
class Balance:
    """Result arrays (days, columns), mm or ratios; states are those at the end of the day, Ks that of its beginning.

    A term that was not asked for (``keep`` of :func:`run_balance`) has no days: shape (0, columns).
    """

    dr_mm: np.ndarray
    de_mm: np.ndarray
    #: Share of the surface that the last event wetted: with dr, de and dr_full, what a later run starts from.
    fw_frac: np.ndarray
    #: Depletion down to the deepest roots; ``dr_mm`` without ``taw_full_mm``, as the soil below is then at field capacity.
    dr_full_mm: np.ndarray
    raw_mm: np.ndarray
    p_frac: np.ndarray
    ks: np.ndarray
    ke: np.ndarray
    kr: np.ndarray
    transpiration_mm: np.ndarray
    eta_mm: np.ndarray
    etc_mm: np.ndarray
    runoff_mm: np.ndarray
    #: Rain that never reached the soil (see ``Soil.light_rain_lost``).
    light_rain_mm: np.ndarray
    drainage_mm: np.ndarray
    #: Depletion taken over by growing roots or left by withdrawing ones, less what passes below the roots.
    root_growth_mm: np.ndarray
    #: Irrigation supposed beyond the forcing's (see ``refill_at_frac``), net.
    supposed_mm: np.ndarray
    rise_mm: np.ndarray


#: Place of each term in what :func:`agro.water.day_step.day_step` gives.
_PLACES = {
    "dr_mm": 0, "de_mm": 1, "fw_frac": 2, "dr_full_mm": 4, "raw_mm": 5, "p_frac": 6, "ks": 7, "ke": 8, "kr": 9, "transpiration_mm": 10, "eta_mm": 11,
    "etc_mm": 12, "runoff_mm": 13, "light_rain_mm": 14, "drainage_mm": 15, "root_growth_mm": 16, "supposed_mm": 17, "rise_mm": 18,
}  # fmt: skip


def run_balance(
    forcing: Forcing,
    soil: Soil,
    dr0_mm: np.ndarray,
    de0_mm: np.ndarray,
    fw0_frac: np.ndarray | None = None,
    dr_full0_mm: np.ndarray | None = None,
    refill_at_frac: np.ndarray | None = None,
    *,
    keep: tuple[str, ...] | None = None,
    engine: Engine = "auto",
    threads: int = 1,
) -> Balance:
    """Step through the days.

    Parameters
    ----------
    forcing : Forcing
        (days, columns).
    soil : Soil
        (columns,).
    dr0_mm, de0_mm : numpy.ndarray
        (columns,) depletion of the root zone and of the surface layer before the first day, mm.
    fw0_frac : numpy.ndarray, optional
        (columns,) wetted share of the surface before the first event; default 1.
    dr_full0_mm : numpy.ndarray, optional
        (columns,) depletion down to the deepest roots before the first day; needed with ``soil.taw_full_mm``.
    refill_at_frac : numpy.ndarray, optional
        (days, columns) depletion, as a share of TAW, from which an irrigation back to field capacity is supposed on a day
        without one; NaN: never. For members that stand for a grower who irrigates and does not report.
    keep : tuple of str, optional
        Fields of the result that are wanted; default all. Memory is 8 bytes a day, column and field.
    engine : {"auto", "numpy", "numba"}
        Auto: compiled where numba is installed and the job is worth it. The result is the same.
    threads : int
        Threads that share the columns; the result is the same.

    Returns
    -------
    Balance
        With ``soil.closed``, each day, to rounding: dr = dr_before - (rain - runoff - light_rain) - irrigation - supposed + eta
        + drainage + root_growth - rise; and of the whole profile the same without root_growth.

    Raises
    ------
    ContractError
        Shapes that do not fit, an unknown field, a start that is missing.
    ConfigError
        ``numba`` asked for and not installed.

    Notes
    -----
    Per day: runoff; Kr from the surface layer's depletion at the beginning (eq. 74), few (eq. 75), Ke (eq. 71), the
    surface layer (eq. 77-79), p (Table 22 note), Ks from the depletion at the beginning (eq. 84), ETa (eq. 80),
    drainage (eq. 88) and depletion (eq. 85).
    """
    days, columns = forcing.shape
    wanted = tuple(_PLACES) if keep is None else keep
    unknown = [name for name in wanted if name not in _PLACES]
    if unknown:
        raise ContractError(f"no term {', '.join(unknown)}", where="water balance", do=f"Known: {', '.join(_PLACES)}")
    if soil.taw_full_mm is not None and dr_full0_mm is None:
        raise ContractError("the depletion of the whole profile is needed at the start", where="water balance")
    if soil.tew_mm.shape != (columns,):
        raise ContractError(f"soil of {soil.tew_mm.shape} columns for a forcing of {columns}", where="water balance")
    state = np.empty((5, columns))
    starts = (dr0_mm, de0_mm, 1.0 if fw0_frac is None else fw0_frac, forcing.taw_mm[0] if days else 0.0)
    for row, value in enumerate((*starts, 0.0 if dr_full0_mm is None else dr_full0_mm)):
        state[row] = value
    zero, one = np.zeros(columns), np.ones(columns)
    of_soil = np.stack([soil.tew_mm, soil.rew_mm, soil.depletion_p, *(
        filler if value is None else value for value, filler in (
            (soil.curve_number, one), (soil.salt_ks, one), (soil.taw_full_mm, zero), (soil.drainage_frac, one), (soil.above_fc_mm, zero),
        )
    )]).astype(float)  # fmt: skip
    none = np.zeros((days, 1))
    rise, refill = forcing.rise_mm, refill_at_frac
    drivers = tuple(np.ascontiguousarray(a, dtype=float) for a in (
        forcing.et0_mm, forcing.rain_mm, forcing.irrigation_mm, forcing.fw_frac, forcing.kcb, forcing.kc_max, forcing.fc_frac,
        forcing.taw_mm, none if rise is None else rise, none if refill is None else refill,
    ))  # fmt: skip
    switches = (
        soil.dual, soil.adjust_p, soil.closed, soil.curve_number is not None, soil.light_rain_lost, soil.salt_ks is not None,
        refill is not None, soil.taw_full_mm is not None, soil.drainage_frac is not None, rise is not None,
    )  # fmt: skip
    out = np.empty((len(wanted), days, columns))
    if _compiled(engine, days * columns):
        from agro.water.compiled import step_through

        slots = np.full(max(_PLACES.values()) + 1, -1)
        slots[[_PLACES[name] for name in wanted]] = np.arange(len(wanted))
        shared = tuple(int(a.shape[1] > 1) for a in drivers)
        # A read-only array is another type to numba, and would be compiled for anew.
        drivers = tuple(np.require(a, requirements=("C", "W")) for a in drivers)

        def take(chunk: slice) -> None:
            step_through(drivers, shared, of_soil, state, switches, out, slots, chunk.start, chunk.stop)
    else:
        places = [_PLACES[name] for name in wanted]

        def take(chunk: slice) -> None:
            _numpy_chunk(drivers, of_soil, state, switches, out, places, chunk)

    chunks = column_chunks(columns, max(1, min(CHUNK_COLUMNS, -(-columns // threads))))
    if threads == 1:
        for chunk in chunks:
            take(chunk)
    else:
        # Both loops let go of the interpreter while they work.
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(take, chunks))
    absent = np.empty((0, columns))
    return Balance(**{name: out[wanted.index(name)] if name in wanted else absent for name in _PLACES})


def column_chunks(columns: int, size: int) -> Iterator[slice]:
    """Slices that cut `columns` into runs of at most `size`."""
    return (slice(low, min(low + size, columns)) for low in range(0, columns, size))


def _compiled(engine: Engine, column_days: int) -> bool:
    """Whether the compiled loop is used."""
    installed = find_spec("numba") is not None
    if engine == "numba" and not installed:
        raise ConfigError("numba is not installed", where="water balance", do="pip install agro[fast], or engine numpy")
    return installed and (engine == "numba" or (engine == "auto" and column_days >= WORTH_COMPILING))


def _numpy_chunk(
    drivers: tuple[np.ndarray, ...],
    of_soil: np.ndarray,
    state: np.ndarray,
    switches: tuple[bool, ...],
    out: np.ndarray,
    places: list[int],
    chunk: slice,
) -> None:
    """All days of some columns, a day at a time."""
    now: tuple[np.ndarray, ...] = tuple(state[:, chunk])
    fixed = tuple(of_soil[:, chunk])
    for day in range(out.shape[1]):
        given: list[Any] = [a[day] if a.shape[1] == 1 else a[day, chunk] for a in drivers]
        made = day_step(*given, *now, *fixed, *switches)
        now = made[:5]
        for slot, place in enumerate(places):
            out[slot, day, chunk] = made[place]
