"""What every archive knows of the lives of memories, and what changes them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.contract.archives import KINDS, MODEL, NAMING, found, key, made, row, vectors_of
from tests.support import memory
from trinitas_tasks.model import Key
from trinitas_tasks.policy.prediction import Follower
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.lives import Feedback, Life, Restored, Settlement, Turn, Use

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, UTC)
DAY = timedelta(days=1)
M1, M2, NO = (Key("athena", id_) for id_ in ("m1", "m2", "no"))


@pytest.fixture(params=KINDS)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    """Every archive in turn, and the SQL one as it is read by its file alone."""
    with made(request.param, tmp_path) as archive:
        yield archive


def life(archive: Archive, of: Key = M1) -> Life:
    [found] = archive.lives(of.persona, [of.id])
    assert found is not None
    return found


def told_since(archive: Archive, change: int) -> list[tuple[str, bool]]:
    return [(each.key.id, each.cold) for each in archive.changes(change, 100)]


def test_a_new_memory_is_active_and_nothing_is_known_of_it(archive: Archive) -> None:
    archive.store([row()])
    found = life(archive)
    assert found.record == row().record
    assert found[3:] == (False, False, None, None, None, None, 0, 0, None)
    assert archive.lives("athena", ["no", "m1", "m1"]) == [None, found, found]
    assert archive.lives("athena", []) == []


def test_a_turn_changes_what_it_names(archive: Archive) -> None:
    archive.store([row()])
    assert archive.turn([Turn(M1, 1, pinned=True, score=0.1 + 0.2, scored_at=NOW, representative="m2")]) == [True]
    turned = life(archive)
    assert (turned.pinned, turned.score, turned.scored_at, turned.representative) == (True, 0.1 + 0.2, NOW, "m2")
    assert (turned.cold, turned.fades_at) == (False, None)
    assert archive.turn([Turn(M1, 1, fades_at=NOW, representative="", pinned=False, score=0.0)]) == [True]
    assert life(archive) == turned._replace(fades_at=NOW, representative=None, pinned=False, score=0.0)


def test_a_turn_counts_only_for_its_version(archive: Archive) -> None:
    archive.store([row(version=2), row(id="m2")])
    before = archive.lives("athena", ["m1", "m2"])
    turns = [Turn(M1, 1, cold=True), Turn(NO, 1, cold=True), Turn(M1, 3, score=1.0), Turn(M2, 1)]
    assert archive.turn(turns) == [False, False, False, True]
    assert archive.lives("athena", ["m1", "m2"]) == before
    assert archive.turn([]) == []


def test_to_become_cold_or_active_is_a_change_and_nothing_else_is(archive: Archive) -> None:
    archive.store([row(), row(id="m2")])
    archive.mark_indexed([(M1, 1), (M2, 1)], MODEL)
    at = archive.position().change
    archive.turn([Turn(M1, 1, cold=False, score=0.5), Turn(M2, 1, cold=True), Turn(M2, 1, cold=False)])
    assert (archive.position().change, archive.unindexed(NAMING, 10)) == (at, [])
    archive.turn([Turn(M1, 1, cold=True)])
    archive.turn([Turn(M1, 1, cold=True)])
    assert told_since(archive, at) == [("m1", True)]
    assert archive.position().change == at + 1
    [waiting] = archive.unindexed(NAMING, 10)
    assert (waiting.key, waiting.cold) == (M1, True)
    archive.turn([Turn(M1, 1, cold=False)])
    assert told_since(archive, at) == [("m1", False)]
    assert archive.position().change == at + 2


def test_vectors_count_as_indexed_only_where_they_belong(archive: Archive) -> None:
    archive.store([row(parts=2)])
    archive.turn([Turn(M1, 1, cold=True)])
    archive.mark_indexed([(M1, 1)], MODEL)
    assert [(each.indexed, each.cold) for each in archive.listed(0, 10, NAMING)] == [(False, True)]
    archive.mark_indexed([(M1, 1)], MODEL, cold=True)
    assert [(each.indexed, each.cold) for each in archive.listed(0, 10, NAMING)] == [(True, True)]
    archive.turn([Turn(M1, 1, cold=False)])
    archive.mark_indexed([(M1, 1)], MODEL, cold=True)
    assert [(each.indexed, each.cold) for each in archive.listed(0, 10, NAMING)] == [(False, False)]


def test_what_is_cold_is_found_only_when_asked_for(archive: Archive) -> None:
    archive.store([row("one word"), row("two words", id="m2", metadata={"a": [1]}), row("word", persona="athena1")])
    archive.turn([Turn(M1, 1, cold=True)])
    asked, every = vectors_of(memory("one word"), 1)[0], Filters(include_archived=True)
    assert found(archive, "one", "two") == ["m2"]
    assert [each.id for each in archive.nearest("athena", asked, MODEL, 10)] == ["m2"]
    assert archive.matching("athena", Filters(), 10) == ["m2"]
    assert {each.id for each in archive.search_text("athena", ["one", "two"], 10, filters=every)} == {"m1", "m2"}
    assert [each.id for each in archive.nearest("athena", asked, MODEL, 10, filters=every)] == ["m1", "m2"]
    assert archive.matching("athena", every, 10) == ["m2", "m1"]
    narrow = every.model_copy(update={"metadata": {"a": [1]}})
    assert archive.matching("athena", narrow, 10) == ["m2"]
    assert [each.id for each in archive.search_text("athena", ["one", "two"], 10, filters=narrow)] == ["m2"]
    assert archive.load("athena", ["m1"]) == [row("one word").record]
    archive.turn([Turn(M1, 1, cold=False), Turn(M2, 1, cold=True)])
    assert found(archive, "one", "two") == archive.matching("athena", Filters(), 10) == ["m1"]


def test_links_stay_as_long_as_both_ends_say_what_they_said(archive: Archive) -> None:
    def links() -> list[str | None]:
        return [each and each.representative for each in archive.lives("athena", ["m1", "m2", "m3"])]

    def link() -> None:
        archive.turn([Turn(Key("athena", id_), found.record.version, representative="m1") for id_, found in others()])

    def others() -> list[tuple[str, Life]]:
        return [(id_, found) for id_ in ("m2", "m3") if (found := archive.lives("athena", [id_])[0])]

    archive.store([row("same", 1, id=id_) for id_ in ("m1", "m2", "m3")])
    archive.store([row("same", 1, id="m2", persona="hera")])
    archive.turn([Turn(Key("hera", "m2"), 1, representative="m1")])
    link()
    archive.store([row("same", 2, id=id_, tags=("new",), type="working") for id_ in ("m1", "m2")])
    assert links() == [None, "m1", "m1"]
    archive.store([row("other", 3, id="m2")])
    assert links() == [None, None, "m1"]
    link()
    archive.store([row("other", 1, id="m1")])  # late: it is not what stands
    assert links() == [None, "m1", "m1"]
    archive.store([row("other", 3, id="m1")])
    assert links() == [None, None, None]
    link()
    archive.erase([(Key("athena", "m1"), 9)])
    assert links() == [None, None, None]
    kept = archive.lives("hera", ["m2"])[0]
    assert kept is not None
    assert kept.representative == "m1"


def test_a_newer_version_keeps_what_is_the_memorys_and_begins_anew(archive: Archive) -> None:
    archive.store([row(access_count=1)])
    use = Use(M1, 2, NOW, 3.5, NOW + DAY)
    archive.settle(Settlement(1, [use], pins={M1: True}, feedback=[Feedback(0, M1, "hera", True, NOW)]))
    archive.turn([Turn(M1, 1, cold=True, score=0.3, scored_at=NOW, representative="m2")])
    before = life(archive)
    archive.store([row("new words", 2, timestamp=NOW - 9 * DAY)])
    after = life(archive)
    assert (after.seq, after.pinned, after.useful, after.useless, after.stability_days) == (before.seq, True, 1, 0, 3.5)
    assert (after.cold, after.score, after.scored_at, after.fades_at, after.representative) == (False, *[None] * 4)
    assert (after.record.item.access_count, after.record.item.last_access) == (3, NOW)
    assert after.archived_at >= before.archived_at
    assert found(archive, "new") == ["m1"]
    assert [each.cold for each in archive.unindexed(NAMING, 10)] == [False]


def test_the_same_version_again_leaves_a_life_alone(archive: Archive) -> None:
    archive.store([row()])
    archive.turn([Turn(M1, 1, cold=True, score=0.3)])
    before = life(archive)
    assert archive.store([row(), row("old", 0)]) == [1, 1]
    assert life(archive) == before


def test_accesses_are_settled_once(archive: Archive) -> None:
    assert archive.settled() == 0
    archive.store([row(access_count=1, last_access=NOW), row(id="m2")])
    once = Settlement(7, [Use(M1, 2, NOW - DAY, 4.0, NOW + DAY), Use(NO, 1, NOW, 1.0, NOW)])
    assert [archive.settle(once), archive.settle(once), archive.settle(Settlement(6, once.uses))] == [
        True,
        False,
        False,
    ]
    assert archive.settled() == 7
    used = life(archive)
    assert (used.record.item.access_count, used.record.item.last_access) == (3, NOW), "a time is never lowered"
    assert (used.stability_days, used.fades_at) == (4.0, NOW + DAY)
    assert archive.settle(Settlement(8, [Use(M1, 1, NOW + DAY, 5.0, NOW), Use(M1, 1, NOW, 6.0, NOW)]))
    used = life(archive)
    assert (used.record.item.access_count, used.record.item.last_access) == (5, NOW + DAY)
    assert (used.stability_days, used.fades_at) == (6.0, NOW)
    assert life(archive, M2).stability_days is None


def test_a_cold_memory_that_is_used_is_active_again(archive: Archive) -> None:
    archive.store([row("one word"), row(id="m2")])
    archive.turn([Turn(M1, 1, cold=True)])
    archive.mark_indexed([(M1, 1)], MODEL, cold=True)
    archive.mark_indexed([(M2, 1)], MODEL)
    at = archive.position().change
    assert archive.active("athena") == 1
    archive.settle(Settlement(1, [Use(M1, 1, NOW, 1.0, NOW), Use(M2, 1, NOW, 1.0, NOW)]))
    assert archive.active("athena") == 2
    assert told_since(archive, at) == [("m1", False)]
    assert [(each.key, each.cold) for each in archive.unindexed(NAMING, 10)] == [(M1, False)]
    assert found(archive, "one") == ["m1"]


def test_pins_and_feedback_are_settled(archive: Archive) -> None:
    archive.store([row(), row(id="m2")])
    said = [
        Feedback(0, of, "hera", useful, NOW + n * DAY)
        for n, (of, useful) in enumerate([(M1, True), (M2, False), (NO, True), (M1, True), (M1, False)])
    ]
    archive.settle(Settlement(1, pins={M1: True, NO: True}, feedback=said))
    assert [(each.pinned, each.useful, each.useless) for each in (life(archive), life(archive, M2))] == [
        (True, 2, 1),
        (False, 0, 1),
    ]
    waiting = archive.feedback(10)
    assert [each._replace(seq=0) for each in waiting] == [each for each in said if each.key != NO]
    assert [each.seq for each in waiting] == sorted({each.seq for each in waiting})
    assert archive.feedback(2) == waiting[:2]
    archive.settle(Settlement(2, pins={M1: False}))
    assert not life(archive).pinned


def test_what_was_learned_is_kept_with_its_turns(archive: Archive) -> None:
    archive.store([row()])
    archive.settle(Settlement(1, feedback=[Feedback(0, M1, "hera", True, NOW)] * 3))
    first, second, third = archive.feedback(10)
    assert archive.weights("hera") == {}
    weights = {"hera": {"recency": 1.5, "richness": 0.1 + 0.2}, "athena": {"recency": 2.0}}
    archive.learn([Turn(M1, 1, score=0.9)], weights, [first.seq, third.seq, 99])
    assert life(archive).score == 0.9
    assert archive.feedback(10) == [second]
    assert {persona: archive.weights(persona) for persona in weights} == weights
    archive.learn([], {"hera": {"recency": 3.0}}, [])
    assert (archive.weights("hera"), archive.weights("athena")) == ({"recency": 3.0}, {"recency": 2.0})
    assert life(archive).useful == 3, "learning takes nothing back"


def test_followers_are_kept_between_memories_that_are_here(archive: Archive) -> None:
    ids = [Key("athena", f"m{n}") for n in range(1, 4)]
    theirs = Key("hera", "m1")
    archive.store([row(id=each.id, persona=each.persona) for each in (*ids, theirs)])
    told = [Follower(each, weight, NOW) for each, weight in ((ids[1], 0.5), (theirs, 2.0), (NO, 9.0), (ids[2], 0.5))]
    archive.settle(Settlement(1, followers={M1: told, theirs: [Follower(M1, 1.0, NOW)], NO: told}))
    heaviest = [told[1], told[0], told[3]]
    assert archive.followers([theirs, M1, NO, M2, M1]) == {theirs: [Follower(M1, 1.0, NOW)], M1: heaviest}
    archive.settle(Settlement(2, followers={M1: [Follower(M2, 3.0, NOW)], theirs: []}))
    assert archive.followers([theirs, M1]) == {M1: [Follower(M2, 3.0, NOW)]}
    assert archive.followers([]) == {}


def test_what_was_erased_has_no_life_left(archive: Archive) -> None:
    stored = [row(), row(id="m2"), row(id="m3")]
    archive.store(stored)
    m3 = key(stored[2])
    followers = {M1: [Follower(M2, 1.0, NOW)], M2: [Follower(M1, 1.0, NOW), Follower(m3, 1.0, NOW)]}
    said = [Feedback(0, each, "hera", True, NOW) for each in (M1, M2)]
    archive.settle(Settlement(1, [Use(M1, 1, NOW, 9.0, NOW)], followers, {M1: True}, said))
    archive.turn([Turn(M1, 1, cold=True)])
    archive.erase([(M1, 0), (M1, 1)])
    assert archive.followers([M1, M2]) == {M2: [Follower(m3, 1.0, NOW)]}
    assert [each.key for each in archive.feedback(10)] == [M2]
    assert told_since(archive, 0)[-1] == ("m1", False)
    late = Settlement(2, [Use(M1, 1, NOW, 9.0, NOW)], followers, {M1: True}, said)
    archive.settle(late)
    assert M1 not in archive.followers([M1, M2])
    archive.store([row("written anew", 2)])
    assert life(archive)[3:] == (False, False, None, None, None, None, 0, 0, None)
    assert archive.feedback(10)[-1].key == M2


def test_active_memories_are_counted_by_persona(archive: Archive) -> None:
    archive.store([row(id=f"m{n}", type=kind) for n, kind in enumerate(("working", "episodic", "semantic"))])
    archive.store([row(persona="hera")])
    archive.turn([Turn(Key("athena", "m0"), 1, cold=True)])
    assert [archive.active(persona) for persona in ("athena", "hera", "zeus")] == [2, 1, 0]


# In the order of their names, and as they were elsewhere.


def test_lives_are_listed_in_the_order_of_their_ids(archive: Archive) -> None:
    archive.store([row(id=each) for each in ("m9", "m10", "B", "a.b", "a:b", "a")] + [row(id="m1", persona="hera")])
    ids = ["B", "a", "a.b", "a:b", "m10", "m9"]
    assert [each.key.id for each in archive.named("athena", "", 100)] == ids
    assert [each.key.id for each in archive.named("athena", "a", 3)] == ids[2:5]
    assert archive.named("athena", "m9", 3) == []
    assert archive.named("nobody", "", 3) == []
    assert archive.named("hera", "", 3) == [life(archive, Key("hera", "m1"))]


def test_a_life_is_restored_whole(archive: Archive) -> None:
    archive.store([row(id="m1"), row(id="m2")])
    archive.mark_indexed([(M1, 1), (M2, 1)], MODEL)
    before, change = life(archive), archive.position().change
    past = Restored(M1, 7, NOW, True, True, 0.1 + 0.2, NOW - DAY, 1 / 3, NOW + DAY, 2, 3, "m2")
    assert archive.restore_lives([past, past._replace(key=NO)]) == [True, False]
    found = life(archive)
    assert (found.record.item.access_count, found.record.item.last_access) == (7, NOW)
    assert found[3:] == past[3:]
    assert (found.seq, found.record.version, found.archived_at) == (
        before.seq,
        before.record.version,
        before.archived_at,
    )
    assert told_since(archive, change) == [("m1", True)]
    assert [each.key for each in archive.unindexed(NAMING, 9)] == [M1]
    plain = Restored(M1, 0, NOW, False, False, None, None, None, None, 0, 0, None)
    assert archive.restore_lives([plain]) == [True]
    assert life(archive)[3:] == plain[3:]
    assert archive.lives("athena", ["m2"])[0] == life(archive, M2)
    assert archive.restore_lives([]) == []
    change = archive.position().change
    assert archive.restore_lives([plain]) == [True]
    assert told_since(archive, change) == []
