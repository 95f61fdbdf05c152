"""What the files under the spool and the ledger have in common; more of it is asserted of each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.tiers.local_file import LocalFile

SCHEMA = "CREATE TABLE IF NOT EXISTS numbers (number INTEGER);"


@pytest.fixture
def file(tmp_path: Path) -> Iterator[LocalFile]:
    with closing(LocalFile(tmp_path / "x.db", name="book", schema=SCHEMA, patience_seconds=0.3)) as made:
        yield made


def numbers(file: LocalFile) -> list[int]:
    with file.reading() as connection:
        return [number for (number,) in connection.execute("SELECT number FROM numbers").fetchall()]


def kept(file: LocalFile, number: object) -> None:
    """Keep one and another; what is no number of SQLite breaks it off in between."""
    with file.transaction("count") as connection:
        for each in (0, number):
            connection.execute("INSERT INTO numbers VALUES (?)", (each,))


def test_what_is_broken_off_leaves_nothing(file: LocalFile) -> None:
    kept(file, 1)
    for wrong, error in ((1 << 80, OverflowError), (object(), Unavailable)):
        with pytest.raises(error):
            kept(file, wrong)
    kept(file, 2)
    assert numbers(file) == [0, 1, 0, 2]


def test_a_file_that_was_moved_is_begun_anew(file: LocalFile) -> None:
    for number in (1, 2):
        kept(file, number)
        assert numbers(file) == [0, number]
        file.path.rename(file.path.with_name(f"aside-{number}.db"))
    assert numbers(file) == []
