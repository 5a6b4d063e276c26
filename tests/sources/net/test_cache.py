"""Answers kept on disk: found again, bounded, and sound whatever happens to the processes that write them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_server import ProtocolServer, Received, Reply
from quick_policy import QUICK

from agro.schema.errors import AgroError
from agro.sources.net import Cache, Call, Client, Network

PUT = """
import sys
from pathlib import Path
from agro.sources.net import Cache
{before}
cache = Cache(Path(sys.argv[1]))
print("ready", flush=True)
{do}
"""
FETCH = """
import sys
from pathlib import Path
from agro.sources.net import Cache, Network
network = Network(cache=Cache(Path(sys.argv[1])))
for number in range(3):
    assert network.client("p").get_json(f"{sys.argv[2]}/data/{number}") == {"number": number}
"""


def run(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def answers(cache: Cache) -> list[Path]:
    return [path for path in cache.folder.glob("??/*") if path.suffix == ""]


@given(st.binary(max_size=300), st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
def test_what_is_kept_is_found(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, headers: dict[str, str]
) -> None:
    cache = Cache(tmp_path_factory.mktemp("cache"))
    key = cache.key("anything")
    assert cache.find(key) is None
    cache.keep(key, content, headers)
    kept = cache.find(key)
    assert kept is not None and (kept.content, kept.headers) == (content, headers)
    assert 0 <= kept.age_s < 60
    cache.drop(key)
    assert cache.find(key) is None


def test_all_that_decides_the_answer_is_in_the_key() -> None:
    same = Call("http://x/a", params={"p": 1, "q": 2})
    assert same.identity == Call("http://x/a", params={"q": 2, "p": 1}, piece="other", parcels=("a",)).identity
    others = [
        Call("http://x/b", params={"p": 1, "q": 2}), Call("http://x/a", params={"p": 1}),
        Call("http://x/a", method="POST", params={"p": 1, "q": 2}), Call("http://x/a", params={"p": 1, "q": 2}, body={}),
        Call("http://x/a", params={"p": 1, "q": 2}, byte_range=(0, 9)),
        Call("http://x/a", params={"p": 1, "q": 2}, expects="bytes"),
        Call("http://x/a", params={"p": 1, "q": 2}, headers={"Accept": "image/tiff"}),
    ]  # fmt: skip
    assert len({call.identity for call in [same, *others]}) == len(others) + 1


def test_a_second_run_fetches_nothing(server: ProtocolServer, tmp_path: Path) -> None:
    server.route("/data", {"ok": 1})
    for kept in (False, True, True):
        network = Network(cache=Cache(tmp_path), policy=QUICK)
        answer = network.client("p").fetch(Call(f"{server.url}/data"))
        assert (answer.kept, answer.json()) == (kept, {"ok": 1})
        network.close()
    network = Network(cache=Cache(tmp_path), policy=QUICK)
    assert not network.client("another").fetch(Call(f"{server.url}/data")).kept  # same question, another provider
    assert len(server.asked()) == 2


def test_an_old_answer_is_asked_for_again(server: ProtocolServer, client: Client) -> None:
    numbers = iter(range(9))
    server.route("/data", lambda _: Reply({"n": next(numbers)}))
    for ttl_s, expected in ((None, 0), (3600.0, 0), (1e-9, 1), (None, 1), (0.0, 2), (None, 1)):
        assert client.get_json(f"{server.url}/data", ttl_s=ttl_s) == {"n": expected}


def test_a_damaged_answer_counts_as_absent(server: ProtocolServer, client: Client) -> None:
    cache = client.network.cache
    assert cache is not None
    server.route("/data", {"value": 31})
    client.get_json(f"{server.url}/data")
    (path,) = answers(cache)
    sound = path.read_bytes()
    for damaged in (b"", sound[:-1], sound + b" ", sound.replace(b"31", b"37"), sound.replace(b'"at": 1', b'"at": 9'),
                    b"\n" + sound, sound[:64], b"no JSON\n{}"):  # fmt: skip
        assert damaged != sound
        path.write_bytes(damaged)
        asked = len(server.asked())
        assert client.get_json(f"{server.url}/data") == {"value": 31}
        assert len(server.asked()) == asked + 1


def test_the_bound_holds_and_the_longest_unused_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, max_bytes=100_000)
    for number in range(40):
        cache.keep(cache.key(str(number)), bytes(10_000), {})
        if number:
            assert cache.find(cache.key("0")), number  # used all the time: stays
        time.sleep(0.002)
    assert cache.size_bytes() <= 100_000
    assert cache.find(cache.key("39"))
    assert cache.find(cache.key("1")) is None


def test_unfinished_downloads_count_too(tmp_path: Path) -> None:
    cache = Cache(tmp_path, max_bytes=1000)
    cache.part(cache.key("a")).write_bytes(bytes(5000))
    assert cache.shrink() == 5000
    assert cache.size_bytes() == 0


def test_a_download_is_whole_though_the_cache_is_emptied_meanwhile(server: ProtocolServer, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    network = Network(cache=Cache(tmp_path), policy=QUICK)
    assert network.cache is not None
    part = network.cache.part(Cache.key("p\n" + Call(f"{server.url}/file", expects="bytes").identity))

    def emptied(_: Received) -> Reply:
        part.unlink(missing_ok=True)
        return Reply(content, headers={"ETag": '"v1"'})

    server.route("/file", emptied)
    server.fault("/file", cut_after=100_000)
    assert network.client("p").fetch(Call(f"{server.url}/file", expects="bytes")).content == content
    network.close()


def test_threads_that_ask_the_same_fetch_it_once(server: ProtocolServer, client: Client) -> None:
    def slow(_: Received) -> Reply:
        time.sleep(0.2)
        return Reply({"ok": 1})

    server.route("/data", slow)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(client.get_json(f"{server.url}/data"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"ok": 1}] * 6
    assert len(server.asked()) == 1


def test_processes_that_ask_the_same_fetch_it_once(server: ProtocolServer, tmp_path: Path) -> None:
    def slow(request: Received) -> Reply:
        time.sleep(0.2)
        return Reply({"number": int(request.path[-1])})

    server.route("/data", slow)
    workers = [run(FETCH, tmp_path, server.url) for _ in range(2)]
    for worker in workers:
        _, told = worker.communicate(timeout=60)
        assert worker.returncode == 0, told
    assert sorted(request.path for request in server.asked()) == ["/data/0", "/data/1", "/data/2"]


def test_one_may_ask_for_another_while_it_holds_the_first(tmp_path: Path) -> None:
    """A file and the token for it: the lock may be the same one."""
    cache = Cache(tmp_path)
    key = cache.key("a")
    done = threading.Event()

    def nested() -> None:
        with cache.fetching(key), cache.fetching(key[:3] + "0" * 61):
            done.set()

    threading.Thread(target=nested, daemon=True).start()
    assert done.wait(5)


def test_a_kill_while_writing_leaves_whole_answers(tmp_path: Path) -> None:
    do = "for n in range(10**6): cache.keep(cache.key(str(n % 7)), bytes([n % 7]) * 3_000_000, {})"
    writer = run(PUT.format(before="", do=do), tmp_path)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    cache = Cache(tmp_path)
    while not answers(cache):
        time.sleep(0.01)
    time.sleep(0.1)
    writer.kill()
    writer.communicate()
    found = answers(cache)
    for number in range(7):
        kept = cache.find(cache.key(str(number)))
        assert kept is None or kept.content == bytes([number]) * 3_000_000
    assert answers(cache) == found  # none was dropped as damaged
    cache.keep(cache.key("after"), b"x", {})  # the dead process holds no lock
    cache.max_bytes = 0
    cache.shrink()
    assert not [path for path in tmp_path.glob("??/*") if path.is_file()]


@pytest.mark.parametrize("do", ['cache.keep(cache.key("a"), bytes(100_000), {})', "download"])
def test_a_full_disk_is_said_and_leaves_what_was(server: ProtocolServer, tmp_path: Path, do: str) -> None:
    """Files of this process may not pass 50 kB: writing fails as on a full disk."""
    cache = Cache(tmp_path)
    cache.keep(cache.key("a"), b"before", {})
    server.route("/file", lambda _: Reply(bytes(100_000), headers={"ETag": '"v1"'}))
    if do == "download":
        do = (
            "from agro.sources.net import Call, Network\n"
            f'    Network(cache=cache).client("p").fetch(Call("{server.url}/file", expects="bytes"))'
        )
    before = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    do = f"from agro.schema.errors import AgroError\ntry:\n    {do}\nexcept AgroError as error:\n    print(error)"
    writer = run(PUT.format(before=before, do=do), tmp_path)
    said, told = writer.communicate(timeout=60)
    assert writer.returncode == 0, told
    assert "the cache cannot be written" in said and "AGRO_CACHE" in said
    kept = cache.find(cache.key("a"))
    assert kept is not None and kept.content == b"before"
    assert [path for path in tmp_path.glob("??/*") if path.is_file()] == answers(cache)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(AgroError, match="cannot be made"):
        Cache(tmp_path / "cache")


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(AgroError, match="cannot be made"):
        Cache(tmp_path / "cache")


def test_short_runs_together_keep_within_the_bound(tmp_path: Path) -> None:
    for number in range(40):  # each a process of its own, and far below the bound
        Cache(tmp_path / "cache", max_bytes=20_000).keep(Cache.key(f"answer {number}"), bytes(1_000), {})
    assert Cache(tmp_path / "cache").size_bytes() <= 22_000
