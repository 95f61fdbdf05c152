"""Dead letters and the runs of tasks, in every archive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from tests.contract.archives import row
from trinitas_tasks.model import Key
from trinitas_tasks.tiers.archive.interface import Archive, DeadLetter, Run

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, UTC)
M1 = Key("athena", "m1")


def test_dead_letters_are_kept_until_the_memory_is_archived_or_erased(archive: Archive) -> None:
    letters = [DeadLetter(Key("athena", f"m{n}"), 2, b"\xff\x00 body", "it is broken", NOW) for n in range(3)]
    archive.bury_dead(letters)
    again = letters[0]._replace(error="still broken", at=NOW + timedelta(seconds=1))
    archive.bury_dead([again])
    assert archive.dead(10) == [letters[1], letters[2], again]
    assert archive.dead(1) == [letters[1]]
    assert (archive.stats("athena").dead_letters, archive.stats("hera").dead_letters) == (3, 0)
    archive.store([row(version=2, id="m0"), row(version=1, id="m1")])
    archive.erase([(Key("athena", "m2"), 2)])
    assert archive.dead(10) == [letters[1]]


def test_a_letter_about_what_was_erased_is_not_kept(archive: Archive) -> None:
    archive.erase([(M1, 2)])
    archive.bury_dead([DeadLetter(M1, 2, b"body", "late", NOW), DeadLetter(M1, 3, b"body", "newer", NOW)])
    assert [letter.version for letter in archive.dead(10)] == [3]


def test_letters_are_listed_by_persona_and_dropped_by_name(archive: Archive) -> None:
    personas = ("athena", "hera", "athena")
    letters = [DeadLetter(Key(who, f"m{n}"), n, b"body", "broken", NOW) for n, who in enumerate(personas)]
    archive.bury_dead(letters)
    assert archive.dead(10, "athena") == [letters[0], letters[2]]
    assert archive.dead(1, persona="athena") == [letters[0]]
    assert archive.dead(10, "zeus") == []
    named = [(letter.key, letter.version) for letter in letters[:2]]
    unknown = [(letters[2].key, 7), (Key("hera", "m2"), 2)]
    assert archive.drop_dead([*named, *unknown, named[0]]) == 2
    assert archive.dead(10) == [letters[2]]
    assert archive.drop_dead(named) == 0


def test_what_a_task_did_comes_newest_first(archive: Archive) -> None:
    detail: dict[str, JsonValue] = {"reasons": ["chroma: 漢字🦊", None, 1.5], "none": {}}
    first = Run("reconcile", NOW, 1.25, 10, 2, 1, detail)
    later = Run("reconcile", NOW + timedelta(microseconds=1), 0.5, 0, 0, 0, {})
    other = Run("prune", NOW, 0.0, 2**40, 3, 0, {})
    for run in (later, other, first, first):  # a slow run is logged after the one that began after it
        archive.log_run(run)
    assert archive.runs("reconcile", 10) == [later, first, first]
    assert archive.runs("reconcile", 1) == [later]
    assert archive.runs("prune", 10) == [other]
    assert archive.runs("unknown", 10) == []


def test_the_newest_thousand_runs_of_each_task_are_kept(archive: Archive) -> None:
    rare = Run("backup", NOW - timedelta(days=1), 1.0, 1, 1, 0, {})
    archive.log_run(rare)
    for n in range(1005):
        archive.log_run(Run("sweep", NOW + timedelta(seconds=n), 0.1, n, 0, 0, {}))
    assert [run.examined for run in archive.runs("sweep", 2000)] == list(range(1004, 4, -1))
    assert archive.runs("backup", 10) == [rare]
