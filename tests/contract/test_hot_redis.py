"""What only the Redis hot tier can promise: times to live, compression, and what is worth an fsync."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from tests.contract.benches import RedisBench, archive_all
from tests.support import Valkey, memory
from trinitas_tasks.errors import InvalidMemory
from trinitas_tasks.model import Key, Record
from trinitas_tasks.tiers.hot import redis
from trinitas_tasks.tiers.hot.interface import HotTier, Write

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
