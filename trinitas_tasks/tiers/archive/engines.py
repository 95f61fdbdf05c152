"""The connections to the archive's database: how they are opened and what their errors mean."""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import dbapi2 as standard_sqlite
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from trinitas_tasks.errors import ArchiveError, SettingsError, TrinitasError, Unavailable

START: Final = "run `trinitas up`, or start an ingest worker"


class Locked(Unavailable):
    """Another connection writes, and went on longer than this one waits."""


# What SQLite says, what that means here, and what to do.
MEANINGS: Final[tuple[tuple[str, type[TrinitasError], str], ...]] = (
    ("locked", Locked, "another process is writing to it: try again"),
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


def sqlite_driver() -> Any:
    """The driver with the newest SQLite: the standard library's, or the package ``pysqlite3`` if installed.

    All of a process must open one file by the same driver: a second copy of SQLite drops the locks of the
    first when it closes the file (https://sqlite.org/howtocorrupt.html, section 2.2.1).
    """
    if importlib.util.find_spec("pysqlite3") is None:
        return standard_sqlite
    other = importlib.import_module("pysqlite3.dbapi2")
    return max(standard_sqlite, other, key=lambda module: module.sqlite_version_info)


def parse(url: str) -> URL:
    """The parsed URL of an archive. Raises: SettingsError."""
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        raise SettingsError(f"ARCHIVE_URL is not the URL of a database: {error}") from None
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise SettingsError("ARCHIVE_URL: a SQLite archive is a file, as in sqlite:////var/lib/trinitas/archive.db")
    return parsed


class Engines:
    """One writer and several readers of one database, opened at the first call.

    On SQLite a missing file is never created, writers begin with BEGIN IMMEDIATE (a transaction that starts
    to write later fails at once where it should wait) and readers see one snapshot and cannot write.
    """

    def __init__(self, url: str, *, busy_timeout_ms: int) -> None:
        self._url = parse(url)
        self._busy_timeout_ms = busy_timeout_ms
        self._opened: dict[str, Engine] = {}
        self._lock = threading.Lock()
        self.is_sqlite: Final = self._url.get_backend_name() == "sqlite"
        self.where: Final = (
            str(Path(self._url.database or "").absolute()) if self.is_sqlite else self._url.render_as_string()
        )

    @contextmanager
    def write(self, what: str) -> Iterator[Connection]:
        """A transaction that may write; committed at the end, rolled back on an error."""
        with self._explained(what), self._engine("writer", self._open_writer).begin() as connection:
            yield connection

    @contextmanager
    def read(self, what: str) -> Iterator[Connection]:
        """A transaction that reads."""
        with self._explained(what), self._engine("reader", self._open_reader).begin() as connection:
            yield connection

    def create_file(self) -> None:
        """Make an empty SQLite file, closed to other users, unless there is one. Raises: Unavailable."""
        try:
            Path(self.where).parent.mkdir(parents=True, exist_ok=True)
            Path(self.where).touch(mode=0o600)
        except OSError as error:
            raise Unavailable(f"the archive {self.where} cannot be created: {error.strerror}") from error

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        with self._lock:
            opened, self._opened = self._opened, {}
        for engine in opened.values():
            engine.dispose()

    def _engine(self, role: str, build: Callable[[], Engine]) -> Engine:
        with self._lock:
            if role not in self._opened:
                self._opened[role] = build()
            return self._opened[role]

    def _open_writer(self) -> Engine:
        if not self.is_sqlite:
            return create_engine(self._url, hide_parameters=True, pool_pre_ping=True)
        # one connection: threads queue for it in order, where SQLite would let them race
        engine = self._open_sqlite(pool_size=1, max_overflow=0)
        event.listen(engine, "connect", self._prepare_writer)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        return engine

    def _open_reader(self) -> Engine:
        if not self.is_sqlite:
            return self._open_writer()
        engine = self._open_sqlite(pool_size=5, max_overflow=10)
        event.listen(engine, "connect", self._prepare_reader)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        return engine

    def _open_sqlite(self, *, pool_size: int, max_overflow: int) -> Engine:
        seconds = self._busy_timeout_ms / 1000
        return create_engine(
            self._url.set(database=f"file:{quote(self.where)}", query={"mode": "rw", "uri": "true"}),
            module=sqlite_driver(),
            connect_args={"timeout": seconds},
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_timeout=seconds,
            hide_parameters=True,  # an error that is logged must not show memories
        )

    def _prepare_writer(self, connection: Any, _record: object) -> None:
        self._prepare(connection, "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON")

    def _prepare_reader(self, connection: Any, _record: object) -> None:
        self._prepare(connection, "query_only = ON")

    def _prepare(self, connection: Any, *pragmas: str) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself: the begin events do
        for pragma in (f"busy_timeout = {self._busy_timeout_ms}", "mmap_size = 0", *pragmas):
            connection.execute(f"PRAGMA {pragma}").close()

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise self._explain(what, error) from error

    def _explain(self, what: str, error: SQLAlchemyError) -> TrinitasError:
        failed = f"the archive {self.where} failed to {what}"
        if isinstance(error, PoolTimeout):
            return Locked(f"{failed}: all its connections are in use; try again")
        said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        for sign, kind, advice in MEANINGS if self.is_sqlite else ():
            if sign in said.lower():
                return kind(f"{failed}: {said}; {advice}")
        if isinstance(error, OperationalError) or (isinstance(error, DBAPIError) and error.connection_invalidated):
            return Unavailable(f"{failed}: {said}; try again")
        return ArchiveError(f"{failed}: {said}")
