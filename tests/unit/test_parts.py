"""Long memories: embedded in parts, found by any of them, mended and rebuilt with all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support import key_of, memory
from tests.unit.workers import Workers
from tests.unit.world import Disturbed, World
from trinitas_tasks.embedding.stub import HashEmbedder
from trinitas_tasks.errors import ModelError, Unavailable
from trinitas_tasks.model import Key, MemoryItem
from trinitas_tasks.policy.text import MAX_PARTS, embedding_text
from trinitas_tasks.services import embedding, reconcile
from trinitas_tasks.services.reconcile import Difference
from trinitas_tasks.tasks import mending

WINDOW = 12
WORDS = [f"word{n}" for n in range(60)]
LONG = memory(" ".join(WORDS), id="long", metadata={"speaker": "Ann"})
SHORT = memory("A boat.", id="short")
OTHER = memory(" ".join(f"thing{n}" for n in range(40)), id="other", persona="hera")
ITEMS = (LONG, SHORT, OTHER)


def parts_of(item: MemoryItem) -> int:
    """How many parts it has."""
    prefix, body = embedding_text(item)
    return len(HashEmbedder(window=WINDOW).split(body, prefix=prefix))


SIZES = tuple(map(parts_of, ITEMS))
SHORTER = memory(" ".join(WORDS[:20]), id="long")


class Recording(HashEmbedder):
    """Remembers how many texts each call had; refuses some, and refuses to split others."""

    def __init__(self) -> None:
        super().__init__(window=WINDOW)
        self.calls: list[int] = []

    def split(self, text: str, *, prefix: str = "") -> list[str]:
        if "cannot be split" in text:
            raise ModelError("no tokens")
        return super().split(text, prefix=prefix)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls.append(len(texts))
        if any("poison" in text for text in texts):
            raise ModelError("one of the texts is not to my taste")
        return super().encode(texts)


@pytest.fixture
def world() -> World:
    made = World()
    made.embedder = Recording()
    return made


@pytest.fixture
def workers(world: World, monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Everything is archived and indexed; all that is done in steps takes several."""
    monkeypatch.setattr(mending, "COMPARED", 2)
    monkeypatch.setattr(mending, "REBUILT", 1)
    made = Workers(world)
    world.remember(*ITEMS)
    made.jobs.ingest()
    made.assert_whole(ITEMS)
    assert sizes(world) == archived(world) == SIZES
    assert min(SIZES[0], SIZES[2]) > 3
    return made


def sizes(world: World) -> tuple[int, ...]:
    """How many parts the vector tier has of each item."""
    return tuple(world.vectors.parts(item.persona, [item.id])[0] for item in ITEMS)


def archived(world: World) -> tuple[int, ...]:
    found = [world.archive.vectors(item.persona, [item.id], world.embedder.name)[0] for item in ITEMS]
    return tuple(0 if each is None else len(each) for each in found)


def nearest(world: World, text: str, persona: str = "athena") -> list[str]:
    near = world.vectors.query(persona, world.embedder.encode([text])[0], 10)
    return [each.id for each in near]


def test_a_long_memory_is_found_by_any_part_of_it_and_answered_once(workers: Workers) -> None:
    world = workers.world
    for start in range(0, 60, 6):
        asked = " ".join(WORDS[start : start + 6])
        assert nearest(world, asked) == ["long", "short"]
        assert world.found(asked).count("long") == 1
    assert nearest(world, "thing39 thing38", "hera") == ["other"]


def test_every_part_says_who_spoke(world: World) -> None:
    assert all(part.startswith("Ann: ") for part in world.embedder.split(LONG.content, prefix="Ann: "))
    world.remember(LONG)
    world.ingest()
    [kept] = world.archive.vectors("athena", ["long"], world.embedder.name)
    [name] = HashEmbedder().encode(["ann"])
    assert (kept @ name > 0).all()


def test_a_batch_of_long_memories_is_encoded_in_slices(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "ENCODED", 20)
    items = [memory(f"{n} {LONG.content}", id=f"m{n}") for n in range(10)]
    huge = memory(" ".join(f"huge{n}" for n in range(5000)), id="huge")
    world.remember(*items[:5], huge, *items[5:])
    assert world.ingest().indexed == 11
    assert MAX_PARTS in world.embedder.calls, "one memory alone may have more"
    assert all(calls <= 20 for calls in world.embedder.calls if calls != MAX_PARTS)
    assert world.vectors.parts("athena", ["m0", "m9", "huge"]) == [*map(parts_of, (items[0], items[9])), MAX_PARTS]
    for item in items:
        [kept] = world.archive.vectors("athena", [item.id], world.embedder.name)
        prefix, body = embedding_text(item)
        assert np.allclose(kept, HashEmbedder(window=WINDOW).encode(world.embedder.split(body, prefix=prefix)))


@pytest.mark.parametrize("where", ["begins", "ends"])
def test_a_poisoned_part_sends_its_memory_alone_to_the_dead_letters(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(embedding, "ENCODED", 10)
    text = f"poison {LONG.content}" if where == "begins" else f"{LONG.content} poison"
    poison, unsplit = memory(text, id="poison"), memory("This cannot be split.", id="unsplit")
    world.remember(LONG, poison, unsplit, SHORT)
    report = world.ingest()
    assert (report.archived, report.indexed, report.dead) == (2, 2, 2)
    assert {letter.key.id for letter in world.archive.dead(10)} == {"poison", "unsplit"}
    assert world.vectors.parts("athena", ["long", "short", "poison"]) == [*SIZES[:2], 0]


def test_a_newer_version_in_fewer_parts_leaves_none_of_the_old(workers: Workers) -> None:
    world = workers.world
    world.remember(SHORTER)
    workers.jobs.ingest()
    fewer = parts_of(SHORTER)
    assert 1 < fewer < SIZES[0]
    assert sizes(world) == archived(world) == (fewer, *SIZES[1:])
    workers.assert_whole([SHORTER, SHORT, OTHER])
    world.forget(LONG)
    workers.jobs.forget()
    assert sizes(world) == archived(world) == (0, *SIZES[1:])


def test_what_waited_for_the_vector_tier_is_indexed_with_all_parts(world: World) -> None:
    there = world.vectors
    world.vectors = Disturbed(there, "upsert", after=False, event=_away)
    world.remember(LONG)
    assert world.ingest().degraded
    assert world.index_missing() == 1
    assert there.parts("athena", ["long"]) == [SIZES[0]]


def _away() -> None:
    raise Unavailable("nobody there")


@pytest.mark.parametrize("left", [1, 3, 6, 20])
def test_parts_that_are_missing_or_too_many_are_found_and_mended(workers: Workers, left: int) -> None:
    world = workers.world
    [kept] = world.archive.vectors("athena", ["long"], world.embedder.name)
    [version] = world.archive.versions("athena", ["long"])
    world.vectors.upsert("athena", ["long"], [np.resize(kept, (left, kept.shape[1]))], [version])
    assert workers.compared() == {Difference(reconcile.UNINDEXED, key_of(LONG), version)}
    workers.reconcile()
    workers.assert_whole(ITEMS)
    assert sizes(world) == SIZES


def test_a_part_with_another_vector_is_found_and_the_space_rebuilt(workers: Workers) -> None:
    world = workers.world
    [kept] = world.archive.vectors("athena", ["long"], world.embedder.name)
    world.vectors.upsert("athena", ["long"], [np.roll(kept, 1, axis=0)], world.archive.versions("athena", ["long"]))
    assert workers.compared() == {Difference(reconcile.TORN, Key("athena", ""), 0)}
    workers.reconcile()
    workers.assert_whole(ITEMS)
    assert sizes(world) == SIZES


def test_orphans_in_parts_are_told_once_and_gone_after_two_comparisons(workers: Workers) -> None:
    world = workers.world
    ids = [f"stray{n}" for n in range(9)]
    world.vectors.upsert("athena", ids, [np.eye(4, 64, dtype=np.float32)] * 9, [1] * 9)
    differences = [each for step in workers.steps() for each in step["differences"]]
    assert {each[2] for each in differences} == set(ids)
    workers.reconcile()
    workers.reconcile()
    workers.assert_whole(ITEMS)


def test_a_rebuild_restores_all_parts(workers: Workers) -> None:
    world = workers.world
    for persona in ("athena", "hera"):
        world.vectors.clear(persona)
    place: int | None = 0
    while place is not None:
        place = workers.jobs.rebuild(None, place)
    workers.assert_whole(ITEMS)
    assert sizes(world) == SIZES
    assert nearest(world, "word59 word58 word57")[0] == "long"


def test_another_model_embeds_all_parts_anew(workers: Workers) -> None:
    world = workers.world
    workers.use("embedder", HashEmbedder(32, WINDOW))
    workers.reconcile()
    assert archived(world) == SIZES
    items: list[MemoryItem] = [*ITEMS]
    assert all(world.archived(item) == item for item in items)
