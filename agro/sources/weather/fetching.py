"""A period in several requests: what fails is told once, what is kept serves on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from agro.schema.errors import NoDataError, SourceError
from agro.sources.net import Answer, Call, Client

#: A settled answer that lacks one of these is asked for again next time.
_COMPLETE = ("tmin_c", "tmax_c", "rain_mm", "rs_mj_m2")


def gather(
    client: Client, calls: Iterable[Call], read: Callable[[Any], pd.DataFrame]
) -> tuple[list[pd.DataFrame], str | None]:
    """Tables of several calls, and why some are absent.

    After the first failure nothing more is asked; what the cache has, of whatever age, serves.

    Parameters
    ----------
    client : Client
    calls : iterable of Call
    read : callable
        JSON -> table; raises SourceError when it is not what was asked for.

    Returns
    -------
    list of pandas.DataFrame, str or None

    Raises
    ------
    BudgetError, PrivacyError
        A request was not made: that is for the person to settle, not for the next provider.
    """
    tables: list[pd.DataFrame] = []
    failure: str | None = None
    for call in calls:
        answer: Answer | None = None
        if failure is None:
            try:
                answer = client.fetch(call)
            except (SourceError, NoDataError) as error:
                failure = error.what
        answer = answer or client.kept(call)
        if answer is None:
            continue
        try:
            table = read(answer.json())
        except SourceError as error:
            client.forget(call)
            failure = error.what
            continue
        if call.ttl_s is None and table[[c for c in _COMPLETE if c in table]].isna().any(axis=None):
            client.forget(call)
        tables.append(table)
    return tables, failure
