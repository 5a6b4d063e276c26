"""What is known of providers: addresses, accounts, limits, licences (``providers.yaml``)."""

from __future__ import annotations

import os
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agro.schema.crops import read_yaml
from agro.schema.errors import ConfigError

PROVIDERS_FILE = Path(__file__).with_name("providers.yaml")


class ProviderLimits(BaseModel):
    """Most that an account of the free kind may ask for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_minute: int | None = None
    requests_day: int | None = None
    requests_month: int | None = None
    pu_minute: float | None = None
    pu_month: float | None = None


class Provider(BaseModel):
    """One provider; ``keys`` are the environment variables that its account needs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    data: Literal["imagery", "weather", "soil"]
    url: str
    token_url: str | None = None
    signing_url: str | None = None
    storage_url: str | None = None
    collection: str | None = None
    keys: tuple[str, ...] = ()
    licence: str
    limits: ProviderLimits = ProviderLimits()
    read_on: date
    citation: str

    @property
    def missing_keys(self) -> list[str]:
        """Environment variables that are not set."""
        return [key for key in self.keys if not os.environ.get(key)]


@cache
def providers() -> dict[str, Provider]:
    """All providers known, by key."""
    return {key: Provider.model_validate(told) for key, told in read_yaml(PROVIDERS_FILE).items()}


def provider(key: str) -> Provider:
    """One of them.

    Raises
    ------
    ConfigError
        Not known.
    """
    if key not in providers():
        raise ConfigError(f"unknown provider {key!r}", where="providers", do=f"Known: {', '.join(providers())}")
    return providers()[key]
