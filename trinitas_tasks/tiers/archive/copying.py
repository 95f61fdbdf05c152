"""A consistent copy of a SQLite archive that is in use, and a look at such a copy; without SQLAlchemy."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from trinitas_tasks.errors import ArchiveError, Unavailable
from trinitas_tasks.model import Key
from trinitas_tasks.policy.micros import to_micros
from trinitas_tasks.tiers.archive.driver import explain, sqlite_driver
from trinitas_tasks.tiers.archive.revisions import refuse_newer

PAGES: Final = 2000
"""Copied in one step, 8 MB: some 10 ms."""
BUSY_SECONDS: Final = 10.0
COUNTED: Final = ("memories", "tombstones", "grants", "vectors", "dead_letters")

Watch = Callable[[int, int], None]
"""Told how many pages of how many are copied; what it raises breaks off."""


class Facts(NamedTuple):
    """What an archive holds: rows by table, the names of the models whose vectors it has, the highest version of all
    memories, erasures and grants, and the number of its last change."""

    revision: str
    counts: dict[str, int]
    models: list[str]
    highest: int
    change: int


def snapshot(source: Path, target: Path, *, watch: Watch) -> None:
    """Copy the archive at ``source``, as it is at one moment, into a new file; writers go on meanwhile.

    All steps read in one transaction: else each commit of a writer would begin the copy anew. What is written until it
    ends stays in the write-ahead log. Raises: Unavailable, ArchiveError.
    """
    with _connected(source, "be copied", mode="ro") as origin, _connected(target, "take a copy", mode="rwc") as copy:
        origin.execute("BEGIN")
        origin.execute("SELECT count(*) FROM sqlite_master").fetchone()
        origin.backup(copy, pages=PAGES, progress=lambda _, left, pages: watch(pages - left, pages))
        origin.execute("COMMIT")
        copy.execute("PRAGMA journal_mode = DELETE").fetchone()  # one file, whoever opens it


def examined(path: Path) -> Facts:
    """What a copy holds, its pages and indexes checked. Raises: ArchiveError for one that is damaged or no archive."""
    with _connected(path, "be checked", mode="ro") as connection:
        found = [row[0] for row in connection.execute("PRAGMA quick_check(5)")]
        if found != ["ok"]:
            raise ArchiveError(f"the archive {path} is damaged: {'; '.join(map(str, found))}")
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        refuse_newer(str(path), revision and revision[0])
        counts = {name: _one(connection, f"SELECT count(*) FROM {name}") for name in COUNTED}
        tops = [_one(connection, f"SELECT max(version) FROM {name}") for name in ("memories", "tombstones", "grants")]
        change = _one(connection, "SELECT max(value) FROM counters WHERE name = 'change'")
        models = [row[0] for row in connection.execute("SELECT DISTINCT model FROM vectors ORDER BY model")]
        return Facts(str(revision[0]) if revision else "", counts, models, max(tops), change)


class Copy:
    """A copy of an archive, to be asked what it has."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def has(self, key: Key, version: int) -> bool:
        """Whether it holds this version of the memory or a newer one, or that the memory was erased since."""
        return self._version("memories", key) >= version or self.has_erased(key, version)

    def has_erased(self, key: Key, version: int) -> bool:
        """Whether it holds that this version of the memory, or a newer one, was erased."""
        return self._version("tombstones", key) >= version

    def has_heard(self, key: Key, by: str, said: str, at: datetime) -> bool:
        """Whether it holds this opinion on a memory; of pins, which change nothing the second time, it is not known."""
        values = (*key, by, int(said == "useful"), to_micros(at))
        heard = self._connection.execute(
            "SELECT 1 FROM feedback WHERE persona = ? AND id = ? AND by = ? AND useful = ? AND at = ?", values
        )
        return said in ("useful", "useless") and heard.fetchone() is not None

    def _version(self, table: str, key: Key) -> int:
        found = self._connection.execute(
            f"SELECT version FROM {table} WHERE persona = ? AND id = ?", tuple(key)
        ).fetchone()
        return int(found[0]) if found else 0


@contextmanager
def opened(path: Path) -> Iterator[Copy]:
    """The copy at a path. Raises: ArchiveError."""
    with _connected(path, "be read", mode="ro") as connection:
        yield Copy(connection)


def _one(connection: Any, statement: str) -> int:
    return int(connection.execute(statement).fetchone()[0] or 0)


@contextmanager
def _connected(path: Path, what: str, *, mode: str) -> Iterator[Any]:
    driver = sqlite_driver()
    name = f"file:{quote(str(path.absolute()))}?mode={mode}"
    try:
        with closing(driver.connect(name, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            yield connection
    except (driver.Error, sqlite3.Error) as error:
        passing = isinstance(error, driver.OperationalError)
        raise explain(str(path), what, str(error), passing=passing) from error
    except OSError as error:
        raise Unavailable(f"the archive {path} failed to {what}: {error}") from error
