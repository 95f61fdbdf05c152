"""The connections to the archive's database: how they are opened and what their errors mean."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote
from weakref import WeakSet

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from trinitas_tasks.errors import SettingsError, Unavailable
from trinitas_tasks.tiers.archive.driver import Locked, explain, sqlite_driver, tells_of_damage
from trinitas_tasks.tiers.archive.file import DatabaseFile, Identity, check_whole

_OPENING: Final = threading.Lock()
"""Held while connections are opened and closed, and over every fork of this process."""
_ALL: Final[WeakSet[Engines]] = WeakSet()


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
    to write later fails at once where it should wait) and readers see one snapshot and cannot write. When
    another file stands at the path, or the file is damaged, the next call opens it anew.
    """

    def __init__(self, url: str, *, busy_timeout_ms: int) -> None:
        self._url = parse(url)
        self._busy_timeout_ms = busy_timeout_ms
        self._opened: dict[str, Engine] = {}
        is_sqlite = self._url.get_backend_name() == "sqlite"
        self.file: Final = DatabaseFile(self._url.database or "") if is_sqlite else None
        self.where: Final = str(self.file.path) if self.file else self._url.render_as_string()
        _ALL.add(self)

    @contextmanager
    def write(self, what: str) -> Iterator[Connection]:
        """A transaction that may write; committed at the end, rolled back on an error."""
        with self._explained(what):
            file = self._look(what)
            with self._begun("writer", self._open_writer) as connection:
                yield connection
            if self._look(what) != file:
                raise Unavailable(f"the archive {self.where} was replaced by another file meanwhile: try again")

    @contextmanager
    def read(self, what: str) -> Iterator[Connection]:
        """A transaction that reads."""
        with self._explained(what):
            self._look(what)
            with self._begun("reader", self._open_reader) as connection:
                yield connection

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        with _OPENING:
            self.dispose()

    def dispose(self) -> None:
        """As `close`, for a caller that holds the lock."""
        opened, self._opened = self._opened, {}
        for engine in opened.values():
            engine.dispose()
        if self.file:
            self.file.forget()

    def _look(self, what: str) -> Identity | None:
        """Which file stands at the path; connections to another one are closed. Raises: Unavailable."""
        if self.file is None:
            return None
        check_whole(self.file.path)
        with _OPENING:
            try:
                if self.file.replaced():
                    self.dispose()
                return self.file.identity()
            except OSError as error:
                raise explain(self.where, what, "unable to open database file", passing=True) from error

    @contextmanager
    def _begun(self, role: str, build: Callable[[], Engine]) -> Iterator[Connection]:
        with self._engine(role, build).begin() as connection:
            self._note_log()  # a writer has it open
            yield connection
            self._note_log()  # and so has a reader, once it read

    def _note_log(self) -> None:
        if self.file:
            with _OPENING:
                self.file.note_log()

    def _engine(self, role: str, build: Callable[[], Engine]) -> Engine:
        with _OPENING:
            if role not in self._opened:
                self._opened[role] = build()
            return self._opened[role]

    def _open_writer(self) -> Engine:
        if self.file is None:
            return create_engine(self._url, hide_parameters=True, pool_pre_ping=True)
        # one connection: threads queue for it in order, where SQLite would let them race
        engine = self._open_sqlite(pool_size=1, max_overflow=0)
        event.listen(engine, "connect", self._prepare_writer)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        return engine

    def _open_reader(self) -> Engine:
        if self.file is None:
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
        except PoolTimeout as error:
            raise Locked(
                f"the archive {self.where} failed to {what}: all its connections are in use; try again"
            ) from error
        except SQLAlchemyError as error:
            said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
            if self.file and tells_of_damage(said):
                self.close()
            lost = isinstance(error, DBAPIError) and error.connection_invalidated
            raise explain(self.where, what, said, passing=lost or isinstance(error, OperationalError)) from error


def _close_all() -> None:
    # SQLite counts its locks by process: a child that inherits a connection believes to hold locks which it
    # does not, even on the connections that it opens by itself
    _OPENING.acquire()
    for each in list(_ALL):
        each.dispose()


os.register_at_fork(before=_close_all, after_in_parent=_OPENING.release, after_in_child=_OPENING.release)
