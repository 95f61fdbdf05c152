"""The SQLite driver and what its errors mean, for those that open the archive with SQLAlchemy and without."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from sqlite3 import dbapi2 as standard_sqlite
from typing import Any, Final

from trinitas_tasks.errors import ArchiveError, DeadlineExceeded, TrinitasError, Unavailable

START: Final = "run `trinitas up`, or start an ingest worker"


class Locked(Unavailable):
    """Another connection writes, and went on longer than this one waits."""


# What SQLite says, what that means here, and what to do.
MEANINGS: Final[tuple[tuple[str, type[TrinitasError], str], ...]] = (
    ("locked", Locked, "another process is writing to it: try again"),
    ("interrupted", DeadlineExceeded, "it took too long: try again"),
    ("disk is full", Unavailable, "make room on its disk"),
    ("readonly", Unavailable, "make the file and its folder writable for this user"),
    ("unable to open", Unavailable, f"it is missing ({START}) or not open to this user (check its folder)"),
    ("disk i/o", Unavailable, "check its disk: space, quota and health"),
    ("not a database", ArchiveError, "it is another kind of file: move it away, then restore a backup"),
    ("malformed", ArchiveError, "the file is damaged: move it away, then restore a backup"),
    ("no such module", ArchiveError, "this SQLite has no FTS5: install the package pysqlite3"),
    ("no such table", ArchiveError, f"its schema is missing: {START}"),
    ("no such column", ArchiveError, f"its schema is of another version: {START}"),
)
DAMAGE: Final = ("disk i/o", "not a database", "malformed")


@cache
def sqlite_driver() -> Any:
    """The driver with the newest SQLite: the standard library's, or the package ``pysqlite3`` if installed.

    All of a process must open one file by the same driver: a second copy of SQLite drops the locks of the
    first when it closes the file (https://sqlite.org/howtocorrupt.html, section 2.2.1).
    """
    if importlib.util.find_spec("pysqlite3") is None:
        return standard_sqlite
    other = importlib.import_module("pysqlite3.dbapi2")
    return max(standard_sqlite, other, key=lambda module: module.sqlite_version_info)


def explain(where: str, what: str, said: str, *, passing: bool) -> TrinitasError:
    """The error for what SQLite said when the archive failed to do something; ``passing``: what kind it is
    where its words are not known."""
    failed = f"the archive {where} failed to {what}: {said}"
    for sign, kind, advice in MEANINGS:
        if sign in said.lower():
            return kind(f"{failed}; {advice}")
    return Unavailable(f"{failed}; try again") if passing else ArchiveError(failed)


def tells_of_damage(said: str) -> bool:
    """Whether an open connection may hold pages that are not, or no longer, what is in the file."""
    return any(sign in said.lower() for sign in DAMAGE)
