"""What the workers do when they are told to, or by themselves: everything that is due, once, whatever is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.support import memory
from tests.unit.workers import Undisturbed, Workers
from tests.unit.world import Away, Disturbed, World
from trinitas_tasks.errors import ArchiveError, Overloaded, Unavailable
from trinitas_tasks.services.ingest import AGAIN_SECONDS
from trinitas_tasks.services.reconcile import TORN
from trinitas_tasks.tasks import jobs, mending
from trinitas_tasks.tiers.archive.interface import Row
from trinitas_tasks.tiers.archive.memory import MemoryArchive
from trinitas_tasks.tiers.vectors.memory import MemoryVectors

ITEMS = [memory(f"Note number {number} of the {number}th day.", id=f"m{number}") for number in range(10)]
NOTHING = {"claimed": 0, "archived": 0, "indexed": 0, "superseded": 0, "dead": 0, "degraded": ()}
QUERY = {"text": "Note of day", "persona": "athena"}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def workers(world: World) -> Workers:
    return Workers(world)


class Counting(MemoryArchive):
    """Knows what it was told to store."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, int]] = []

    def store(self, rows: Sequence[Row]) -> list[int]:
        self.told += [(row.record.item.id, row.record.version) for row in rows]
        return super().store(rows)


# By themselves.


def test_an_hour_without_beat_or_messages_loses_nothing(world: World, workers: Workers) -> None:
    archive, vectors, kept = world.archive, world.vectors, []
    for tick in range(720):
        world.advance(5)
        if tick % 60 == 0:
            item = memory(f"Note of minute {tick // 12}.", id=f"m{tick}", persona="hera" if tick % 120 else "athena")
            world.remember(item)
            kept.append(item)
        if tick == 100:
            workers.use("vectors", Away(vectors, "upsert", "delete", "query"))
        if tick == 200:
            world.spool.write([(memory("From the spool.", id="spooled"), None)], above=0)
            kept.append(memory("From the spool.", id="spooled"))
        if tick == 300:
            workers.use("archive", Away(archive, "store", "erase"))
            world.forget(kept.pop(0))
        if tick == 400:
            workers.use("archive", archive)
        if tick == 500:
            workers.use("vectors", vectors)
        try:
            workers.jobs.tick()
        except Unavailable:
            assert 300 <= tick < 400, "only the archive can keep memories where they are"
    workers.assert_whole(kept)
    assert workers.nudged == []
    assert world.hot.notes() == {}


def test_a_tick_archives_also_while_the_spool_is_in_trouble(world: World, workers: Workers) -> None:
    world.remember(*ITEMS)
    workers.use("spool", Away(world.spool, "empty"))
    with pytest.raises(Unavailable):
        workers.jobs.tick()
    assert [world.archived(item) for item in ITEMS] == ITEMS


def test_a_full_outbox_and_a_spool_that_waits_for_it_do_not_hold_each_other_up(world: World, workers: Workers) -> None:
    world.hot._outbox_limit = 5
    world.remember(*ITEMS[:5])
    world.spool.write([(item, None) for item in ITEMS[5:]], above=0)
    with pytest.raises(Overloaded):
        workers.jobs.tick()
    workers.jobs.tick()
    workers.assert_whole(ITEMS)


def test_what_was_archived_without_the_vector_tier_is_indexed_although_nothing_else_is_due(
    world: World, workers: Workers
) -> None:
    vectors = workers.use("vectors", Away(world.vectors, "upsert"))._tier
    world.remember(*ITEMS)
    assert workers.jobs.ingest()["degraded"] == ("chroma: upsert: nobody there",)
    workers.jobs.tick()
    assert world.hot.notes() == {}, "ingest does what it can"
    workers.use("vectors", vectors)
    workers.jobs.tick()
    workers.assert_whole(ITEMS)


def test_a_sweep_nudges_only_if_anything_is_due(world: World, workers: Workers) -> None:
    assert (workers.jobs.sweep_outbox(), workers.nudged) == ({"due": False}, [])
    world.remember(*ITEMS)
    assert (workers.jobs.sweep_outbox(), workers.nudged) == ({"due": True}, ["ingest"])


# Twice at once.


@pytest.mark.parametrize("processes", [1, 2])
def test_two_ticks_at_once_do_nothing_twice(world: World, processes: int) -> None:
    world.archive = Counting()
    one = Workers(world, BATCH_SIZE=1)
    others = [one, one if processes == 1 else Workers(world, BATCH_SIZE=1), one]
    start = threading.Barrier(len(others))
    world.remember(*ITEMS)
    world.spool.write([(memory("From the spool.", id="spooled"), None)], above=0)

    def tick(workers: Workers) -> None:
        start.wait(10)
        workers.jobs.tick()

    threads = [threading.Thread(target=tick, args=(each,)) for each in others]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    one.jobs.tick()
    one.assert_whole([*ITEMS, memory("From the spool.", id="spooled")])
    told = world.archive.told
    assert len(told) == len(set(told)) == 11


def test_one_process_ingests_once_at_a_time(world: World, workers: Workers) -> None:
    world.remember(*ITEMS)
    others: list[dict[str, Any]] = []
    world.remember(memory(id="late"))
    workers.use(
        "archive", Disturbed(world.archive, "store", after=False, event=lambda: others.append(workers.jobs.ingest()))
    )
    assert workers.jobs.ingest()["archived"] == 11
    assert others == [NOTHING]
    assert workers.jobs.ingest() == NOTHING, "and may do so again"


def test_two_regular_comparisons_at_once_do_no_harm(world: World, workers: Workers) -> None:
    world.remember(*ITEMS)
    workers.jobs.ingest()
    other = Workers(Undisturbed(world))
    world.vectors.delete("athena", [item.id for item in ITEMS[::2]])
    workers.use("vectors", Disturbed(world.vectors, "verify", after=True, event=other.jobs.reconcile))
    workers.reconcile()
    other.assert_whole(ITEMS)


# Stopping, and no task for ever.


@pytest.mark.parametrize(
    ("part", "method"), [("hot", "claim"), ("archive", "store"), ("vectors", "upsert"), ("hot", "finish")]
)
def test_a_worker_that_is_told_to_stop_ends_after_the_batch_at_hand(world: World, part: str, method: str) -> None:
    workers = Workers(world, BATCH_SIZE=1)
    world.remember(*ITEMS)
    stop = workers.runtime.stopping.set
    workers.use(part, Disturbed(getattr(world, part), method, after=False, event=stop))
    archived = workers.jobs.ingest()["archived"]
    # the batch that was embedded meanwhile as well
    assert archived in ((jobs.CLAIM_BATCHES,) if method == "claim" else (jobs.CLAIM_BATCHES, 2 * jobs.CLAIM_BATCHES))
    assert len([item for item in ITEMS if world.waits(item)]) == len(ITEMS) - archived > 0
    assert len(world.hot.claim(100, 30)) == len(ITEMS) - archived, "what is left is not under lease"


def test_a_worker_that_is_told_to_stop_leaves_graves_and_vectors_for_the_next_one(world: World) -> None:
    workers = Workers(world, BATCH_SIZE=1)
    world.remember(*ITEMS)
    workers.use("vectors", Away(world.vectors, "upsert"))
    workers.jobs.ingest()
    for item in ITEMS[:3]:
        world.forget(item)
    vectors = workers.use("vectors", world.vectors._tier)
    workers.use("vectors", Disturbed(vectors, "delete", after=False, event=workers.runtime.stopping.set))
    workers.jobs.ingest()
    assert world.hot.stats("athena").graves == 2
    Workers(world).jobs.tick()
    Workers(world).assert_whole(ITEMS[3:])


def test_a_long_ingest_goes_on_in_another_task(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "BUDGET_SECONDS", -1.0)
    workers = Workers(world, BATCH_SIZE=1)
    world.remember(*ITEMS)
    assert [workers.jobs.ingest()["archived"] for _ in range(4)] == [4, 4, 2, 0]
    assert workers.nudged == ["ingest"] * 3


# One batch is settled while the next one is embedded.


class Watched:
    """An embedder that tells what it is about to encode."""

    def __init__(self, embedder: Any, told: Callable[[list[str]], None]) -> None:
        self._embedder, self._told = embedder, told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._embedder, name)

    def encode(self, texts: list[str]) -> Any:
        self._told(texts)
        return self._embedder.encode(texts)


def second_time(event: threading.Event) -> Callable[[list[str]], None]:
    """Sets the event when it is told something again."""
    told: list[list[str]] = []

    def tell(texts: list[str]) -> None:
        told.append(texts)
        if len(told) == 2:
            event.set()

    return tell


def test_a_batch_is_embedded_while_the_one_before_is_archived(world: World) -> None:
    workers, embedded = Workers(world, BATCH_SIZE=1), threading.Event()
    world.remember(*ITEMS)

    def wait() -> None:
        assert embedded.wait(10), "nothing is embedded meanwhile"

    workers.use("archive", Disturbed(world.archive, "store", after=False, event=wait))
    workers.use("embedder", Watched(world.embedder, second_time(embedded)))
    assert workers.jobs.ingest()["archived"] == len(ITEMS)


def test_what_was_embedded_while_the_archive_failed_is_due_again_soon(world: World) -> None:
    workers, embedded = Workers(world, BATCH_SIZE=1), threading.Event()
    world.remember(*ITEMS)

    def fail() -> None:
        assert embedded.wait(10)
        raise Unavailable("locked")

    workers.use("archive", Disturbed(world.archive, "store", after=False, event=fail))
    workers.use("embedder", Watched(world.embedder, second_time(embedded)))
    with pytest.raises(Unavailable):
        workers.jobs.ingest()
    world.advance(AGAIN_SECONDS + 1)
    assert len(world.hot.claim(100, 0)) == len(ITEMS), "no batch waits for its lease to run out"


def test_a_batch_that_took_long_to_embed_is_not_embedded_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    workers, texts, passed, again = Workers(world, BATCH_SIZE=1), list[str](), [0.0], threading.Event()
    world.remember(*ITEMS)
    seconds, tell = workers.runtime.settings.lease_seconds + 1, second_time(again)

    def slow(some: list[str]) -> None:
        texts.extend(some)
        world.advance(seconds)
        passed[0] += seconds
        tell(some)

    def wait() -> None:
        assert again.wait(10)

    workers.use("archive", Disturbed(world.archive, "store", after=False, event=wait))
    workers.use("embedder", Watched(world.embedder, slow))
    monkeypatch.setattr(jobs, "BUDGET_SECONDS", 1e9)
    monkeypatch.setattr(time, "monotonic", lambda: passed[0])
    assert workers.jobs.ingest()["archived"] == len(ITEMS) == len(texts)


# Trouble.


def test_a_rebuild_that_is_told_to_stop_is_begun_anew_by_the_next_worker(
    world: World, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mending, "REBUILT", 3)
    world.remember(*ITEMS)
    workers.jobs.ingest()
    world.vectors.spare().clear("athena")
    world.vectors.clear("athena")
    workers.use("archive", Disturbed(world.archive, "vectors", after=False, event=workers.runtime.stopping.set))
    workers.jobs.reconcile()
    other = Workers(world)
    assert {each.kind for each in other.compared()} == {TORN}
    other.reconcile()
    other.assert_whole(ITEMS)


@pytest.mark.parametrize("error", [Unavailable("locked"), ArchiveError("damaged")], ids=["away", "damaged"])
def test_trouble_of_ingest_is_told_until_it_works_again(
    world: World, workers: Workers, error: Unavailable | ArchiveError
) -> None:
    archive = world.archive

    def fail() -> None:
        raise error

    world.remember(*ITEMS)
    for _ in range(3):
        workers.use("archive", Disturbed(archive, "store", after=False, event=fail))
        with pytest.raises(type(error)):
            workers.jobs.tick()
        assert world.hot.notes() == {"ingest": str(error)}
        workers.jobs.tick()
        assert world.hot.notes() == {"ingest": str(error)}, "what failed waits for another try"
        world.advance(AGAIN_SECONDS + 1)
    workers.use("archive", archive)
    workers.jobs.tick()
    assert world.hot.notes() == {}
    workers.assert_whole(ITEMS)


def test_trouble_that_the_process_before_told_of_ends_too(world: World, workers: Workers) -> None:
    world.hot.note("ingest", "killed in the middle of it", 100)
    workers.jobs.tick()
    assert world.hot.notes() == {}
    world.hot.note("ingest", "of somebody else", jobs.NOTE_SECONDS)
    world.advance(jobs.NOTE_SECONDS + 1)
    assert world.hot.notes() == {}


# Searching.


def test_a_search_that_misses_vectors_has_them_put_back_once(world: World, workers: Workers) -> None:
    world.remember(*ITEMS)
    workers.jobs.ingest()
    workers.use("vectors", MemoryVectors())
    for _ in range(5):
        assert "chroma: " in workers.jobs.search(QUERY)
    assert workers.nudged == ["reconcile"]
    workers.runtime.mending_until -= jobs.MEND_SECONDS + 1
    workers.jobs.search(QUERY)
    assert workers.nudged == ["reconcile"] * 2
    workers.jobs.reconcile()
    assert "chroma: " not in workers.jobs.search(QUERY)
    assert workers.nudged == ["reconcile"] * 2


def test_what_a_search_finds_is_fetched_from_the_archive(world: World, workers: Workers) -> None:
    world.remember(*ITEMS)
    workers.jobs.ingest()
    world.advance(1_000_000)
    assert workers.jobs.fetch("athena", ["m1", "m3", "never"]) == ["m1", "m3"]
    assert [world.standing(item) is not None for item in ITEMS[:4]] == [False, True, False, True]
    assert workers.jobs.fetch("hera", ["m1"]) == []


def test_accesses_are_counted_by_the_archive(world: World, workers: Workers) -> None:
    world.remember(*ITEMS)
    workers.jobs.ingest()
    for _ in range(3):
        world.hot.read("athena", ["m1", "m2"], touch=True)
    assert [workers.jobs.flush_access()["changed"] for _ in range(2)] == [2, 0]
    counts: Callable[[], list[int]] = lambda: [  # noqa: E731
        record.item.access_count for record in world.archive.load("athena", ["m0", "m1", "m2"])
    ]
    assert counts() == [0, 3, 3]


class Claimed:
    """A hot tier that tells when it was asked twice for what is due."""

    def __init__(self, tier: Any) -> None:
        self._tier, self._asked = tier, 0
        self.twice = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tier, name)

    def claim(self, limit: int, lease_seconds: int) -> Any:
        answer = self._tier.claim(limit, lease_seconds)
        self._asked += 1
        if self._asked == 2:
            self.twice.set()
        return answer


def test_what_comes_while_the_last_batch_is_settled_is_ingested_too(world: World, workers: Workers) -> None:
    hot, late = workers.use("hot", Claimed(world.hot)), list(ITEMS[5:])

    def step(name: str) -> None:
        if name == "finished" and late:
            assert hot.twice.wait(10), "nothing was due any more"
            world.remember(*late)
            late.clear()
            assert workers.jobs.ingest() == NOTHING, "this process is at it"

    workers.runtime.step = step
    world.remember(*ITEMS[:5])
    assert workers.jobs.ingest()["archived"] == len(ITEMS)
