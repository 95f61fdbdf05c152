"""What every spool keeps, in which order and under which versions."""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import key_of, memory, wait_until
from trinitas_tasks.errors import Overloaded, Unavailable
from trinitas_tasks.model import Key
from trinitas_tasks.tiers.spool.interface import Entry, Spool
from trinitas_tasks.tiers.spool.memory import MemorySpool
from trinitas_tasks.tiers.spool.sqlite import SqliteSpool

HERE = "trinitas@embedded"


def at(path: Path, *, target: str = HERE, limit_mb: int = 16, patience_seconds: float = 0.3) -> SqliteSpool:
    return SqliteSpool(path, target=target, limit_mb=limit_mb, patience_seconds=patience_seconds)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a b%20#?" / "spool.db"


@pytest.fixture(params=["memory", "sqlite"])
def spool(request: pytest.FixtureRequest, file: Path) -> Iterator[Spool]:
    made: Spool = MemorySpool() if request.param == "memory" else at(file)
    yield made
    made.close()


def test_what_was_restored_waits_with_the_versions_that_it_has(spool: Spool) -> None:
    item = memory("note 🦊", id="m1")
    entries = [Entry(0, key_of(item), 7, item), Entry(0, Key("athena", "m2"), 5, None)]
    spool.keep(entries)
    taken = spool.take(10)
    assert [each._replace(number=0) for each in taken] == entries
    assert spool.take(10, after=taken[0].number) == taken[1:]
    assert spool.take(10, after=taken[1].number) == []
    assert (spool.waiting(), spool.empty()) == (2, False)
    spool.done(taken)
    assert spool.empty()


def test_what_is_written_waits_in_order_until_it_is_done(spool: Spool) -> None:
    assert spool.empty()
    items = [memory(f"note {number} 🦊", id=f"m{number}") for number in range(5)]
    ids, version = spool.write([(item, None) for item in items], above=0)
    assert ids == [item.id for item in items]
    assert not spool.empty()
    entries = spool.take(3)
    assert [entry.item for entry in entries] == items[:3]
    assert spool.waiting() == 5
    spool.done(entries)
    spool.done(entries)
    left = spool.take(100)
    assert [entry.item for entry in left] == items[3:]
    assert left[-1].version == version
    spool.done(left)
    assert spool.empty()
    assert spool.take(1) == []


def test_versions_rise_and_are_above_what_the_caller_has_seen(spool: Spool) -> None:
    future = int(time.time() * 1e6) + 10**12
    _, first = spool.write([(memory(id="a"), None)], above=0)
    _, second = spool.write([(memory(id="b"), None)], above=future)
    third = spool.forget([Key("athena", "a")], above=0)
    _, fourth = spool.write([(memory(id="c"), None)], above=5)
    assert time.time() * 1e6 - 10e6 < first < future < second < third < fourth
    versions = [entry.version for entry in spool.take(10)]
    assert versions == sorted(set(versions))


def test_the_latest_entry_of_a_memory_is_told(spool: Spool) -> None:
    old, new = memory("old", id="m"), memory("new", id="m")
    spool.write([(old, None)], above=0)
    spool.write([(new, None)], above=0)
    entry = spool.latest("athena", ["m", "x"])[0]
    assert entry is not None
    assert entry.item == new
    assert spool.latest("athena", ["m", "x"])[1] is None
    assert spool.latest("artemis", ["m"]) == [None]
    assert [each.item for each in spool.pending("athena", 10)] == [new]
    spool.forget([key_of(new)], above=0)
    forgotten = spool.latest("athena", ["m"])[0]
    assert forgotten is not None
    assert forgotten.item is None
    assert spool.pending("athena", 10) == []


def test_what_was_forgotten_stays_known_after_its_replay(spool: Spool) -> None:
    spool.forget([Key("athena", "m")], above=0)
    spool.done(spool.take(10))
    assert spool.empty()
    mark = spool.latest("athena", ["m"])[0]
    assert mark is not None
    assert mark.item is None


def test_what_was_replayed_is_known_for_a_while_to_clients_that_have_not_reached_redis_again(spool: Spool) -> None:
    item = memory("said while Redis was away", id="m")
    spool.write([(item, None)], above=0)
    spool.done(spool.take(10))
    assert spool.empty()
    assert spool.pending("athena", 10) == []
    mark = spool.latest("athena", ["m"])[0]
    assert mark is not None
    assert (mark.item, mark.waits) == (item, False)
    spool.mark([key_of(item)], mark.version + 1)
    forgotten = spool.latest("athena", ["m"])[0]
    assert forgotten is not None
    assert forgotten.item is None


def test_what_was_replayed_goes_after_a_while(file: Path) -> None:
    spool = SqliteSpool(file, target=HERE, limit_mb=16, replayed_seconds=0.0)
    spool.write([(memory("secret", id="m"), None)], above=0)
    spool.done(spool.take(10))
    spool.write([(memory("another", id="n"), None)], above=0)
    assert spool.latest("athena", ["m"]) == [None]
    spool.close()


def test_a_mark_waits_for_nothing(spool: Spool) -> None:
    spool.mark([Key("athena", "m")], 17)
    assert spool.empty()
    assert spool.waiting() == 0
    mark = spool.latest("athena", ["m"])[0]
    assert mark is not None
    assert (mark.version, mark.item) == (17, None)


def test_the_same_call_again_is_kept_once(spool: Spool) -> None:
    item = memory(id="m")
    assert spool.write([(item, None)], above=0)[0] == spool.write([(item, None)], above=0)[0] == ["m"]
    assert spool.write([(memory("said", id="1"), "said")], above=0)[0] == ["1"]
    assert spool.write([(memory("said", id="2"), "said")], above=0)[0] == ["1"]
    assert spool.write([(memory("said", id="3", persona="artemis"), "said")], above=0)[0] == ["3"]
    assert spool.waiting() == 3


def test_what_was_forgotten_since_is_no_answer_to_the_same_call_again(spool: Spool) -> None:
    spool.write([(memory("said", id="1"), "said")], above=0)
    spool.forget([Key("athena", "1")], above=0)
    assert spool.write([(memory("said", id="2"), "said")], above=0)[0] == ["2"]
    assert spool.write([(memory("said", id="3"), "said")], above=0)[0] == ["2"]
    spool.mark([Key("athena", "2")], spool.take(10)[-1].version + 1)
    assert spool.write([(memory("said", id="4"), "said")], above=0)[0] == ["4"]
    assert [entry.key.id for entry in spool.take(10)] == ["1", "1", "2", "4"]


def test_what_says_something_else_by_now_is_no_answer_to_the_same_call_again(spool: Spool) -> None:
    spool.write([(memory("said", id="1"), "said")], above=0)
    spool.write([(memory("something else", id="1"), None)], above=0)
    assert spool.write([(memory("said", id="2"), "said")], above=0)[0] == ["2"]


def test_deployments_do_not_see_each_other(file: Path) -> None:
    here, there = at(file), at(file, target="trinitas@other:6379")
    here.write([(memory(id="m"), "said")], above=0)
    assert there.empty()
    assert there.take(10) == []
    assert there.latest("athena", ["m"]) == [None]
    assert there.write([(memory(id="n"), "said")], above=0)[0] == ["n"]
    assert [entry.key.id for entry in here.take(10)] == ["m"]
    here.close()
    there.close()


def test_a_full_spool_refuses_and_keeps_what_it_has(file: Path) -> None:
    spool = at(file, limit_mb=1)
    numbers = itertools.count()

    def fill() -> None:
        while True:
            spool.write([(memory(os.urandom(40_000).hex(), id=f"m{next(numbers)}"), None)], above=0)

    with pytest.raises(Overloaded, match="TRINITAS_SPOOL_LIMIT_MB"):
        fill()
    assert spool.waiting() == next(numbers) - 1 > 5
    spool.forget([Key("athena", "m0")], above=0)  # takes no room worth speaking of
    spool.done(spool.take(100))
    spool.write([(memory(id="again"), None)], above=0)
    spool.close()


def test_nothing_is_made_before_the_first_entry_and_then_for_its_owner_only(file: Path) -> None:
    spool = at(file)
    assert spool.empty()
    assert spool.latest("athena", ["m"]) == [None]
    assert not file.parent.exists()
    spool.write([(memory(), None)], above=0)
    assert file.stat().st_mode & 0o777 == 0o600
    spool.close()


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spool = at(tmp_path / "file" / "spool.db")
    with pytest.raises(Unavailable, match=r"spool.db failed to keep memories: .*; check its disk"):
        spool.write([(memory(), None)], above=0)


def test_a_damaged_file_is_a_clear_error_and_another_one_works_at_once(file: Path) -> None:
    spool = at(file)
    spool.write([(memory(), None)], above=0)
    spool.close()
    file.write_bytes(b"not a database at all, but long enough" * 200)
    with pytest.raises(Unavailable, match="not a database"):
        spool.write([(memory(), None)], above=0)
    file.unlink()
    spool.write([(memory(), None)], above=0)
    assert spool.waiting() == 1
    spool.close()


def test_an_entry_that_cannot_be_read_holds_up_nobody(file: Path) -> None:
    spool = at(file)
    spool.write([(memory(id=f"m{number}"), None) for number in range(3)], above=0)
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE entries SET body = x'00ff' WHERE id = 'm1'")
    raw.close()
    assert [entry.key.id for entry in spool.take(10)] == ["m0", "m2"]
    assert spool.unreadable() == 1
    assert spool.waiting() == 2
    spool.close()


WRITER = """
import sys
from pathlib import Path
from tests.contract.test_spool import at
from tests.support import memory
spool = at(Path(sys.argv[1]), patience_seconds=30)
for number in range(int(sys.argv[3])):
    ids, _ = spool.write([(memory(f"{sys.argv[2]} {number}", id=f"{sys.argv[2]}-{number}"), None)], above=0)
    print(ids[0], flush=True)
"""


def writer(file: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(file), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_processes_write_at_once(file: Path) -> None:
    writers = [writer(file, name, 60) for name in ("a", "b", "c")]
    acknowledged = {line.strip() for process in writers for line in process.communicate(timeout=60)[0].splitlines()}
    spool = at(file)
    entries = spool.take(1000)
    assert {entry.key.id for entry in entries} == acknowledged
    assert len(acknowledged) == 180
    assert len({entry.version for entry in entries}) == 180
    spool.close()


def test_a_killed_writer_loses_nothing_that_it_acknowledged(file: Path) -> None:
    process = writer(file, "a", 100_000)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(50)]
    process.kill()
    acknowledged += process.communicate()[0].split()
    spool = at(file)
    kept = {entry.key.id for entry in spool.take(200_000)}
    assert set(acknowledged) <= kept
    assert len(kept) <= len(acknowledged) + 1
    spool.close()


def test_a_stopped_writer_holds_up_others_for_a_moment_only(file: Path) -> None:
    spool = at(file)
    spool.write([(memory(id="first"), None)], above=0)
    with file.with_name("spool.db.lock").open("wb") as lock:
        code = "import fcntl, time; fcntl.flock(0, fcntl.LOCK_EX); print(1, flush=True); time.sleep(60)"
        holder = subprocess.Popen([sys.executable, "-c", code], stdin=lock, stdout=subprocess.PIPE)
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.send_signal(signal.SIGSTOP)
        with pytest.raises(Unavailable, match="held by another process"):
            spool.write([(memory(id="second"), None)], above=0)
        holder.kill()
        holder.communicate()
    spool.write([(memory(id="second"), None)], above=0)
    assert spool.waiting() == 2
    spool.close()


def test_threads_share_a_spool(spool: Spool) -> None:
    def write(name: str) -> None:
        for number in range(20):
            spool.write([(memory(id=f"{name}{number}"), None)], above=0)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({entry.version for entry in spool.take(1000)}) == 80


def test_a_forked_child_writes_by_a_connection_of_its_own(file: Path) -> None:
    spool = at(file)
    spool.write([(memory(id="parent"), None)], above=0)
    child = os.fork()
    if child == 0:
        try:
            spool.write([(memory(id="child"), None)], above=0)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    spool.write([(memory(id="parent-again"), None)], above=0)
    wait_until(lambda: spool.waiting() == 3)
    assert [entry.key.id for entry in spool.take(10)] == ["parent", "child", "parent-again"]
    spool.close()
