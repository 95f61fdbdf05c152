"""What only the Redis hot tier can promise: durability, times to live, and what it says when the server fails."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.benches import RedisBench
from tests.support import Valkey, free_port, key_of, memory
from trinitas_tasks.errors import DeadlineExceeded, InvalidMemory, SettingsError, Unavailable
from trinitas_tasks.model import Key, Record
from trinitas_tasks.tiers.hot import redis
from trinitas_tasks.tiers.hot.interface import Finished, Gone, HotTier, Write
from trinitas_tasks.tiers.hot.redis import RedisHotTier

KEY = Key("athena", "m1")
CALLS: dict[str, Callable[[HotTier], object]] = {
    "write": lambda hot: hot.write([Write(memory())]),
    "write many": lambda hot: hot.write([Write(memory()), Write(memory(id="m2"))]),
    "read": lambda hot: hot.read("athena", ["m1"], touch=True),
    "forget": lambda hot: hot.forget([KEY]),
    "forget many": lambda hot: hot.forget([KEY, KEY]),
    "claim": lambda hot: hot.claim(1, 1),
    "claim_graves": lambda hot: hot.claim_graves(1, 1),
    "finish": lambda hot: hot.finish([Finished(KEY, 1, 1)]),
    "bury": lambda hot: hot.bury(hot.claim_graves(1, 1)),
    "due": lambda hot: hot.due(),
    "refill": lambda hot: hot.refill([(Record(memory(), 1), 1)]),
    "pending": lambda hot: hot.pending("athena", 1),
    "unarchived": lambda hot: hot.unarchived(KEY),
    "probe": lambda hot: hot.probe("athena", "q"),
    "cache_answer": lambda hot: hot.cache_answer("athena", 0, "q", b"", 1),
    "cached_vector": lambda hot: hot.cached_vector("v"),
    "cache_vector": lambda hot: hot.cache_vector("v", b"", 1),
    "changed": lambda hot: hot.changed(["athena"]),
    "take_accesses": lambda hot: hot.take_accesses(1),
    "stats": lambda hot: hot.stats("athena"),
    "ping": lambda hot: hot.ping(),
}


@pytest.fixture
def bench(valkey: Valkey, namespace: str) -> Iterator[RedisBench]:
    made = RedisBench(valkey, namespace)
    yield made
    made.close()


@pytest.fixture
def hot(bench: RedisBench) -> HotTier:
    return bench.tier()


@pytest.fixture
def record(namespace: str) -> str:
    """The key under which the tests' memory is kept."""
    return f"{namespace}:rec:athena:m1"


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Valkey]:
    """A server that a test may fill and kill."""
    server = Valkey(tmp_path, ("--maxmemory", "16mb"))
    server.start()
    yield server
    server.stop()


def tier_at(url: str, *, timeout_seconds: float = 5.0) -> RedisHotTier:
    return RedisHotTier(url, namespace="n", pool_size=5, timeout_seconds=timeout_seconds)


def archive_all(hot: HotTier, seconds: int) -> None:
    assert all(hot.finish([Finished(each.key, each.version, seconds) for each in hot.claim(1000, 30)]))


# Times to live.


def test_only_a_finished_memory_has_a_time_to_live(bench: RedisBench, hot: HotTier, record: str) -> None:
    hot.write([Write(memory())])
    hot.read("athena", ["m1"], touch=True)
    hot.claim(10, 0)
    assert bench.client.pttl(record) == -1
    archive_all(hot, seconds=100)
    assert 0 < bench.client.pttl(record) <= 100_000
    hot.write([Write(memory("replaced"))])
    assert bench.client.pttl(record) == -1


def test_the_outbox_and_pending_never_expire(bench: RedisBench, hot: HotTier, namespace: str) -> None:
    hot.write([Write(memory(), "said")])
    hot.forget([Key("athena", "other")])
    keys = set(bench.client.scan_iter(f"{namespace}:*"))
    lasting = {key for key in keys if bench.client.pttl(key) == -1}
    assert {key.split(":")[1] for key in lasting} == {"rec", "outbox", "graves", "pending", "gen"}
    assert {key.split(":")[1] for key in keys - lasting} == {"nudge", "dedup"}


def test_a_record_past_its_time_is_not_read_even_where_its_key_stands(
    bench: RedisBench, hot: HotTier, record: str
) -> None:
    hot.write([Write(memory())])
    archive_all(hot, seconds=100)
    bench.client.persist(record)
    bench.client.hset(record, "x", "1000")
    assert hot.read("athena", ["m1"], touch=True) == [None]


def test_a_buried_mark_is_not_kept_for_ever(bench: RedisBench, hot: HotTier, record: str) -> None:
    hot.forget([KEY])
    assert bench.client.pttl(record) == -1
    hot.bury(hot.claim_graves(1, 30))
    assert bench.client.pttl(record) > 0


# Records.


def test_large_content_is_kept_compressed(bench: RedisBench, hot: HotTier, record: str) -> None:
    item = memory("漢字🦊 " * 20_000)
    hot.write([Write(item)])
    assert bench.client.hstrlen(record, "b") < len(item.to_json()) / 20
    assert hot.claim(1, 0)[0].body == item.to_json()


@pytest.mark.parametrize("body", ["", "no record", '{"id":"m1"}', "{"])
def test_an_unreadable_record_spoils_nothing_but_itself(
    bench: RedisBench, hot: HotTier, record: str, body: str
) -> None:
    hot.write([Write(memory()), Write(memory(id="m2"))])
    bench.client.hset(record, "b", body)
    assert [each.item.id for each in hot.pending("athena", 10)] == ["m2"]
    assert {each.key.id: each.body for each in hot.claim(10, 30)} == {
        "m1": body.encode(),
        "m2": memory(id="m2").to_json(),
    }
    with pytest.raises(InvalidMemory, match="unreadable record"):
        hot.read("athena", ["m1"], touch=False)


def test_a_record_deleted_by_hand_leaves_the_outbox(bench: RedisBench, hot: HotTier, record: str) -> None:
    hot.write([Write(memory())])
    bench.client.delete(record)
    assert hot.claim(10, 30) == []
    assert hot.stats("athena").outbox == 0
    assert hot.pending("athena", 10) == []


def test_a_batch_of_large_memories_ends_early(hot: HotTier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "CLAIM_BYTES", 5000)
    for number in range(3):
        hot.write([Write(memory(os.urandom(3000).hex(), id=str(number)))])
    first, rest = hot.claim(10, 30), hot.claim(10, 30)
    assert (len(first), len(rest)) == (2, 1)


# Scripts.


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_call_survives_a_server_that_forgot_the_scripts(
    bench: RedisBench, hot: HotTier, call: Callable[[HotTier], object]
) -> None:
    bench.client.script_flush()
    call(hot)
    bench.client.script_flush()
    call(hot)


def test_reading_writes_nothing_to_the_append_only_file(bench: RedisBench, hot: HotTier) -> None:
    hot.write([Write(memory(), "said")])
    archive_all(hot, seconds=100)

    def size() -> int:
        return int(bench.client.info("persistence")["aof_current_size"])

    before = size()
    for _ in range(20):
        hot.read("athena", ["m1", "nobody"], touch=True)
        hot.read("athena", ["m1"], touch=False)
        hot.refill([(Record(memory(id="copy"), 1), 100)])
        hot.cache_answer("athena", hot.probe("athena", "q").generation, "q", b"answer", 100)
        hot.cache_vector("v", b"vector", 100)
        hot.take_accesses(10)
    assert size() == before
    hot.write([Write(memory("changed"))])
    assert size() > before


def test_more_threads_than_connections_only_wait(hot: HotTier) -> None:
    failures: list[BaseException] = []

    def write(thread: int) -> None:
        try:
            for number in range(20):
                hot.write([Write(memory(number, id=f"{thread}-{number}"))])
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failures
    assert hot.stats("athena").pending == 16 * 20


# Failures.


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_nothing_listening_is_unavailable(call: Callable[[HotTier], object]) -> None:
    hot = tier_at(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(Unavailable, match="is it running"):
        call(hot)
    hot.close()


def test_a_refused_password_says_what_to_check_and_shows_no_password(valkey: Valkey) -> None:
    hot = tier_at(f"redis://:guessed@127.0.0.1:{valkey.port}/0")
    with pytest.raises(Unavailable, match="REDIS_PASSWORD") as caught:
        hot.ping()
    assert "guessed" not in str(caught.value)
    hot.close()


def test_a_server_that_never_answers_is_given_up(namespace: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        hot = RedisHotTier(
            f"redis://127.0.0.1:{silent.getsockname()[1]}/0", namespace=namespace, pool_size=5, timeout_seconds=0.05
        )
        with pytest.raises(DeadlineExceeded):
            hot.write([Write(memory())])
        hot.close()


@pytest.mark.parametrize(
    "url", ["http://:hidden@h", "redis://:hidden@h:port", "redis://:hid#den@h:6379", "redis://h/0?password=hidden&db=x"]
)
def test_a_url_that_is_none_is_a_setting_to_correct(url: str) -> None:
    with pytest.raises(SettingsError, match="REDIS_URL") as caught:
        tier_at(url)
    assert "hid" not in str(caught.value)


def fill(hot: HotTier) -> int:
    for number in range(10_000):
        try:
            hot.write([Write(memory(os.urandom(40000).hex(), id=str(number)), str(number))])
        except Unavailable as error:
            assert "out of memory" in str(error)  # noqa: PT017 - raises() cannot count
            return number
    raise AssertionError("the server took more than it has")


def test_a_full_server_refuses_writes_but_reads_archives_and_forgets(private: Valkey) -> None:
    hot = tier_at(private.url)
    written = fill(hot)
    assert written > 10
    assert hot.stats("athena").outbox == written
    refused = Write(memory(os.urandom(40000).hex(), id=str(written)), str(written))
    with pytest.raises(Unavailable):
        hot.write([refused])
    with pytest.raises(Unavailable):
        hot.write([Write(memory("replaced", id="0"))])
    assert hot.read("athena", ["0", str(written)], touch=True)[1] is None
    hot.refill([(Record(memory(os.urandom(40_000).hex(), id="copy"), 1), 100)])
    hot.cache_vector("v", b"vector", 100)
    assert (hot.read("athena", ["copy"], touch=True), hot.cached_vector("v")) == ([None], None)
    hot.forget([Key("athena", "1")])
    assert isinstance(hot.read("athena", ["1"], touch=True)[0], Gone)
    while claimed := hot.claim(100, 30):
        assert all(hot.finish([Finished(each.key, each.version, 1000) for each in claimed]))
    hot.bury(hot.claim_graves(10, 30))
    # copies may be evicted now, so there is room again
    assert hot.write([refused]).fresh == 1
    hot.close()


def test_every_acknowledged_change_survives_a_killed_server(private: Valkey) -> None:
    hot = tier_at(private.url)
    items = [memory(number, id=str(number)) for number in range(60)]
    hot.write([Write(each) for each in items])
    archived = hot.claim(20, 30)
    hot.finish([Finished(each.key, each.version, 1000) for each in archived])
    forgotten = [key_of(each) for each in items if key_of(each) not in {done.key for done in archived}][:10]
    hot.forget(forgotten)
    hot.read("athena", [each.id for each in items], touch=True)
    private.kill()
    with pytest.raises(Unavailable):
        hot.ping()
    private.start()
    for item in items:
        found = hot.read("athena", [item.id], touch=False)[0]
        gone = isinstance(found, Gone)
        assert gone == (key_of(item) in forgotten)
        assert gone or (isinstance(found, Record) and found.item == item)
    assert len(hot.claim(100, 30)) == 30
    assert {each.key for each in hot.claim_graves(100, 30)} == set(forgotten)
    hot.close()
