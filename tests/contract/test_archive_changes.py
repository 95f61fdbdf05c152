"""The order of changes, and the neighbours of a memory in its session."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.archives import row
from trinitas_tasks.model import Key, Record
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.memory import MemoryArchive

T0 = datetime(2026, 5, 1, tzinfo=UTC)


def ids(records: list[Record]) -> list[str]:
    return [record.item.id for record in records]


def tailed(archive: Archive, batch: int, after: int = 0) -> tuple[dict[Key, Record | None], int]:
    """What somebody knows who has read all changes."""
    known: dict[Key, Record | None] = {}
    while changes := archive.changes(after, batch):
        assert [each.change for each in changes] == sorted(each.change for each in changes)
        assert changes[0].change > after
        known |= {each.key: each.record for each in changes}
        after = changes[-1].change
    return known, after


def test_everything_that_changes_is_told_in_order(archive: Archive) -> None:
    assert (archive.position().change, archive.changes(0, 10)) == (0, [])
    archive.store([row("one", 1, id="m1"), row("two", 2, id="m2")])
    archive.store([row("one again", 3, id="m1")])
    assert [(each.key.id, each.record and each.record.version) for each in archive.changes(0, 10)] == [
        ("m2", 2),
        ("m1", 3),
    ]
    before = archive.position().change
    archive.erase([(Key("athena", "m2"), 9), (Key("athena", "never"), 9)])
    assert [(each.key.id, each.record) for each in archive.changes(before, 10)] == [("m2", None), ("never", None)]
    assert archive.position().change == archive.changes(0, 10)[-1].change
    archive.store([row("two again", 10, id="m2")])
    assert [each.key.id for each in archive.changes(0, 10)] == ["m1", "never", "m2"]


def test_what_changes_nothing_is_not_told(archive: Archive) -> None:
    archive.store([row("one", 5, id="m1")])
    told = archive.changes(0, 10)
    archive.store([row("one", 5, id="m1"), row("older", 4, id="m1")])
    assert archive.changes(0, 10) == told


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from("se"), st.sampled_from("abcde"), st.integers(1, 9)), max_size=30),
    batch=st.integers(1, 7),
    pause=st.integers(0, 29),
)
def test_whoever_tails_knows_the_final_state(
    archive: Archive, steps: list[tuple[str, str, int]], batch: int, pause: int
) -> None:
    known, after = tailed(archive, batch, archive.position().change)
    names = [f"{after}-{each}" for each in "abcde"]
    for number, (what, name, version) in enumerate(steps):
        of = names["abcde".index(name)]
        if what == "s":
            archive.store([row(f"{number}", version, id=of)])
        else:
            archive.erase([(Key("athena", of), version)])
        if number == pause:
            more, after = tailed(archive, batch, after)
            known |= more
    more, _ = tailed(archive, batch, after)
    known |= more
    standing = dict(zip(names, archive.load("athena", names), strict=True))
    assert {each.id: record for each, record in known.items() if record} == {
        id_: record for id_, record in standing.items() if record
    }


def test_nothing_is_missed_while_others_write(archive: Archive) -> None:
    def write(name: str) -> None:
        for number in range(20):
            archive.store([row("text", 1, id=f"{name}{number}")])

    writers = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for each in writers:
        each.start()
    known: dict[Key, Record | None] = {}
    after = 0
    while any(each.is_alive() for each in writers) or archive.position().change > after:
        more, after = tailed(archive, 5, after)
        known |= more
    assert len(known) == 60


def test_an_archive_has_a_number_of_its_own(archive: Archive) -> None:
    assert archive.position().epoch == archive.position().epoch > 0
    assert archive.position().epoch != MemoryArchive().position().epoch


def test_neighbours_are_those_of_the_session_in_its_order(archive: Archive) -> None:
    said = [("a", 0, 1), ("b", 0, 1), ("x", 0, 2), ("d", 2, 1), ("c", 1, 1), ("alone", 0, None), ("other", 0, 1)]
    archive.store(
        [
            row(
                name,
                1,
                id=name,
                timestamp=T0 + timedelta(minutes=minutes),
                metadata={} if session is None else {"session": session},
                persona="hera" if name == "other" else "athena",
            )
            for name, minutes, session in said
        ]
    )
    keys = [Key("athena", each) for each in ("b", "a", "d", "x", "alone", "nowhere")]
    found = [(ids(before), ids(after)) for before, after in archive.around(keys, 2, 1)]
    assert found == [(["a"], ["c"]), ([], ["b"]), (["b", "c"], []), ([], []), ([], []), ([], [])]
    assert ids(archive.around(keys[:1], 0, 9)[0][1]) == ["c", "d"]


@pytest.mark.parametrize("metadata", [{"session": True}, {"session": " "}, {"session": None}, {"session": [1]}])
def test_what_names_no_session_is_in_none(archive: Archive, metadata: dict[str, object]) -> None:
    archive.store([row("a", 1, id="a", metadata=metadata), row("b", 1, id="b", metadata=metadata)])
    assert archive.around([Key("athena", "a")], 1, 1) == [([], [])]
