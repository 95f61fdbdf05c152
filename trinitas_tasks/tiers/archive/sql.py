"""The archive in a SQL database: SQLite unless the URL says otherwise.

Full text is SQLite's FTS5; on another database everything else works and `search_text` is unavailable.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Column, Connection, func, inspect, select, text

from trinitas_tasks.errors import ArchiveError, Unavailable
from trinitas_tasks.model import Key, MemoryType, Record, utc_now
from trinitas_tasks.tiers.archive import fulltext, statements, writing
from trinitas_tasks.tiers.archive.engines import START, Engines, Locked
from trinitas_tasks.tiers.archive.interface import ArchiveStats, DeadLetter, Match, Row, Touch, Unindexed
from trinitas_tasks.tiers.archive.rows import (
    chunks,
    from_blob,
    from_columns,
    from_micros,
    highest,
    newest,
    to_columns,
    to_micros,
)
from trinitas_tasks.tiers.archive.schema import HEAD, dead_letters, memories, vectors

MIGRATIONS: Final = "trinitas_tasks.tiers.archive:migrations"


class SqlArchive:
    """The archive at a SQLAlchemy URL. Nothing is opened before the first call.

    The ingest worker calls `migrate` before anything else; everybody else finds out with `ping`. A process
    forks before its first call, or closes the archive first: SQLite connections do not survive a fork.
    """

    def __init__(self, url: str, *, busy_timeout_ms: int = 5000) -> None:
        self._engines = Engines(url, busy_timeout_ms=busy_timeout_ms)

    def migrate(self, *, patience_seconds: float = 30.0) -> None:
        """Bring the database to this version's schema, making a missing file; two may do so at once.

        Raises: ArchiveError for a database of a newer version, Unavailable.
        """
        if self._engines.is_sqlite:
            self._engines.create_file()
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
            self._refuse_newer(_revision(connection))
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", MIGRATIONS)
            config.set_main_option("path_separator", "os")
            command.upgrade(config, "head")

    def ping(self) -> None:
        """See Archive."""
        with self._engines.read("answer") as connection:
            found = _revision(connection)
        self._refuse_newer(found)
        if found != HEAD:
            state = f"is at revision {found}, not {HEAD}" if found else "has no schema yet"
            raise ArchiveError(f"the archive {self._engines.where} {state}: {START}")

    def _refuse_newer(self, found: str | None) -> None:
        if found is not None and found > HEAD:
            raise ArchiveError(
                f"the archive {self._engines.where} is at revision {found}, newer than the {HEAD} that this "
                "version knows: upgrade trinitas-tasks, or restore a backup made before"
            )

    def store(self, rows: Sequence[Row]) -> list[bool]:
        """See Archive."""
        now = utc_now()
        columns = {key: to_columns(row.record, now) for key, row in newest(rows).items()}
        with self._engines.write("store memories") as connection:
            return writing.store(connection, rows, columns)

    def mark_indexed(self, keys: Sequence[tuple[Key, int]]) -> None:
        """See Archive."""
        with self._engines.write("mark memories as indexed") as connection:
            marks = [writing.of_key(key, of_version=version) for key, version in keys]
            writing.each(connection, statements.MARK_INDEXED, marks)

    def unindexed(self, model: str, limit: int) -> list[Unindexed]:
        """See Archive."""
        statement = (
            select(memories.c.persona, memories.c.id, memories.c.version, vectors.c.data)
            .join_from(vectors, memories)
            .where(vectors.c.model == model, statements.WAITING)
            .order_by(vectors.c.memory)
            .limit(limit)
        )
        with self._engines.read("list what is not indexed") as connection:
            found = connection.execute(statement).all()
        return [Unindexed(Key(persona, id_), version, from_blob(data)) for persona, id_, version, data in found]

    def load(self, persona: str, ids: Sequence[str]) -> list[Record | None]:
        """See Archive. Raises: ArchiveError for a damaged row."""
        with self._engines.read("load memories") as connection:
            found = {row["id"]: row for row in _of(connection, persona, ids, memories.columns)}
        records = {id_: from_columns(row) for id_, row in found.items()}
        return [records.get(id_) for id_ in ids]

    def types_of(self, persona: str, ids: Sequence[str]) -> list[MemoryType | None]:
        """See Archive."""
        with self._engines.read("look up types") as connection:
            rows = _of(connection, persona, ids, (memories.c.id, memories.c.type))
            found = {row["id"]: MemoryType(row["type"]) for row in rows}
        return [found.get(id_) for id_ in ids]

    def erase(self, keys: Sequence[tuple[Key, int]]) -> None:
        """See Archive."""
        with self._engines.write("erase memories") as connection:
            writing.erase(connection, highest(keys), to_micros(utc_now()))

    def search_text(
        self, persona: str, terms: Sequence[str], limit: int, *, types: frozenset[MemoryType] = frozenset()
    ) -> list[Match]:
        """See Archive. Looks up the first `fulltext.MAX_TERMS` terms; of equals the older comes first."""
        if not self._engines.is_sqlite:
            raise Unavailable(f"full text is not on this database: {self._engines.where}; only SQLite has it")
        expression = fulltext.expression(persona, terms)
        if not expression:
            return []
        asked: dict[str, object] = {"expression": expression, "persona": persona, "limit": limit}
        if types:
            asked["types"] = [each.value for each in sorted(types)]
        with self._engines.read("search by words") as connection:
            return [Match(*found) for found in connection.execute(fulltext.search(of_types=bool(types)), asked)]

    def touch(self, touches: Sequence[Touch]) -> None:
        """See Archive."""
        with self._engines.write("count accesses") as connection:
            added = [writing.of_key(key, count=count, last=to_micros(last)) for key, count, last in touches]
            writing.each(connection, statements.TOUCH, added)

    def bury_dead(self, letters: Sequence[DeadLetter]) -> None:
        """See Archive."""
        with self._engines.write("keep dead letters") as connection:
            writing.bury(connection, letters)

    def dead(self, limit: int) -> list[DeadLetter]:
        """See Archive."""
        statement = select(dead_letters).order_by(dead_letters.c.at, *dead_letters.primary_key).limit(limit)
        with self._engines.read("list dead letters") as connection:
            found = connection.execute(statement).mappings().all()
        return [
            DeadLetter(
                Key(row["persona"], row["id"]),
                row["version"],
                row["body"],
                row["error"],
                from_micros(row["at"]),
            )
            for row in found
        ]

    def stats(self, persona: str) -> ArchiveStats:
        """See Archive."""
        mine = memories.c.persona == persona
        with self._engines.read("count memories") as connection:
            by_type = connection.execute(
                select(memories.c.type, func.count()).where(mine).group_by(memories.c.type)
            ).all()
            unindexed = connection.scalar(
                select(func.count(vectors.c.memory.distinct()))
                .join_from(vectors, memories)
                .where(mine, statements.WAITING)
            )
            dead = connection.scalar(select(func.count()).where(dead_letters.c.persona == persona))
        return ArchiveStats({MemoryType(kind): count for kind, count in by_type}, unindexed or 0, dead or 0)

    def close(self) -> None:
        """See Archive."""
        self._engines.close()


def _of(
    connection: Connection, persona: str, ids: Sequence[str], columns: Iterable[Column[Any]]
) -> list[Mapping[str, Any]]:
    """Those columns of the persona's memories with these ids."""
    statement = select(*columns).where(memories.c.persona == persona)
    found: list[Mapping[str, Any]] = []
    for chunk in chunks(list(dict.fromkeys(ids)), writing.IN_LIST):
        rows = connection.execute(statement.where(memories.c.id.in_(chunk)))
        found += (row._asdict() for row in rows)
    return found


def _revision(connection: Connection) -> str | None:
    """The revision that the database is at, None for one without a schema."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found
