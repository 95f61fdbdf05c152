"""What the copies really take in Redis, and what a restart leaves of them and of what was noted."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.contract.benches import archive_all
from tests.support import Valkey, key_of, memory, wait_until
from trinitas_tasks.errors import DeadlineExceeded
from trinitas_tasks.model import Key, MemoryItem, Record, utc_now
from trinitas_tasks.tiers.hot.interface import Finished, HotTier, Noted, Said, Signal, Write
from trinitas_tasks.tiers.hot.redis import RedisHotTier
from trinitas_tasks.tiers.hot.rows import OVERHEAD_BYTES, copy_bytes

KEY = Key("athena", "m1")
USEFUL = Signal(KEY, "hera", Said.USEFUL, utc_now())


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Valkey]:
    """A server whose memory is all the test's, and which it may kill."""
    server = Valkey(tmp_path)
    server.start()
    yield server
    server.stop()


def tier_at(server: Valkey, *, cache_mb: float = 100, timeout_seconds: float = 5.0) -> RedisHotTier:
    return RedisHotTier(server.url, namespace="n", pool_size=5, timeout_seconds=timeout_seconds, cache_mb=cache_mb)


def crashed(server: Valkey) -> None:
    server.kill()
    server.start()


def used_memory(raw: Redis) -> int:
    return int(raw.info("memory")["used_memory"])


def items(count: int, chance: random.Random) -> list[MemoryItem]:
    """With bodies that cannot be compressed."""
    sizes = chance.choices((50, 300, 1500, 6000), k=count)
    return [memory(chance.randbytes(size).hex(), id=f"{number:036}") for number, size in enumerate(sizes)]


def counted(raw: Redis) -> tuple[int, int]:
    """How many copies stand, and what they should take, from a look at each."""
    members = [key.removeprefix("n:rec:") for key in raw.scan_iter("n:rec:*") if raw.hexists(key, "x")]
    return len(members), sum(copy_bytes(each, b"") + int(raw.hstrlen(f"n:rec:{each}", "b")) for each in members)


def agree(hot: HotTier, raw: Redis) -> bool:
    copies = hot.copies()
    assert copies.bytes <= copies.limit
    return (copies.count, copies.bytes) == counted(raw)


def test_a_copy_takes_what_is_counted(private: Valkey) -> None:
    hot = tier_at(private)
    hot.copies()
    with private.client() as raw:
        before = used_memory(raw)
        hot.refill([(Record(memory("x" * 100, id=f"{number:036}"), 10**15), 1000) for number in range(3000)])
        taken, copies = used_memory(raw) - before, hot.copies()
    assert copies.count == 3000
    assert taken <= copies.bytes <= taken + 3000 * OVERHEAD_BYTES / 4
    hot.close()


def test_the_copies_never_take_more_than_they_are_given(private: Valkey) -> None:
    chance = random.Random(5)
    hot = tier_at(private, cache_mb=0.5)
    with private.client() as raw:
        for each in items(400, chance):
            if chance.random() < 0.5:
                hot.write([Write(each)])
                archive_all(hot, chance.choice((1, 1000)))
            else:
                hot.refill([(Record(each.model_copy(update={"access_count": chance.randrange(9)}), 7), 1000)])
            hot.read("athena", [each.id], touch=chance.random() < 0.3)
            assert hot.copies().bytes <= hot.copies().limit
        assert hot.copies().evicted > 100
        wait_until(lambda: not _expired(raw))
        assert agree(hot, raw)
        really = sum(raw.memory_usage(key, samples=0) or 0 for key in raw.scan_iter("n:*"))
        assert 0.8 * hot.copies().bytes < really < 1.1 * hot.copies().bytes
    hot.close()


def _expired(raw: Redis) -> list[Key]:
    """Whose keys the server has not yet taken away."""
    seconds, micros = raw.time()
    now_ms = seconds * 1000 + micros // 1000
    records = [key for key in raw.scan_iter("n:rec:*") if int(raw.hget(key, "x") or 0) <= now_ms]
    return [Key(*key.removeprefix("n:rec:").split(":", 1)) for key in records if raw.hexists(key, "x")]


def test_a_restart_leaves_books_of_what_is_left(private: Valkey) -> None:
    hot = tier_at(private)
    written = items(20, random.Random(5))
    hot.write([Write(each) for each in written])
    archive_all(hot)
    hot.refill([(Record(memory(id="refilled"), 7), 100)])
    hot.read("athena", ["refilled"], touch=True)
    assert hot.copies().count == 21
    crashed(private)
    with private.client() as raw:
        assert agree(hot, raw)
        assert (hot.copies().count, hot.reads()) == (20, [])
        raw.bgrewriteaof()
        hot.forget([key_of(written[0])])
        crashed(private)
        assert agree(hot, raw)
        assert hot.copies().count == 19
    assert len(hot.leaving(1000, 100)) == 19
    hot.close()


def test_what_was_evicted_does_not_come_back(private: Valkey) -> None:
    hot = tier_at(private, cache_mb=0.01)
    hot.write([Write(memory())])
    archive_all(hot)
    hot.refill([(Record(memory(id=f"m{number}", access_count=9), 7), 100) for number in range(2, 30)])
    assert hot.read("athena", ["m1"], touch=False) == [None]
    crashed(private)
    assert hot.read("athena", ["m1"], touch=False) == [None]
    hot.close()


def test_nothing_finds_room_before_the_books_are_whole(private: Valkey) -> None:
    hot = tier_at(private)
    with private.client() as raw, raw.pipeline() as pipe:
        for number in range(12_000):
            pipe.hset(f"n:rec:athena:{number}", mapping={"b": "{}", "v": 1, "x": 2**52})
        pipe.execute()
        hot.refill([(Record(memory(), 7), 100)])
        assert hot.read("athena", ["m1"], touch=False) == [None]
        while raw.hexists("n:copies", "cursor"):
            hot.copies()
        assert agree(hot, raw)
    hot.refill([(Record(memory(), 7), 100)])
    assert hot.read("athena", ["m1"], touch=False) != [None]
    hot.close()


def test_less_room_than_before_is_made(private: Valkey) -> None:
    hot = tier_at(private)
    hot.refill([(Record(each, 7), 100) for each in items(50, random.Random(5))])
    smaller = tier_at(private, cache_mb=0.02)
    assert 0 < smaller.copies().bytes <= smaller.copies().limit
    with private.client() as raw:
        assert agree(smaller, raw)
    for tier in (hot, smaller):
        tier.close()


@pytest.mark.parametrize("noted", [False, True])
def test_a_killed_server_loses_no_signal(private: Valkey, *, noted: bool) -> None:
    hot = tier_at(private)
    hot.write([Write(memory())])
    hot.read("athena", ["m1"], touch=True)
    hot.say([USEFUL])
    before = hot.noted(10) if noted else Noted(0)
    crashed(private)
    after = hot.noted(10)
    assert after.signals == (USEFUL,)
    assert not noted or after == before
    hot.settled(after.batch)
    crashed(private)
    assert hot.noted(10).signals == ()
    hot.close()


def test_what_was_counted_is_counted_once_whatever_the_server_remembers(private: Valkey) -> None:
    hot = tier_at(private)
    hot.write([Write(memory())])
    hot.read("athena", ["m1"], touch=True)
    with private.client() as raw:  # what was read is in the rewritten file
        raw.bgrewriteaof()
        wait_until(lambda: not raw.info("persistence")["aof_rewrite_in_progress"])
    hot.settled(hot.noted(10).batch)
    crashed(private)
    assert hot.noted(10) == Noted(0)
    hot.close()


def test_what_was_said_and_given_up_does_not_come_later(private: Valkey) -> None:
    assert private.process is not None
    hasty, patient = tier_at(private, timeout_seconds=0.1), tier_at(private)
    hasty.say([USEFUL])
    os.kill(private.process.pid, signal.SIGSTOP)
    with pytest.raises(DeadlineExceeded):
        hasty.say([USEFUL])
    until = hasty.fence
    os.kill(private.process.pid, signal.SIGCONT)
    patient.advance(until)
    assert len(patient.noted(10).signals) in (1, 2)
    for tier in (hasty, patient):
        tier.close()


def test_a_copy_that_is_replaced_or_finished_again_leaves_no_trace(private: Valkey) -> None:
    hot = tier_at(private)
    hot.write([Write(memory())])
    archive_all(hot)
    hot.write([Write(memory("replaced"))])
    claimed = hot.claim(10, 0)
    hot.finish([Finished(each.key, each.version, 0) for each in claimed])
    with private.client() as raw:
        left = {key.split(":")[1] for key in raw.scan_iter("n:*")}
        assert (raw.hget("n:copies", "bytes"), raw.zcard("n:ends"), raw.zcard("n:worth")) == ("0", 0, 0)
    assert left <= {"clock", "gen", "nudge", "copies", "written"}
    hot.close()


def test_who_only_counts_evicts_nothing_whatever_room_they_would_give(private: Valkey) -> None:
    tier, looking = tier_at(private), tier_at(private, cache_mb=0.0005)
    tier.write([Write(memory("x" * 5000))])
    archive_all(tier, seconds=100)
    assert looking.counts().copies == 1
    assert tier.copies().count == 1
    assert looking.copies().count == 0  # which is why
    tier.close()
    looking.close()
