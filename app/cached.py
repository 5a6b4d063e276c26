"""Answers of :mod:`app.data`, remembered while the file behind them stays the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import streamlit as st

from app import data

P = ParamSpec("P")
R = TypeVar("R")


@st.cache_data(show_spinner=False, max_entries=256)
def _kept(name: str, folder: str, stamp: tuple[int, int], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return data.READERS[name](Path(folder), *args, **kwargs)


def read(reader: Callable[Concatenate[Path, P], R], folder: Path, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a reader of :mod:`app.data`, or give what it answered when its file was the same.

    Parameters
    ----------
    reader : callable
        A function of :mod:`app.data` that reads one file of a run.
    folder : pathlib.Path
        The run's folder.
    *args, **kwargs
        Passed on.
    """
    name = reader.__name__
    return _kept(name, str(folder), data.stamp(folder, data.FILES[name]), args, kwargs)
