"""A SQLite file of this machine: opened, locked and committed so that several processes may write to it.

Written with the standard library: a thin client has no SQLAlchemy.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from trinitas_tasks.errors import Unavailable

LOOK_SECONDS: Final = 0.002
ABANDONED: Final[list[object]] = []
"""Connections of the process that this one was forked from."""


class LocalFile:
    """The file at ``path``, made by the first call that needs it, for its owner only; ``name`` is what errors call it.

    Every transaction is committed with `synchronous=FULL` under a lock of its own: SQLite before 3.51.3, which many
    Pythons bring, may lose a commit of a WAL file that another connection checkpoints at the same moment (the WAL-reset
    bug), and other journals cost three times as much. The lock is waited for ``patience_seconds``.
    """

    def __init__(self, path: Path, *, name: str, schema: str, patience_seconds: float) -> None:
        """``schema``: statements that may be run each time that it is opened."""
        self.path: Final = path
        self._name = name
        self._schema = schema
        self._patience_seconds = patience_seconds
        self._thread = threading.RLock()
        self._pid = os.getpid()
        self._connection: sqlite3.Connection | None = None
        self._lock_file: IO[bytes] | None = None
        self._opened_as: tuple[int, int] | None = None

    @property
    def exists(self) -> bool:
        """Whether anything was ever kept here."""
        return self.path.exists()

    def close(self) -> None:
        """Give the connection back; the next call opens another."""
        with self._thread:
            if self._pid == os.getpid() and self._connection is not None and self._lock_file is not None:
                # the last one to close checkpoints; where somebody holds the lock, this is not the last
                with suppress(Unavailable), self._locked(self._lock_file):
                    self._connection.close()
                self._connection.close()
                self._lock_file.close()
                self._connection = self._lock_file = None

    @contextmanager
    def transaction(self, what: str) -> Iterator[sqlite3.Connection]:
        """Committed at the end, rolled back on an error. Raises: Unavailable."""
        with self._thread, self._explained(what):
            connection, lock_file = self._opened()
            with self._locked(lock_file):
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """For single statements that read. Raises: Unavailable."""
        with self._thread, self._explained("read"):
            yield self._opened()[0]

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self._forget_connection()
            raise Unavailable(
                f"the {self._name} {self.path} failed to {what}: {error}; check its disk and who may write to it"
            ) from error

    @contextmanager
    def _locked(self, lock_file: IO[bytes]) -> Iterator[None]:
        until = time.monotonic() + self._patience_seconds
        while True:
            try:
                fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Unavailable(
                        f"the {self._name} {self.path} is held by another process: is one stopped?"
                    ) from None
                time.sleep(LOOK_SECONDS)
        try:
            yield
        finally:
            fcntl.flock(lock_file, fcntl.LOCK_UN)

    def _opened(self) -> tuple[sqlite3.Connection, IO[bytes]]:
        if self._pid != os.getpid():  # a connection does not survive a fork, and must not be closed after it either
            ABANDONED.append((self._connection, self._lock_file))
            self._connection = self._lock_file = None
            self._pid = os.getpid()
        if self._connection is not None and self._opened_as != self._standing():
            self._forget_connection()  # what goes to a file that was moved or deleted is lost
        if self._connection is None or self._lock_file is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock_path = self.path.with_name(f"{self.path.name}.lock")
            for path in (self.path, lock_path):
                path.touch(mode=0o600)
            lock_file = lock_path.open("wb")
            try:
                with self._locked(lock_file):
                    self._connection = self._connected()
            except BaseException:
                lock_file.close()
                raise
            self._lock_file = lock_file
            self._opened_as = self._standing()
        return self._connection, self._lock_file

    def _standing(self) -> tuple[int, int] | None:
        """Which file stands at the path, None: none."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._patience_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
                with closing(connection.execute(f"PRAGMA {pragma}")):
                    pass
            connection.executescript(self._schema)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _forget_connection(self) -> None:
        """After an error the file is opened anew: it may have been replaced."""
        if self._connection is not None:
            self._connection.close()
        if self._lock_file is not None:
            self._lock_file.close()
        self._connection = self._lock_file = None
