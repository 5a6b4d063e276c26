"""Addresses signed late: just before they are read, and again when they have run out."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from agro.schema.errors import ConfigError
from agro.sources.net import Call, Client

#: A token is renewed when it has less than this left.
LEEWAY = timedelta(minutes=5)


class TokenSigner:
    """Planetary Computer: a token of the collection is put behind the address.

    Parameters
    ----------
    client : Client
    signing_url, collection : str
        Tokens come from ``{signing_url}/token/{collection}``.
    """

    def __init__(self, client: Client, signing_url: str, collection: str) -> None:
        self._client = client
        self._url = f"{signing_url}/token/{collection}"
        self._token: str | None = None
        self._until = datetime.min.replace(tzinfo=UTC)
        self._lock = threading.Lock()

    def __call__(self, url: str, renew: bool) -> tuple[str, Mapping[str, str]]:
        """The address with a token that still lives."""
        with self._lock:
            if renew or self._token is None or datetime.now(UTC) > self._until - LEEWAY:
                told = self._client.fetch(Call(self._url, ttl_s=0, piece="signing token", check=_token_fault)).json()
                self._token, self._until = told["token"], _moment(told.get("msft:expiry"))
            return f"{url}{'&' if urlsplit(url).query else '?'}{self._token}", {}


def _token_fault(content: bytes) -> str:
    told = json.loads(content)
    if not isinstance(told, dict) or not isinstance(told.get("token"), str) or not told["token"]:
        return "no signing token in the answer"
    try:
        _moment(told.get("msft:expiry"))
    except (ValueError, AttributeError):
        return "the signing token's end is no time"
    return ""


def _moment(text: str | None) -> datetime:
    if not text:
        return datetime.now(UTC) + LEEWAY
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class StorageSigner:
    """S3 with own keys, path style: ``s3://bucket/key`` becomes a signed https address (computed here).

    Parameters
    ----------
    endpoint : str
        Address of the storage.
    key_names : tuple of str
        Environment variables of the access key and its secret.

    Raises
    ------
    ConfigError
        A variable is not set.
    """

    def __init__(self, endpoint: str, key_names: tuple[str, ...]) -> None:
        absent = [name for name in key_names if not os.environ.get(name)]
        if absent:
            raise ConfigError(
                f"no keys for {endpoint}", where=", ".join(absent), do="Make them in the provider's portal and set them"
            )
        self._endpoint = endpoint
        self._keys = [os.environ[name] for name in key_names]
        self._made: Any = None
        self._lock = threading.Lock()

    def __call__(self, url: str, renew: bool) -> tuple[str, Mapping[str, str]]:
        """A signed address for one hour."""
        parts = urlsplit(url)
        if parts.scheme != "s3":
            return url, {}
        with self._lock:
            if self._made is None:
                self._made = _storage(self._endpoint, *self._keys)
            told = {"Bucket": parts.netloc, "Key": parts.path.lstrip("/")}
            return str(self._made.generate_presigned_url("get_object", Params=told, ExpiresIn=3600)), {}


def _storage(endpoint: str, access_key: str, secret_key: str) -> Any:
    # Costs half a second: only when used.
    from botocore.config import Config
    from botocore.session import get_session

    return get_session().create_client(
        "s3", region_name="default", endpoint_url=endpoint, aws_access_key_id=access_key,
        aws_secret_access_key=secret_key, config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )  # fmt: skip
