"""Dead letters: each keeps what it is about, and is tried again or given up by somebody who has looked at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support import key_of, memory
from tests.unit.workers import Workers
from tests.unit.world import Away, World
from trinitas_tasks.embedding.stub import HashEmbedder
from trinitas_tasks.errors import InvalidQuery, ModelError, Unavailable
from trinitas_tasks.model import Key, Record
from trinitas_tasks.services.ingest import DEAD_SECONDS
from trinitas_tasks.tiers.hot.interface import Claimed, Gone
from trinitas_tasks.tiers.hot.memory import MemoryHotTier

GOOD = [memory(f"Note number {number}.", id=f"m{number}") for number in range(3)]
POISON = memory("poison", id="p")
SPOILT = {"empty": b"", "other": memory("stolen", id="m0").to_json(), "hers": memory("x", persona="hera").to_json()}


class Choosy(HashEmbedder):
    """Refuses whole batches for the sake of one text, as models do."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if any("poison" in text for text in texts):
            raise ModelError("one of the texts is not to my taste")
        return super().encode(texts)


class Spoilt(MemoryHotTier):
    """Gives back bytes that are no memory, or another one."""

    def claim(self, limit: int, lease_seconds: int) -> list[Claimed]:
        return [replace(each, body=SPOILT.get(each.key.id, each.body)) for each in super().claim(limit, lease_seconds)]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def workers(world: World) -> Workers:
    """All but the poison is archived."""
    world.embedder = Choosy()
    world.remember(*GOOD, POISON)
    made = Workers(world)
    made.jobs.ingest()
    return made


def letters(workers: Workers, persona: str | None = None) -> list[tuple[str, str]]:
    return [(each["persona"], each["id"]) for each in workers.jobs.dead_letters(persona)]


def test_a_letter_says_what_it_is_about(workers: Workers) -> None:
    workers.world.remember(memory("poison", id="p", persona="hera"))
    workers.jobs.ingest()
    mine, hers = workers.jobs.dead_letters(None)
    assert (mine["persona"], hers["persona"], mine["id"]) == ("athena", "hera", "p")
    assert ("taste" in mine["error"], mine["body"]) == (True, POISON.to_json().decode())
    assert letters(workers, "hera") == [("hera", "p")]
    assert letters(workers, "zeus") == []


def test_a_dead_letter_is_accounted_for(workers: Workers) -> None:
    """Comparing must neither tell of it for ever, nor try it again every five minutes."""
    version = workers.world.archive.dead(1)[0].version
    assert workers.compared() == set()
    workers.jobs.reconcile()
    assert not workers.world.hot.due()
    standing = workers.world.hot.standings([key_of(POISON)])[0]
    assert (standing.copy, standing.version) == (True, version)
    workers.world.advance(DEAD_SECONDS)
    assert workers.world.standing(POISON) is None, "its time was over when it was said to be"
    assert letters(workers) == [("athena", "p")]


# Trying again.


@pytest.mark.parametrize("later", [False, True], ids=["hot", "left the hot tier"])
def test_what_failed_is_archived_when_its_cause_was_mended(workers: Workers, later: bool) -> None:
    if later:
        workers.world.advance(DEAD_SECONDS + 1)
    workers.use("embedder", HashEmbedder())
    assert workers.jobs.retry_dead("athena", "p") == 1
    assert workers.nudged == ["ingest"]
    assert workers.world.waits(POISON)
    workers.jobs.ingest()
    assert letters(workers) == []
    workers.assert_whole([*GOOD, POISON])


def test_what_fails_again_is_a_letter_again(workers: Workers) -> None:
    before = workers.jobs.dead_letters(None)[0]["version"]
    workers.jobs.retry_dead("athena", "p")
    assert workers.jobs.ingest()["dead"] == 1
    assert [each["version"] for each in workers.jobs.dead_letters(None)] == [before]
    assert workers.compared() == set()


def test_a_newer_memory_stays_when_an_older_letter_is_tried_again(workers: Workers) -> None:
    newer = memory("mended", id="p")
    letter = workers.world.archive.dead(1)[0]
    workers.world.remember(newer)
    workers.use("embedder", HashEmbedder())
    workers.jobs.retry_dead("athena", "p")
    assert workers.world.standing(newer).item == newer  # type: ignore[union-attr]
    workers.jobs.ingest()
    workers.assert_whole([*GOOD, newer])
    assert letters(workers) == []
    workers.world.archive.bury_dead([letter])  # by a worker that was late
    workers.world.advance(DEAD_SECONDS + 1)
    workers.jobs.retry_dead("athena", "p")
    workers.jobs.ingest()
    workers.assert_whole([*GOOD, newer])


def test_of_several_letters_the_newest_is_tried_again(workers: Workers) -> None:
    newest = memory("poison, but newer", id="p")
    workers.world.remember(newest)
    workers.jobs.ingest()
    assert letters(workers) == [("athena", "p")] * 2
    workers.world.advance(DEAD_SECONDS + 1)
    workers.use("embedder", HashEmbedder())
    workers.jobs.retry_dead("athena", "p")
    workers.jobs.ingest()
    assert letters(workers) == []
    workers.assert_whole([*GOOD, newest])


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_no_memory_or_another_one_is_not_tried_again(name: str) -> None:
    world = World()
    world.hot = Spoilt(clock=world.now)
    workers = Workers(world)
    world.remember(*GOOD, memory(id=name))
    workers.jobs.ingest()
    assert letters(workers) == [("athena", name)]
    with pytest.raises(InvalidQuery, match=f"{name} of athena cannot be tried again: .*; drop it"):
        workers.jobs.retry_dead("athena", name)
    workers.jobs.ingest()
    assert world.standing(GOOD[0]).item == world.archived(GOOD[0]) == GOOD[0]  # type: ignore[union-attr]
    assert world.standing(memory(persona="hera")) is None
    assert workers.jobs.drop_dead("athena", name) == 1
    workers.reconcile()
    workers.assert_whole(GOOD)


@pytest.mark.parametrize("job", ["retry_dead", "drop_dead"])
@pytest.mark.parametrize(("persona", "memory_id"), [("hera", "p"), ("athena", "m0"), ("athena", "never")])
def test_a_letter_that_is_not_there_is_named(workers: Workers, job: str, persona: str, memory_id: str) -> None:
    with pytest.raises(InvalidQuery, match=f"{persona} has no dead letter {memory_id}"):
        getattr(workers.jobs, job)(persona, memory_id)
    assert letters(workers) == [("athena", "p")]


def test_without_redis_a_letter_stays_as_it_is(workers: Workers) -> None:
    hot = workers.use("hot", Away(workers.world.hot, "write", "finish"))._tier
    for job in (workers.jobs.retry_dead, workers.jobs.drop_dead):
        with pytest.raises(Unavailable):
            job("athena", "p")
    assert letters(workers) == [("athena", "p")]
    workers.use("hot", hot)
    assert isinstance(workers.world.standing(POISON), Record)


# Giving up.


def test_what_was_dropped_is_gone_and_does_not_come_back(workers: Workers) -> None:
    workers.world.remember(memory("poison, but newer", id="p"))
    workers.jobs.ingest()
    assert workers.jobs.drop_dead("athena", "p") == 2
    assert letters(workers) == []
    assert workers.world.standing(POISON) is None
    workers.reconcile()
    assert letters(workers) == []
    workers.assert_whole(GOOD)


def test_a_newer_memory_stays_when_older_letters_are_dropped(workers: Workers) -> None:
    newer = memory("mended", id="p")
    workers.world.remember(newer)
    workers.jobs.drop_dead("athena", "p")
    workers.jobs.ingest()
    workers.assert_whole([*GOOD, newer])


def test_what_is_forgotten_leaves_no_letter(workers: Workers) -> None:
    workers.world.forget(POISON)
    workers.jobs.forget()
    assert letters(workers) == []
    assert isinstance(workers.world.standing(POISON), Gone)
    workers.assert_whole(GOOD)
    assert workers.world.archive.versions(*Key("athena", "p")[:1], ["p"]) == [None]
