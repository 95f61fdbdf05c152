"""What only the Redis hot tier can promise: times to live, compression, and what is worth an fsync."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.contract.benches import RedisBench, archive_all
from tests.support import Valkey, memory
from trinitas_tasks.model import Key, Record
from trinitas_tasks.tiers.hot import redis
from trinitas_tasks.tiers.hot.interface import Finished, Gone, Grave, HotTier, Write
from trinitas_tasks.tiers.hot.redis import RedisHotTier

KEY = Key("athena", "m1")


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
    names = {"rec", "outbox", "graves", "pending", "times", "gen", "clock", "written"}
    assert {key.split(":")[1] for key in lasting} == names
    assert {key.split(":")[1] for key in keys - lasting} == {"nudge", "dedup"}


def test_a_record_past_its_time_is_not_read_even_where_its_key_stands(
    bench: RedisBench, hot: HotTier, record: str
) -> None:
    hot.write([Write(memory())])
    archive_all(hot, seconds=100)
    bench.client.persist(record)
    bench.client.hset(record, "x", "1000")
    assert hot.read("athena", ["m1"], touch=True) == [None]
    assert (hot.standings([KEY]), hot.scan(0, 10_000)) == ([None], (0, []))


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
    bench: RedisBench, hot: HotTier, record: str, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    hot.write([Write(memory()), Write(memory(id="m2"))])
    bench.client.hset(record, "b", body)
    assert [each.item.id for each in hot.pending("athena", 10)] == ["m2"]
    assert {each.key.id: each.body for each in hot.claim(10, 30)} == {
        "m1": body.encode(),
        "m2": memory(id="m2").to_json(),
    }
    with caplog.at_level("WARNING"):
        found = hot.read("athena", ["m1", "m2"], touch=False)
    assert found[0] is None
    assert isinstance(found[1], Record)
    assert ["athena:m1: unreadable record" in each for each in caplog.messages] == [True]


@pytest.mark.parametrize(("field", "value"), [("v", "x"), ("a", "9" * 30)])
def test_a_record_with_a_changed_number_is_not_here(
    bench: RedisBench, hot: HotTier, record: str, field: str, value: str
) -> None:
    hot.write([Write(memory()), Write(memory(id="m2"))])
    bench.client.hset(record, field, value)
    assert [type(each) for each in hot.read("athena", ["m1", "m2"], touch=False)] == [type(None), Record]


REMAINS: dict[str, Callable[[HotTier], object]] = {
    "write": lambda hot: hot.write([Write(memory())]),
    "replayed write": lambda hot: hot.write([Write(memory(), version=7)]),
    "refill": lambda hot: hot.refill([(Record(memory(), 7), 100)]),
}


@pytest.mark.parametrize("again", REMAINS.values(), ids=REMAINS)
def test_the_remains_of_a_copy_harm_nothing(
    bench: RedisBench, hot: HotTier, record: str, again: Callable[[HotTier], object]
) -> None:
    """A hash of which a crash has left only the end of its time."""
    bench.client.hset(record, "x", str(2**52))
    assert hot.read("athena", ["m1"], touch=True) == [None]
    assert (hot.standings([KEY]), hot.noted(10).batch) == ([None], 0)
    assert hot.scan(0, 10_000) == (0, [])
    hot.requeue([(KEY, 0), (KEY, 7)])
    hot.give_back([(KEY, 0)], 0)
    hot.bury([Grave(KEY, 0)], superseded=[Grave(KEY, 0)])
    assert hot.finish([Finished(KEY, 0, 100)]) == [False]
    assert (hot.due(), hot.unarchived(KEY)) == (False, False)
    again(hot)
    found = hot.read("athena", ["m1"], touch=False)[0]
    assert isinstance(found, Record)
    assert found.item == memory()


def test_what_remains_of_a_copy_can_be_forgotten(bench: RedisBench, hot: HotTier, record: str) -> None:
    bench.client.hset(record, "x", "1")
    hot.forget([KEY])
    assert isinstance(hot.read("athena", ["m1"], touch=False)[0], Gone)
    assert [each.key for each in hot.claim_graves(10, 30)] == [KEY]


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
        hot.searched("athena", 1.5, 0, "text")
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


# The server.


def test_counts_come_with_what_makes_the_server_durable(hot: HotTier) -> None:
    details = hot.stats("athena").details
    assert (details["aof_enabled"], details["appendfsync"], details["role"]) == (1, "always", "master")
    assert details["maxmemory_policy"] == "volatile-lru"


def test_a_server_that_refuses_to_be_asked_for_its_settings_still_counts(
    bench: RedisBench, valkey: Valkey, namespace: str
) -> None:
    bench.client.acl_setuser("guest", enabled=True, nopass=True, keys=["*"], categories=["+@all"], commands=["-config"])
    guest = RedisHotTier(
        f"redis://guest:x@127.0.0.1:{valkey.port}/0", namespace=namespace, pool_size=1, timeout_seconds=5
    )
    details = guest.stats("athena").details
    assert "appendfsync" not in details
    assert details["role"] == "master"
    guest.close()
    bench.client.acl_deluser("guest")


def test_a_write_is_one_call_of_the_server(bench: RedisBench, hot: HotTier) -> None:
    def calls() -> int:
        return sum(
            stats["calls"]
            for name, stats in bench.client.info("commandstats").items()
            if name.startswith(("cmdstat_eval", "cmdstat_script", "cmdstat_time", "cmdstat_multi"))
            and name != "cmdstat_time"
        )

    hot.write([Write(memory())])
    before = calls()
    hot.write([Write(memory("replaced"), "said")], above=1)
    hot.write([Write(memory("replayed"), version=1)])
    assert calls() == before + 2
