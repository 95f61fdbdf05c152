"""The archive in a SQL database: SQLite unless the URL says otherwise.

Full text is SQLite's FTS5; on another database everything else works and `search_text` is unavailable.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import numpy as np
from alembic import command
from alembic.config import Config
from numpy.typing import NDArray
from pydantic import JsonValue
from sqlalchemy import text, update

from trinitas_tasks.errors import ArchiveError, Unavailable
from trinitas_tasks.model import Key, Position, Record, utc_now
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.policy.chronology import Span, Stretch
from trinitas_tasks.policy.grants import Grant
from trinitas_tasks.policy.micros import to_micros
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.archive import changes, filtering, fulltext, granting, reading, statements, writing
from trinitas_tasks.tiers.archive.driver import START, Locked
from trinitas_tasks.tiers.archive.engines import Engines
from trinitas_tasks.tiers.archive.interface import (
    EVERYTHING,
    UNFILTERED,
    ArchiveStats,
    Change,
    DeadLetter,
    Listed,
    Match,
    Row,
    Run,
    Similar,
    Unindexed,
)
from trinitas_tasks.tiers.archive.revisions import HEAD, refuse_newer
from trinitas_tasks.tiers.archive.rows import from_columns, highest, newest, to_columns
from trinitas_tasks.tiers.archive.schema import memories, vectors
from trinitas_tasks.tiers.archive.sql_definitions import SqlDefinitions

MIGRATIONS: Final = "trinitas_tasks.tiers.archive:migrations"
FULL_MB: Final = 50
"""With less free space a disk counts as full."""


class SqlArchive(SqlDefinitions):
    """The archive at a SQLAlchemy URL. Nothing is opened before the first call.

    The ingest worker calls `migrate` before anything else; everybody else finds out with `ping`, which fails
    when less than ``reserve_mb`` MB of the disk are free. A process may fork while no call is under way: the
    connections are closed before, and both sides open their own.
    """

    def __init__(self, url: str, *, busy_timeout_ms: int = 5000, reserve_mb: int = 16) -> None:
        super().__init__(Engines(url, busy_timeout_ms=busy_timeout_ms))
        self._reserve_mb = reserve_mb

    def migrate(self, *, patience_seconds: float = 30.0) -> None:
        """Bring the database to this version's schema, making a missing file; two may do so at once.

        Raises: ArchiveError for a database of a newer version, Unavailable.
        """
        if self._engines.file:
            self._engines.file.create()
        give_up = time.monotonic() + patience_seconds
        while True:
            try:
                return self._migrate()
            except Locked:  # SQLite does not wait for the lock under which a file becomes a WAL file
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.05)

    def _migrate(self) -> None:
        with self._engines.write("migrate") as connection:
            refuse_newer(self._engines.where, reading.revision(connection))
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", MIGRATIONS)
            config.set_main_option("path_separator", "os")
            command.upgrade(config, "head")
            changes.begin_epoch(connection)

    def begin_anew(self) -> None:
        """This is a copy that goes its own way: it begins an epoch of its own, which full-text indexes depend on, and
        the vector tier has nothing of it."""
        with self._engines.write("begin anew") as connection:
            changes.renew_epoch(connection)
            connection.execute(update(vectors).where(vectors.c.indexed == 1).values(indexed=0))

    def ping(self) -> None:
        """See Archive."""
        where, file = self._engines.where, self._engines.file
        with self._engines.read("answer") as connection:
            found = reading.revision(connection)
        refuse_newer(where, found)
        if found != HEAD:
            state = f"is at revision {found}, not {HEAD}" if found else "has no schema yet"
            raise ArchiveError(f"the archive {where} {state}: {START}")
        if file and file.free_mb < self._reserve_mb:
            raise Unavailable(f"the archive {where} has only {file.free_mb} MB left on its disk: make room there")

    def facts(self) -> dict[str, JsonValue]:
        """See Archive: ``where``, ``revision`` and ``full``, and of SQLite also ``sqlite_version``, ``journal_mode``,
        ``size_mb``, ``wal_mb`` and ``free_mb``. ``full``: less than `FULL_MB` are free."""
        file = self._engines.file
        with self._engines.read("tell its state") as connection:
            facts: dict[str, JsonValue] = {"where": self._engines.where, "revision": reading.revision(connection)}
            if file is None:
                return facts | {"full": False}
            facts["sqlite_version"] = connection.scalar(text("SELECT sqlite_version()"))
            facts["journal_mode"] = connection.scalar(text("PRAGMA journal_mode"))
        free_mb = file.free_mb
        sizes: dict[str, JsonValue] = {"size_mb": file.size_mb, "wal_mb": file.wal_mb, "free_mb": free_mb}
        return facts | sizes | {"full": free_mb < FULL_MB}

    def store(self, rows: Sequence[Row]) -> list[int]:
        """See Archive."""
        now = utc_now()
        columns = {key: to_columns(row.record, now) for key, row in newest(rows).items()}
        with self._engines.write("store memories") as connection:
            return writing.store(connection, rows, columns)

    def erase(self, keys: Sequence[tuple[Key, int]]) -> list[int | None]:
        """See Archive."""
        with self._engines.write("erase memories") as connection:
            standing = writing.erase(connection, highest(keys), to_micros(utc_now()))
        return [standing.get(key) for key, _ in keys]

    def load(self, persona: str, ids: Sequence[str]) -> list[Record | None]:
        """See Archive."""
        with self._engines.read("load memories") as connection:
            found = reading.of(connection, persona, ids, memories.c)
        records = {row["id"]: from_columns(row) for row in found}
        return [records.get(id_) for id_ in ids]

    def search_text(
        self, persona: str, terms: Sequence[str], limit: int, *, filters: Filters = UNFILTERED
    ) -> list[Match]:
        """See Archive. Looks up the first `fulltext.MAX_TERMS` terms; of equals the older comes first."""
        if not self._engines.file:
            raise Unavailable(f"full text is not on this database: {self._engines.where}; only SQLite has it")
        search = fulltext.search(persona, terms, limit, filters)
        if search is None:
            return []
        with self._engines.read("search by words") as connection:
            return [Match(*row) for row in reading.found(connection, search, limit)]

    def matching(self, persona: str, filters: Filters, limit: int) -> list[str]:
        """See Archive."""
        with self._engines.read("filter memories") as connection:
            search = filtering.matching(persona, filters, limit, sees_json=reading.sees_json(connection))
            return [id_ for (id_,) in reading.found(connection, search, limit)]

    def timeline(
        self,
        persona: str,
        span: Span,
        limit: int,
        *,
        filters: Filters = EVERYTHING,
        shared: Sequence[Key] = (),
    ) -> Stretch:
        """See Reader."""
        with self._engines.read("read a timeline") as connection:
            return reading.timeline(connection, persona, span, limit, filters, shared)

    def versions(self, persona: str, ids: Sequence[str]) -> list[int | None]:
        """See Archive."""
        with self._engines.read("look up versions") as connection:
            found = reading.of(connection, persona, ids, (memories.c.id, memories.c.version))
        versions = {row["id"]: row["version"] for row in found}
        return [versions.get(id_) for id_ in ids]

    def highest(self) -> int:
        """See Archive."""
        with self._engines.read("find the highest version") as connection:
            return reading.highest(connection)

    def personas(self) -> list[str]:
        """See Archive."""
        with self._engines.read("list personas") as connection:
            return reading.personas(connection)

    def listed(self, after: int, limit: int, naming: Naming) -> list[Listed]:
        """See Archive."""
        with self._engines.read("list memories") as connection:
            return reading.listed(connection, after, limit, naming)

    def position(self) -> Position:
        """See Archive."""
        with self._engines.read("tell its position") as connection:
            return changes.position(connection)

    def changes(self, after: int, limit: int) -> list[Change]:
        """See Archive."""
        with self._engines.read("list changes") as connection:
            return changes.changes(connection, after, limit)

    def around(self, keys: Sequence[Key], before: int, after: int) -> list[tuple[list[Record], list[Record]]]:
        """See Archive."""
        with self._engines.read("list a session") as connection:
            return changes.around(connection, keys, before, after)

    def mark_indexed(self, keys: Sequence[tuple[Key, int]], model: str, *, cold: bool = False) -> None:
        """See Archive."""
        with self._engines.write("mark memories as indexed") as connection:
            writing.each(connection, statements.MARK_INDEXED, writing.marks(keys, model, of_cold=int(cold)))

    def mark_unindexed(self, keys: Sequence[tuple[Key, int]], model: str) -> None:
        """See Archive."""
        with self._engines.write("mark memories as not indexed") as connection:
            writing.each(connection, statements.MARK_UNINDEXED, writing.marks(keys, model))

    def unindexed(self, naming: Naming, limit: int) -> list[Unindexed]:
        """See Archive."""
        with self._engines.read("list what is not indexed") as connection:
            return reading.unindexed(connection, naming, limit)

    def vectors(self, persona: str, ids: Sequence[str], model: str) -> list[NDArray[np.float32] | None]:
        """See Archive."""
        with self._engines.read("load vectors") as connection:
            found = reading.vectors_of(connection, persona, ids, model)
        return [found.get(id_) for id_ in ids]

    def nearest(
        self,
        persona: str,
        vector: NDArray[np.float32],
        model: str,
        limit: int,
        *,
        filters: Filters = UNFILTERED,
        cold: bool | None = None,
    ) -> list[Similar]:
        """See Archive."""
        with self._engines.read("search by vector") as connection:
            return reading.nearest(connection, persona, vector, model, limit, filters, cold)

    def bury_dead(self, letters: Sequence[DeadLetter]) -> None:
        """See Archive."""
        with self._engines.write("keep dead letters") as connection:
            writing.bury(connection, letters)

    def dead(self, limit: int, persona: str | None = None) -> list[DeadLetter]:
        """See Archive."""
        with self._engines.read("list dead letters") as connection:
            return reading.dead(connection, limit, persona)

    def drop_dead(self, keys: Sequence[tuple[Key, int]]) -> int:
        """See Archive."""
        with self._engines.write("drop dead letters") as connection:
            return writing.drop(connection, keys)

    def log_run(self, run: Run) -> None:
        """See Archive."""
        with self._engines.write("log a run") as connection:
            writing.log(connection, run)

    def runs(self, task: str, limit: int) -> list[Run]:
        """See Archive."""
        with self._engines.read("list runs") as connection:
            return reading.runs_of(connection, task, limit)

    def put_grants(self, grants: Sequence[Grant]) -> None:
        """See Archive."""
        with self._engines.write("keep grants") as connection:
            granting.put(connection, grants)

    def grants(self, owner: str, ids: Sequence[str]) -> list[list[Grant]]:
        """See Archive."""
        with self._engines.read("look up grants") as connection:
            found = granting.of(connection, owner, ids)
        return [found.get(id_, []) for id_ in ids]

    def stats(self, persona: str) -> ArchiveStats:
        """See Archive."""
        with self._engines.read("count memories") as connection:
            return reading.stats(connection, persona)

    def close(self) -> None:
        """See Archive."""
        self._engines.close()
