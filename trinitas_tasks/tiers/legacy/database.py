"""The SQLite files of a store of version 3.5, opened so that nothing beside them is made or changed.

A file that a plain read would change is copied first and the copy is read: one with a write-ahead log (reading makes a
``-shm`` file) and one with the journal of a broken-off change (reading would take that change back).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.tiers.legacy.layout import Kind, Part

WAIT_SECONDS: Final = 5.0
"""So long a lock of the program that writes the store is waited for."""
TRIES: Final = 3
WAL: Final = 2
"""The 19th byte of a database that keeps a write-ahead log."""
ID_LIST: Final = 500


class Busy(Unavailable):
    """Another program writes the file, and went on longer than this one waits."""


@contextmanager
def opened(part: Part, work: Path) -> Iterator[sqlite3.Connection]:
    """A connection that reads. ``work``: a folder for copies. Raises: Busy, sqlite3.Error, OSError."""
    path = copied(part, work) if _would_change(part.path) else part.path
    is_copy = path != part.path
    target = f"file:{quote(str(path))}?mode={'rw' if is_copy else 'ro'}"
    with closing(sqlite3.connect(target, uri=True, timeout=WAIT_SECONDS, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.text_factory = _text
        connection.execute("PRAGMA trusted_schema = OFF")
        if not is_copy:
            connection.execute("PRAGMA query_only = ON")
        with _explained(part):
            yield connection


def rows(connection: sqlite3.Connection, table: str, after: int, limit: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """The next rows of a table with their numbers, in that order."""
    found = connection.execute(
        f'SELECT rowid AS "trinitas rowid", * FROM "{table}" WHERE rowid > ? ORDER BY rowid LIMIT ?', (after, limit)
    )
    for row in found:
        columns = dict(row)
        yield columns.pop("trinitas rowid"), columns


def known(connection: sqlite3.Connection, table: str, persona: str | None, ids: Sequence[str]) -> set[str]:
    """Those of these ids that a table has; of one persona where one is given."""
    found: set[str] = set()
    whose = "" if persona is None else " AND persona = ?"
    for start in range(0, len(ids), ID_LIST):
        some = list(ids[start : start + ID_LIST])
        wanted = f'SELECT id FROM "{table}" WHERE id IN ({",".join("?" * len(some))}){whose}'
        found |= {row[0] for row in connection.execute(wanted, [*some, *([] if persona is None else [persona])])}
    return found


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


@contextmanager
def _explained(part: Part) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise Busy(f"{part.name} is locked: another program writes it; end it, then try again") from error
        raise


def _would_change(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(20)
    beside = (path.with_name(path.name + end) for end in ("-wal", "-journal"))
    return header[18:20] == bytes([WAL, WAL]) or any(_size(each) for each in beside)


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def copied(part: Part, work: Path) -> Path:
    """Where a copy of this state of a part and what belongs to it is. Raises: Busy, OSError."""
    base = part.path if part.kind is Kind.CHROMA else part.path.parent
    for _ in range(TRIES):
        before = _state(part)
        folder = work / hashlib.sha256(repr((part.name, before)).encode()).hexdigest()[:32]
        if not folder.exists():
            scratch = work / f"{folder.name}.{os.getpid()}"
            shutil.rmtree(scratch, ignore_errors=True)
            for file in part.files:
                target = scratch / file.relative_to(base)
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                shutil.copyfile(file, target)
            if _state(part) == before:
                with suppress(OSError):  # another process was faster
                    scratch.rename(folder)
            shutil.rmtree(scratch, ignore_errors=True)
        if folder.exists():
            return folder / part.path.relative_to(base)
    raise Busy(f"{part.name} changes while it is copied: end the program that writes it, then try again")


def _state(part: Part) -> list[tuple[str, int, int]]:
    return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in part.files]
