"""A run stops before it passes a limit, and what it spent is on record."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_server import ProtocolServer, Reply
from quick_policy import QUICK

from agro.schema.errors import AgroError, BudgetError, SourceError
from agro.sources.net import Budget, Cache, Call, Estimate, Ledger, Network
from agro.sources.net.budget import Limits
from agro.sources.net.client import PU_HEADER

Make = Callable[..., Network]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(**limits: float) -> Network:
        budget = Budget(Limits(**limits))  # type: ignore[arg-type]
        return Network(ledger=Ledger(tmp_path / "l.sqlite"), budget=budget, policy=QUICK, region="haouz")

    return made


def row(network: Network) -> pd.Series:
    assert network.ledger is not None
    return network.ledger.table().iloc[-1]


@pytest.mark.parametrize(
    ("limits", "unit"), [({"max_requests": 2}, "requests"), ({"max_pu": 1.0}, "PU"), ({"max_mb": 4.0}, "MB")]
)
def test_the_request_that_would_pass_a_limit_is_not_made(
    server: ProtocolServer, make: Make, limits: dict[str, float], unit: str
) -> None:
    server.route("/data", lambda _: Reply(b" " * 1_900_000 + b"{}", headers={PU_HEADER: "0.5"}))
    network = make(**limits)
    call = Call(f"{server.url}/data", estimate=Estimate(1, 0.5, 1.9))
    for _ in range(2):
        network.client("p").fetch(call)
    with pytest.raises(BudgetError, match=unit) as caught:
        network.client("p").fetch(call)
    assert len(server.asked()) == 2
    assert "--max-" in caught.value.do


def test_attempts_count_as_requests(server: ProtocolServer, make: Make) -> None:
    server.route("/data", {})
    server.fault("/data", reply=Reply("busy", 503), times=9)
    network = make(max_requests=3)
    with pytest.raises(BudgetError, match="4 requests"):
        network.client("p").get_json(f"{server.url}/data")
    assert len(server.asked()) == 3
    assert network.budget.spent.requests == 3
    assert row(network)["requests"] == 3
    assert row(network)["status"] == "failed"


def test_a_call_is_at_least_one_request(server: ProtocolServer, make: Make) -> None:
    server.route("/data", {})
    network = make(max_requests=0)
    with pytest.raises(BudgetError):
        network.client("p").fetch(Call(f"{server.url}/data", estimate=Estimate(pu=0.1)))
    assert not server.asked()


def test_an_announced_size_beyond_the_limit_is_not_read(server: ProtocolServer, make: Make) -> None:
    server.route("/data", lambda _: Reply(b"x" * 3_000_000))
    network = make(max_mb=1)
    with pytest.raises(BudgetError, match="3 MB"):
        network.client("p").fetch(Call(f"{server.url}/data", expects="bytes"))
    assert network.budget.spent.mb == 0


def test_two_at_a_time_do_not_pass_it_together(server: ProtocolServer, make: Make) -> None:
    """Each alone would fit: what is announced is set aside."""
    both = threading.Barrier(2, timeout=5)

    def together(_: object) -> Reply:
        both.wait()
        return Reply(b"x" * 700_000)

    server.route("/data", together)
    network = make(max_mb=1)
    outcomes: list[str] = []

    def fetch() -> None:
        try:
            network.client("p").fetch(Call(f"{server.url}/data", expects="bytes"))
            outcomes.append("fetched")
        except BudgetError:
            outcomes.append("refused")

    threads = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The one that ends first is settled with as much as it set aside.
    assert sorted(outcomes) == ["fetched", "refused"]
    assert network.budget.spent.mb == pytest.approx(0.7)


def test_actual_cost_takes_the_place_of_the_estimate(server: ProtocolServer, make: Make) -> None:
    server.route("/data", lambda _: Reply(b"{}" + b" " * 998, headers={PU_HEADER: "0.0067"}))
    network = make(max_pu=1)
    call = Call(
        f"{server.url}/data", estimate=Estimate(1, 0.9, 5), piece="2026-03-01", parcels=("a", "b"), params={"q": 1}
    )
    network.client("p").fetch(call)
    network.client("p").fetch(call)  # would not fit if the estimate had stayed
    assert network.budget.spent == Estimate(2, pytest.approx(0.0134), pytest.approx(0.002))
    entered = row(network)
    assert entered[["provider", "region", "piece", "status"]].tolist() == ["p", "haouz", "2026-03-01", "ok"]
    assert entered["parcels"] == ["a", "b"]
    assert entered[["estimated_requests", "estimated_pu", "estimated_mb"]].tolist() == [1, 0.9, 5.0]
    assert entered["pu"] == 0.0067 and entered["pu_reported"] == 1
    assert entered["mb"] == 0.001
    assert entered["at"].tzinfo is not None


def test_without_a_word_from_the_provider_the_estimate_stands(server: ProtocolServer, make: Make) -> None:
    server.route("/data", lambda _: Reply({}, headers={PU_HEADER: "plenty"}))
    network = make()
    network.client("p").fetch(Call(f"{server.url}/data", estimate=Estimate(1, 0.25)))
    assert row(network)["pu"] == 0.25 and row(network)["pu_reported"] == 0


def test_only_what_is_delivered_is_billed(server: ProtocolServer, make: Make) -> None:
    server.route("/data", lambda _: Reply({}, 400))
    network = make()
    with pytest.raises(SourceError):
        network.client("p").fetch(Call(f"{server.url}/data", estimate=Estimate(1, 0.25)))
    assert row(network)[["requests", "pu", "status"]].tolist() == [1, 0.0, "failed"]


def test_an_answer_cut_on_the_way_is_billed_and_so_is_the_next(server: ProtocolServer, make: Make) -> None:
    server.route("/data", lambda _: Reply({"v": "x" * 500}, headers={PU_HEADER: "0.4"}))
    server.fault("/data", cut_after=100)
    network = make()
    network.client("p").fetch(Call(f"{server.url}/data", estimate=Estimate(1, 0.5)))
    assert row(network)[["requests", "pu"]].tolist() == [2, 0.8]
    server.fault("/data", cut_after=100)
    tight = make(max_pu=0.7)
    with pytest.raises(BudgetError, match="PU"):
        tight.client("p").fetch(Call(f"{server.url}/data", estimate=Estimate(1, 0.5)))
    assert tight.budget.spent.pu == 0.4


def test_a_kept_answer_costs_nothing(server: ProtocolServer, tmp_path: Path) -> None:
    server.route("/data", {})
    network = Network(cache=Cache(tmp_path / "c"), ledger=Ledger(tmp_path / "l.sqlite"), policy=QUICK)
    for _ in range(3):
        network.client("p").get_json(f"{server.url}/data")
    assert network.budget.spent.requests == 1
    assert network.ledger is not None and len(network.ledger.table()) == 1
    network.close()


@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 5), st.floats(0, 5)), max_size=20),
    st.integers(0, 20), st.floats(0, 20), st.floats(0, 20),
)  # fmt: skip
def test_nothing_set_aside_passes_a_limit(
    wanted: list[tuple[int, float, float]], requests: int, pu: float, mb: float
) -> None:
    budget = Budget(Limits(requests, pu, mb))
    for numbers in wanted:
        before = budget.spent
        try:
            budget.reserve(Estimate(*numbers), "test")
        except BudgetError:
            assert budget.spent == before
            after = before + Estimate(*numbers)
            assert after.requests > requests or after.pu > pu or after.mb > mb
        assert budget.spent.requests <= requests
        assert budget.spent.pu <= pu + 1e-6 and budget.spent.mb <= mb + 1e-6


def _write(path: Path, name: str, start: multiprocessing.synchronize.Barrier) -> None:
    start.wait(30)
    ledger = Ledger(path)
    for number in range(15):
        ledger.enter(
            provider=name, region="r", piece=str(number), parcels=(), estimated=Estimate(1), actual=Estimate(1),
            pu_reported=False, status="ok",
        )  # fmt: skip
    ledger.close()


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    path = tmp_path / "new" / "ledger.sqlite"
    writers = [context.Process(target=_write, args=(path, name, start)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    table = Ledger(path).table()
    assert table.groupby("provider")["piece"].nunique().to_dict() == {"a": 15, "b": 15}


def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "l.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(AgroError, match="ledger"):
        Ledger(tmp_path / "l.sqlite")
    (tmp_path / "file").write_text("")
    with pytest.raises(AgroError, match="ledger"):
        Ledger(tmp_path / "file" / "l.sqlite")


def test_an_empty_ledger_is_a_table(tmp_path: Path) -> None:
    table = Ledger(tmp_path / "l.sqlite").table()
    assert table.empty and {"provider", "pu", "estimated_pu", "parcels"} <= set(table.columns)
