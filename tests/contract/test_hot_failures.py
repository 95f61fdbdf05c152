"""What the Redis hot tier says and keeps when its server fails."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.benches import RedisBench
from tests.support import Valkey, free_port, key_of, memory
from trinitas_tasks.errors import DeadlineExceeded, SettingsError, Unavailable
from trinitas_tasks.model import Key, Record, utc_now
from trinitas_tasks.policy.grants import Grant
from trinitas_tasks.tiers.hot.interface import Finished, Gone, Grants, Grave, HotTier, Said, Signal, Write
from trinitas_tasks.tiers.hot.redis import RedisHotTier

KEY = Key("athena", "m1")
SIGNAL = Signal(KEY, "hera", Said.USEFUL, utc_now())
CALLS: dict[str, Callable[[HotTier], object]] = {
    "write": lambda hot: hot.write([Write(memory())]),
    "write many": lambda hot: hot.write([Write(memory()), Write(memory(id="m2"))]),
    "read": lambda hot: hot.read("athena", ["m1"], touch=True),
    "forget": lambda hot: hot.forget([KEY]),
    "forget many": lambda hot: hot.forget([KEY, KEY]),
    "give_back": lambda hot: hot.give_back([(KEY, 1)], 1),
    "requeue": lambda hot: hot.requeue([(KEY, 1)]),
    "standings": lambda hot: hot.standings([KEY]),
    "scan": lambda hot: hot.scan(0, 10),
    "advance": lambda hot: hot.advance(1),
    "note": lambda hot: hot.note("n", "text", 1),
    "notes": lambda hot: hot.notes(),
    "claim": lambda hot: hot.claim(1, 1),
    "claim_graves": lambda hot: hot.claim_graves(1, 1),
    "finish": lambda hot: hot.finish([Finished(KEY, 1, 1)]),
    "bury": lambda hot: hot.bury([Grave(KEY, 1)]),
    "due": lambda hot: hot.due(),
    "refill": lambda hot: hot.refill([(Record(memory(), 1), 1)]),
    "pending": lambda hot: hot.pending("athena", 1),
    "unarchived": lambda hot: hot.unarchived(KEY),
    "probe": lambda hot: hot.probe("athena", "q"),
    "cache_answer": lambda hot: hot.cache_answer("athena", 0, "q", b"", 1),
    "cached_vector": lambda hot: hot.cached_vector("v"),
    "cache_vector": lambda hot: hot.cache_vector("v", b"", 1),
    "changed": lambda hot: hot.changed(["athena"]),
    "say": lambda hot: hot.say([SIGNAL]),
    "noted": lambda hot: hot.noted(1),
    "settled": lambda hot: hot.settled(1),
    "lease": lambda hot: hot.lease("l", 1),
    "release": lambda hot: hot.release("l", "token"),
    "leaving": lambda hot: hot.leaving(1, 1),
    "prove": lambda hot: hot.prove([(KEY, 1)]),
    "replace": lambda hot: hot.replace(memory(), 1),
    "copies": lambda hot: hot.copies(),
    "reads": lambda hot: hot.reads(),
    "searched": lambda hot: hot.searched("athena", 1.5, 0, "text"),
    "searches": lambda hot: hot.searches(),
    "stats": lambda hot: hot.stats("athena"),
    "share": lambda hot: hot.share(KEY, ["hera"]),
    "unshare": lambda hot: hot.unshare(KEY),
    "read_scoped": lambda hot: hot.read_scoped("hera", [KEY], touch=True),
    "granted": lambda hot: hot.granted("hera", 1),
    "lenders": lambda hot: hot.lenders("hera", "m1"),
    "grants": lambda hot: hot.grants([KEY]),
    "claim_grants": lambda hot: hot.claim_grants(1, 1),
    "finish_grants": lambda hot: hot.finish_grants([Grants(KEY, (), queued=True)]),
    "restore_grants": lambda hot: hot.restore_grants([Grant(KEY, "hera", 1, revoked=False)]),
    "requeue_grants": lambda hot: hot.requeue_grants([KEY]),
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
def private(tmp_path: Path) -> Iterator[Valkey]:
    """A server that a test may fill and kill."""
    server = Valkey(tmp_path, ("--maxmemory", "16mb"))
    server.start()
    yield server
    server.stop()


def tier_at(url: str, *, timeout_seconds: float = 5.0) -> RedisHotTier:
    return RedisHotTier(url, namespace="n", pool_size=5, timeout_seconds=timeout_seconds)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_call_survives_a_server_that_forgot_the_scripts(
    bench: RedisBench, hot: HotTier, call: Callable[[HotTier], object]
) -> None:
    bench.client.script_flush()
    call(hot)
    bench.client.script_flush()
    call(hot)


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
    version = put_right(hot)
    while claimed := hot.claim(100, 30):
        assert all(hot.finish([Finished(each.key, each.version, 1000) for each in claimed]))
    hot.bury(hot.claim_graves(10, 30))
    # copies may be evicted now, so there is room again
    assert hot.write([refused]).version > version
    hot.close()


def put_right(hot: HotTier) -> int:
    """What a full server must let workers do, to get room again; the version that was reached."""
    claimed = []
    while more := hot.claim(100, 1000):
        claimed += more
    first = claimed[0]
    hot.requeue([(first.key, first.version)])
    assert hot.claim(100, 1000) == [first]
    assert [each and each.queued for each in hot.standings([first.key, Key("athena", "1")])] == [True, True]
    hot.give_back([(each.key, each.version) for each in claimed], 0)
    assert hot.due()
    hot.advance(first.version + 10**12)
    hot.note("ingest", "out of memory", 100)
    assert hot.notes() == {"ingest": "out of memory"}
    cursor, found = hot.scan(0, 100_000)
    assert cursor == 0
    assert len(found) == hot.stats("athena").outbox + hot.stats("athena").graves
    return first.version + 10**12


def crashed(server: Valkey) -> None:
    server.kill()
    server.start()


def test_what_is_to_be_archived_again_survives_a_killed_server(private: Valkey) -> None:
    hot = tier_at(private.url)
    hot.refill([(Record(memory("a copy, of which the append-only file has nothing"), 7), 100)])
    before = hot.read("athena", ["m1"], touch=True)
    hot.requeue([(KEY, 7)])
    version = hot.forget([Key("athena", "other")]).version
    hot.bury(hot.claim_graves(1, 1000))
    hot.requeue([(Key("athena", "other"), version)])
    hot.advance(version + 10**12)
    crashed(private)
    assert hot.read("athena", ["m1"], touch=False) == before != [None]
    assert [(each.key, each.version) for each in hot.claim(10, 30)] == [(KEY, 7)]
    assert [each.version for each in hot.claim_graves(10, 30)] == [version]
    assert hot.write([Write(memory(id="new"))]).version > version + 10**12
    hot.close()


def test_finishing_a_refilled_copy_leaves_nothing_behind_after_a_crash(private: Valkey) -> None:
    hot = tier_at(private.url)
    hot.write([Write(memory())])
    late = hot.claim(1, 0)[0]
    hot.finish([Finished(KEY, late.version, 1)])
    with private.client() as raw:
        raw.delete("n:rec:athena:m1")
        hot.refill([(Record(memory(), late.version), 1000)])
        assert hot.finish([Finished(KEY, late.version, 1000)]) == [True]
        crashed(private)
        assert raw.exists("n:rec:athena:m1") == 0
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
