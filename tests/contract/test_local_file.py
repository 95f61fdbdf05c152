"""What the files under the spool and the ledger have in common; more of it is asserted of each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from trinitas_tasks.tiers.local_file import LocalFile

SCHEMA = "CREATE TABLE IF NOT EXISTS numbers (number INTEGER);"


@pytest.fixture
def file(tmp_path: Path) -> Iterator[LocalFile]:
    with closing(LocalFile(tmp_path / "x.db", name="book", schema=SCHEMA, patience_seconds=0.3)) as made:
        yield made


def numbers(file: LocalFile) -> list[int]:
    with file.reading() as connection:
        return [number for (number,) in connection.execute("SELECT number FROM numbers").fetchall()]


def test_what_is_broken_off_leaves_nothing(file: LocalFile) -> None:
    with file.transaction("count") as connection:
        connection.execute("INSERT INTO numbers VALUES (1)")
    with pytest.raises(KeyboardInterrupt), file.transaction("count") as connection:
        connection.execute("INSERT INTO numbers VALUES (2)")
        raise KeyboardInterrupt
    assert numbers(file) == [1]
    with file.transaction("count") as connection:
        connection.execute("INSERT INTO numbers VALUES (3)")
    assert numbers(file) == [1, 3]


def test_a_file_that_was_moved_is_begun_anew(file: LocalFile) -> None:
    for number in (1, 2):
        with file.transaction("count") as connection:
            connection.execute("INSERT INTO numbers VALUES (?)", (number,))
        assert numbers(file) == [number]
        file.path.rename(file.path.with_name(f"aside-{number}.db"))
    assert numbers(file) == []
