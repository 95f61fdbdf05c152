"""What was done to memories is kept once, can be undone once, and goes with them; audits stay."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.contract.archives import KINDS, made, row
from trinitas_tasks.model import Key, MemoryType
from trinitas_tasks.policy.grants import EVERYBODY, Grant
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.lives import KEPT, LINKED, Audit, Consolidation, Settlement, Turn, Use

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, UTC)
DAY = timedelta(days=1)
M1, M2, NO = (Key("athena", id_) for id_ in ("m1", "m2", "no"))


@pytest.fixture(params=KINDS)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    """Every archive in turn, and the SQL one as it is read by its file alone."""
    with made(request.param, tmp_path) as archive:
        yield archive


def done(key: Key = M1, kind: str = "infer", version: int = 1) -> Consolidation:
    return Consolidation(
        0, kind, key, version, NOW, {"type": "working"}, {"type": "semantic", "by": [0.1, None]}, "a fact"
    )


def scores(archive: Archive) -> list[float | None]:
    return [life and life.score for life in archive.lives("athena", ["m1", "m2"])]


def test_what_was_done_is_kept_once_with_its_turns(archive: Archive) -> None:
    archive.store([row(), row(id="m2")])
    first, second = archive.consolidate([done(), done(M2)], [Turn(M1, 1, score=0.1), Turn(M2, 1, score=0.1)])
    assert (first, second) == (done()._replace(seq=first.seq), done(M2)._replace(seq=second.seq))
    assert 0 < first.seq < second.seq
    again = [done(), done(kind="merge"), done(kind="merge")], [Turn(M1, 1, score=0.2)]
    [third] = archive.consolidate(*again)
    assert third.kind == "merge"
    assert scores(archive) == [0.2, 0.1], "something new was done to the first"
    assert archive.consolidate([done(), done(M2)], [Turn(M1, 1, score=0.3), Turn(M2, 1, score=0.3)]) == []
    assert scores(archive) == [0.2, 0.1]
    assert archive.consolidations() == [third, second, first]


def test_turns_of_others_are_taken(archive: Archive) -> None:
    archive.store([row(), row(id="m2")])
    archive.consolidate([done()], [])
    assert archive.consolidate([done()], [Turn(M1, 1, score=0.5), Turn(M2, 1, score=0.5)]) == []
    assert scores(archive) == [None, 0.5]
    assert archive.consolidate([], []) == []


@pytest.mark.parametrize("how", ["erased", "changed"])
def test_a_link_goes_with_its_representative_and_may_be_made_to_another(archive: Archive, how: str) -> None:
    m3, m4 = Key("athena", "m3"), Key("athena", "m4")
    archive.store([row("same", id=id_) for id_ in ("m1", "m2", "m3", "m4")])

    def linked(to: str, *keys: Key) -> list[Key]:
        turns = [Turn(key, 1, representative=to) for key in keys]
        return [each.key for each in archive.consolidate([done(key, LINKED) for key in keys], turns)]

    def representatives() -> list[str | None]:
        return [life and life.representative for life in archive.lives("athena", ["m2", "m3", "m4"])]

    assert linked("m1", M2, m3) == [M2, m3]
    assert linked("m2", m4) == [m4]
    archive.consolidate([done(M2, KEPT)], [])
    [undone] = [each.seq for each in archive.consolidations(key=m3)]
    archive.undo(undone, NOW, [])
    if how == "erased":
        archive.erase([(M1, 1)])
    else:
        archive.store([row("other", 2, id="m1")])
    assert representatives() == [None, None, "m2"]
    left = {(each.key, each.kind, each.undone_at) for each in archive.consolidations()}
    assert left == {(M2, KEPT, None), (m3, LINKED, NOW), (m4, LINKED, None)}
    assert linked("m4", M2, m3) == [M2], "what somebody took back is not done again"
    assert representatives() == ["m4", None, "m2"]


def test_nothing_is_done_to_what_is_not_here(archive: Archive) -> None:
    archive.store([row(version=2)])
    assert archive.consolidate([done(), done(NO), done(version=3)], [Turn(NO, 1, score=0.5)]) == []
    assert archive.consolidations() == []
    [kept] = archive.consolidate([done(version=2)], [])
    archive.store([row("newer", 3)])
    [newer] = archive.consolidate([done(version=3)], [])
    assert archive.consolidations() == [newer, kept]


def test_what_was_done_is_looked_up(archive: Archive) -> None:
    theirs = Key("hera", "m1")
    archive.store([row(), row(id="m2"), row(persona="hera")])
    first, second, third, fourth = archive.consolidate([done(), done(M2), done(theirs), done(kind="merge")], [])
    assert archive.consolidations(persona="athena") == [fourth, second, first]
    assert archive.consolidations(key=M1) == [fourth, first]
    assert archive.consolidations(key=theirs, persona="athena") == []
    assert archive.consolidations(seq=third.seq) == [third]
    assert archive.consolidations(limit=1, persona="athena") == [fourth]
    assert archive.consolidations(seq=999) == []


def test_it_is_undone_once_and_never_done_again(archive: Archive) -> None:
    archive.store([row()])
    [kept] = archive.consolidate([done()], [Turn(M1, 1, cold=True, score=0.1)])
    undoing = kept.seq, NOW + DAY, [Turn(M1, 1, cold=False, score=0.9)]
    assert archive.undo(*undoing)
    assert archive.consolidations() == [kept._replace(undone_at=NOW + DAY)]
    assert scores(archive)[0] == 0.9
    assert archive.active("athena") == 1
    archive.turn([Turn(M1, 1, score=0.5)])
    assert not archive.undo(*undoing)
    assert not archive.undo(99, NOW, undoing[2])
    assert archive.consolidate([done()], [Turn(M1, 1, score=0.1)]) == []
    assert scores(archive)[0] == 0.5


def test_with_a_memory_goes_what_was_done_to_it_but_not_who_did_what(archive: Archive) -> None:
    archive.store([row(), row(id="m2")])
    _, second = archive.consolidate([done(), done(M2)], [])
    entry = Audit(NOW, "hera", "forget", M1, "it was wrong")
    archive.audit([entry])
    archive.erase([(M1, 1)])
    assert archive.consolidations() == [second]
    assert archive.audits(10) == [entry]
    archive.store([row("written anew", 2)])
    [third] = archive.consolidate([done(version=2)], [])
    assert third.seq > second.seq


def test_audits_are_told_newest_first(archive: Archive) -> None:
    entries = [
        Audit(NOW - n * DAY, "sweep", "forget", Key(persona, id_), "retention 0.08 🦊")
        for n, (persona, id_) in enumerate([("athena", "m1"), ("hera", "m1"), ("athena", "m2"), ("athena", "m1")])
    ]
    archive.audit(entries[:2])
    archive.audit(entries[2:])
    archive.audit([])
    newest = entries[::-1]
    assert archive.audits(10) == newest
    assert archive.audits(2) == newest[:2]
    assert archive.audits(2, persona="athena") == newest[:2]
    assert archive.audits(10, key=M1) == [newest[0], newest[3]]
    assert archive.audits(10, persona="hera", key=M1) == []


def test_a_number_that_was_erased_is_not_given_again(archive: Archive) -> None:
    archive.store([row()])
    [kept] = archive.consolidate([done()], [])
    archive.erase([(M1, 1)])
    archive.store([row("written anew", 2)])
    [newer] = archive.consolidate([done(version=2)], [])
    assert newer.seq > kept.seq


def test_marks_are_kept_by_name(archive: Archive) -> None:
    assert archive.mark("score") == 0
    archive.put_mark("score", 7)
    archive.put_mark("change", 2**40)
    archive.put_mark("score", 3)
    assert (archive.mark("score"), archive.mark("change")) == (3, 2**40)
    assert archive.position().change == 0


def test_a_census_counts_everything_of_one_persona(archive: Archive) -> None:
    stored = [
        row("漢字", id="a", type="working", importance=0.0, timestamp=NOW - DAY),
        row("x", id="b", importance=1.0, timestamp=NOW - DAY - timedelta(microseconds=1), access_count=1),
        row("x", id="c", importance=0.3, timestamp=NOW - 366 * DAY),
        row("x", id="d", timestamp=NOW + DAY),
    ]
    archive.store([*stored, row("another's", persona="hera")])
    keys = [Key("athena", each.record.item.id) for each in stored]
    archive.turn([Turn(keys[0], 1, score=0.99, cold=True), Turn(keys[1], 1, representative="a")])
    archive.settle(Settlement(1, [Use(keys[2], 1, NOW, 1.0, NOW)], pins={keys[3]: True}))
    grants = [("hera", 5, False), ("zeus", 5, False), (EVERYBODY, 3, True), ("ares", 6, True)]
    archive.put_grants([Grant(keys[0], who, version, revoked) for who, version, revoked in grants])
    archive.put_grants([Grant(keys[1], "hera", 5, False)])
    [kept] = archive.lives("athena", ["a"])
    assert kept is not None
    counted = archive.census("athena", kept.archived_at)
    assert counted.persona == "athena"
    assert counted.by_type == {MemoryType.WORKING: 1, MemoryType.EPISODIC: 3}
    assert (counted.cold, counted.pinned, counted.duplicates, counted.never_read) == (1, 1, 1, 2)
    assert list(counted.by_score) == [0, 0, 0, 1, 0, 1, 0, 0, 0, 2]
    assert counted.content_bytes == len('"漢字"'.encode()) + 3 * len('"x"')
    assert counted.shared_to == {"hera": 2, "zeus": 1}
    assert sum(counted.grown.values()) == 4
    assert len(counted.grown) == 30
    assert list(counted.grown)[-1] == kept.archived_at.date().isoformat()
    ages = archive.census("athena", NOW).by_age
    assert ages == {1: 2, 7: 1, 30: 0, 90: 0, 365: 0, 0: 1}
    nobody = archive.census("nobody", NOW)
    assert (nobody.by_type, sum(nobody.by_score), nobody.content_bytes, nobody.shared_to) == ({}, 0, 0, {})
