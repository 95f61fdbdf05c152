"""The statements that change the archive. Parameters that name a row begin with ``of_``.

They are built once: building costs more than executing them for a single row.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from sqlalchemy import Insert, Table, bindparam, case, delete, literal_column, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from trinitas_tasks.tiers.archive import fulltext
from trinitas_tasks.tiers.archive.schema import counters, dead_letters, memories, runs, tombstones, vectors

OF_THE_MEMORY: Final = {"seq", "persona", "id", "last_access", "access_count"}
"""What a newer version does not replace."""

WAITING: Final = vectors.c.indexed == literal_column("0")  # written out: only then is the partial index used
_OF_THIS_VERSION: Final = (
    vectors.c.model == bindparam("of_model"),
    vectors.c.memory
    == select(memories.c.seq)
    .where(
        memories.c.persona == bindparam("of_persona"),
        memories.c.id == bindparam("of_id"),
        memories.c.version == bindparam("of_version"),
    )
    .scalar_subquery(),
)
MARK_INDEXED: Final = update(vectors).where(WAITING, *_OF_THIS_VERSION).values(indexed=1)
MARK_UNINDEXED: Final = update(vectors).where(vectors.c.indexed == 1, *_OF_THIS_VERSION).values(indexed=0)
TOUCH: Final = (
    update(memories)
    .where(memories.c.persona == bindparam("of_persona"), memories.c.id == bindparam("of_id"))
    .values(
        access_count=memories.c.access_count + bindparam("count"),
        last_access=case((memories.c.last_access < bindparam("last"), bindparam("last")), else_=memories.c.last_access),
    )
)
DROP_MEMORY: Final = delete(memories).where(memories.c.seq == bindparam("of_seq"))
DROP_VECTORS: Final = delete(vectors).where(vectors.c.memory == bindparam("of_seq"))
DROP_TOMBSTONE: Final = delete(tombstones).where(
    tombstones.c.persona == bindparam("of_persona"), tombstones.c.id == bindparam("of_id")
)
DROP_LETTERS: Final = delete(dead_letters).where(
    dead_letters.c.persona == bindparam("of_persona"),
    dead_letters.c.id == bindparam("of_id"),
    dead_letters.c.version <= bindparam("of_version"),
)
DROP_LETTER: Final = delete(dead_letters).where(
    dead_letters.c.persona == bindparam("of_persona"),
    dead_letters.c.id == bindparam("of_id"),
    dead_letters.c.version == bindparam("of_version"),
)
DROP_OLD_RUNS: Final = delete(runs).where(
    runs.c.seq.in_(
        select(runs.c.seq)
        .where(runs.c.task == bindparam("of_task"))
        .order_by(runs.c.started.desc(), runs.c.seq.desc())
        .offset(bindparam("kept"))
    )
)
DELETE_TERMS: Final = text(fulltext.DELETE)
INSERT_TERMS: Final = text(fulltext.INSERT)

RAISE_CHANGES: Final = (
    update(counters)
    .where(counters.c.name == "change")
    .values(value=counters.c.value + bindparam("by"))
    .returning(counters.c.value)
)
ANY_LETTER: Final = select(dead_letters.c.version).limit(1)


@cache
def put_memory(dialect: str) -> ReturningInsert[str, str, int]:
    """Insert or replace, unless this version or a newer one stands; returns persona, id and seq of what it wrote."""
    statement = _insert(dialect, memories)
    return statement.on_conflict_do_update(
        index_elements=["persona", "id"],
        set_={name: statement.excluded[name] for name in memories.columns.keys() if name not in OF_THE_MEMORY},  # noqa: SIM118
        where=memories.c.version < statement.excluded.version,
    ).returning(memories.c.persona, memories.c.id, memories.c.seq)


@cache
def put_vector(dialect: str) -> Insert:
    """Insert, unless the memory has one of this part and model."""
    return _insert(dialect, vectors).on_conflict_do_nothing()


@cache
def put_tombstone(dialect: str) -> Insert:
    """Insert, or raise the version."""
    statement = _insert(dialect, tombstones)
    return statement.on_conflict_do_update(
        index_elements=["persona", "id"],
        set_={name: statement.excluded[name] for name in ("version", "at", "change")},
        where=tombstones.c.version < statement.excluded.version,
    )


@cache
def put_letter(dialect: str) -> Insert:
    """Insert, or replace and count one attempt more."""
    statement = _insert(dialect, dead_letters)
    return statement.on_conflict_do_update(
        index_elements=["persona", "id", "version"],
        set_={
            "at": statement.excluded["at"],
            "error": statement.excluded.error,
            "body": statement.excluded.body,
            "attempts": dead_letters.c.attempts + 1,
        },
    )


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT, the one construct that SQLAlchemy spells by dialect."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
