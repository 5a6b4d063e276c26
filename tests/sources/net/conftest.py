from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from protocol_server import ProtocolServer
from quick_policy import QUICK

from agro.sources.net import Cache, Client, Ledger, Network


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    """A provider on this machine."""
    running = ProtocolServer()
    yield running
    running.close()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """A network with all that a run has."""
    made = Network(cache=Cache(tmp_path / "cache"), ledger=Ledger(tmp_path / "ledger.sqlite"), policy=QUICK, region="r")
    yield made
    made.close()


@pytest.fixture
def client(network: Network) -> Client:
    return network.client("provider")
