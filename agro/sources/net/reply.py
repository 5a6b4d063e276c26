"""What a provider says besides the data: its words when it refuses, what it charged, how long to wait."""

from __future__ import annotations

import email.utils
import json
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx

#: Header in which Sentinel Hub says what it charged.
PU_HEADER = "x-processingunits-spent"
#: Bytes of a refusal that are read, and where providers put their words.
_LONGEST_REFUSAL = 65_536
_TOLD_IN = ("message", "reason", "detail", "description", "messages", "error_description", "error")


def words_of(response: httpx.Response, deadline: float) -> str:
    """Words of a refusal in JSON, at most 200 characters; "" when there are none.

    Parameters
    ----------
    response : httpx.Response
        With its body unread.
    deadline : float
        On ``time.monotonic()``; what has not come by then is left.
    """
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > _LONGEST_REFUSAL or time.monotonic() > deadline:
            break
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    for _ in range(2):  # some wrap it once more: {"error": {"message": ...}}
        if isinstance(told, dict):
            told = next((told[key] for key in _TOLD_IN if told.get(key)), told)
    return (told if isinstance(told, str) else json.dumps(told) if told else "")[:200]


def charged_pu(headers: Mapping[str, str]) -> float | None:
    """Processing units that the provider says it took; None when it does not say."""
    return number(headers.get(PU_HEADER))


def retry_after_s(text: str | None, in_ms: bool = False) -> float | None:
    """Seconds to wait as the provider says them: a number (its own unit) or a date (RFC 9110, 10.2.3)."""
    if not text:
        return None
    try:
        told = float(text)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    if not math.isfinite(told):
        return None
    return max(0.0, told / 1000 if in_ms else told)


def number(text: str | None) -> float | None:
    """A header as a number; None where it is none, or a negative or endless one."""
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if math.isfinite(found) and found >= 0 else None
