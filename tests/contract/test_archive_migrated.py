"""What every archive knows of where memories came from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.archives import KINDS, made, row
from trinitas_tasks.model import Key
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.provenance import TAKEN_BACK, Migrated

KEYS = [Key(persona, id_) for persona in ("athena", "hera") for id_ in ("a", "b", "c")]


@pytest.fixture(params=KINDS)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    """Every archive in turn."""
    with made(request.param, tmp_path) as archive:
        yield archive


def note(key: Key, migration: str = "old", version: int = 1) -> Migrated:
    return Migrated(migration, key, version, f"{key.id}{version}".rjust(64, "0"))


def test_notes_are_listed_by_key_page_by_page(archive: Archive) -> None:
    notes = [note(key) for key in KEYS]
    archive.note_migrated([])
    archive.note_migrated(notes[::-1])
    archive.note_migrated([note(KEYS[0], "other")])
    found: list[Migrated] = []
    while more := archive.migrated("old", found[-1].key if found else None, 2):
        found += more
    assert found == notes
    assert archive.migrations() == {"old": 6, "other": 1}
    assert archive.migrated("none", None, 10) == []


def test_of_one_migration_and_key_the_last_note_counts(archive: Archive) -> None:
    archive.note_migrated([note(KEYS[0])])
    archive.note_migrated([note(KEYS[0], version=2)])
    assert archive.migrated_of("old", [KEYS[1], KEYS[0]]) == [None, note(KEYS[0], version=2)]


def test_notes_are_dropped_by_name_and_the_memory_stays(archive: Archive) -> None:
    archive.store([row(id="a")])
    archive.note_migrated([note(KEYS[0]), note(KEYS[0], "other"), note(KEYS[1])])
    archive.drop_migrated("old", [KEYS[0], KEYS[2]])
    assert archive.migrations() == {"old": 1, "other": 1}
    assert archive.versions("athena", ["a"]) == [1]


def test_a_note_goes_with_its_memory_but_not_with_an_older_version_of_it(archive: Archive) -> None:
    archive.note_migrated([note(KEYS[0]), note(KEYS[1])])  # before its memory: a crash may come between
    archive.store([row(id="a"), row(id="b", version=9)])
    archive.erase([(KEYS[0], 1), (KEYS[1], 1)])
    assert archive.migrated("old", None, 10) == [note(KEYS[1])]


def test_that_it_was_taken_back_is_kept_when_it_is_erased(archive: Archive) -> None:
    archive.store([row(id="a")])
    archive.note_migrated([note(KEYS[0]), note(KEYS[0], TAKEN_BACK)])
    assert archive.migrations() == {"old": 1}
    archive.erase([(KEYS[0], 1)])
    assert archive.migrated_of("old", [KEYS[0]]) == [None]
    assert archive.migrated_of(TAKEN_BACK, [KEYS[0]]) == [note(KEYS[0], TAKEN_BACK)]
    assert archive.migrations() == {}


def test_what_was_erased_is_told_until_it_is_here_again(archive: Archive) -> None:
    archive.store([row(id="a")])
    archive.erase([(KEYS[0], 1), (KEYS[1], 7)])
    assert archive.erased("athena", ["b", "a", "c", "b"]) == [7, 1, None, 7]
    archive.store([row(id="a", version=2)])
    assert archive.erased("athena", ["a"]) == [None]
    assert archive.erased("hera", ["b"]) == [None]
