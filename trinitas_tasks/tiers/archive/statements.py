"""The statements that change the archive. Parameters that name a row begin with ``of_``.

They are built once: building costs more than executing them for a single row.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from sqlalchemy import Insert, Table, bindparam, case, delete, exists, literal_column, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from trinitas_tasks.tiers.archive import fulltext
from trinitas_tasks.tiers.archive.lives import LINKED
from trinitas_tasks.tiers.archive.provenance import TAKEN_BACK
from trinitas_tasks.tiers.archive.schema import (
    abandoned,
    consolidations,
    counters,
    dead_letters,
    feedback,
    followers,
    marks,
    memories,
    migrated,
    personas,
    runs,
    tombstones,
    vectors,
)

OF_THE_MEMORY: Final = {
    *("seq", "persona", "id", "last_access", "access_count"),
    *("pinned", "stability_days", "useful", "useless", "used_at", "tie"),
}
"""What a newer version does not replace. The rest of a life begins again, with the defaults of its columns."""

WAITING: Final = vectors.c.indexed == literal_column("0")  # written out: only then is the partial index used
_OF_THIS_VERSION: Final = select(memories.c.seq).where(
    memories.c.persona == bindparam("of_persona"),
    memories.c.id == bindparam("of_id"),
    memories.c.version == bindparam("of_version"),
)
_OF_THIS_PLACE: Final = _OF_THIS_VERSION.where(memories.c.cold == bindparam("of_cold"))
_OF_MODEL: Final = vectors.c.model == bindparam("of_model")
MARK_INDEXED: Final = (
    update(vectors).where(WAITING, _OF_MODEL, vectors.c.memory == _OF_THIS_PLACE.scalar_subquery()).values(indexed=1)
)
MARK_UNINDEXED: Final = (
    update(vectors)
    .where(vectors.c.indexed == 1, _OF_MODEL, vectors.c.memory == _OF_THIS_VERSION.scalar_subquery())
    .values(indexed=0)
)
_ITS: Final = memories.alias("its")
_LINKED: Final = memories.c.persona == bindparam("of_persona"), memories.c.representative == bindparam("of_id")
_CHANGES: Final = exists().where(
    _ITS.c.persona == bindparam("of_persona"),
    _ITS.c.id == bindparam("of_id"),
    _ITS.c.version < bindparam("of_version"),
    _ITS.c.content != bindparam("of_content"),
)
_DROP_LINKS: Final = delete(consolidations).where(
    consolidations.c.persona == bindparam("of_persona"),
    consolidations.c.kind == LINKED,
    consolidations.c.undone_at.is_(None),
)
UNLINK: Final = (
    _DROP_LINKS.where(consolidations.c.id.in_(select(memories.c.id).where(*_LINKED))),
    update(memories).where(*_LINKED).values(representative=None),
)
"""Nobody says the same as this memory any more; those who did may be linked to others."""
UNLINK_CHANGED: Final = (
    _DROP_LINKS.where(consolidations.c.id.in_(select(memories.c.id).where(*_LINKED, _CHANGES))),
    update(memories).where(*_LINKED, _CHANGES).values(representative=None),
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
DROP_LIFE: Final = (
    *(
        delete(persona.table).where(persona == bindparam("of_persona"), id_ == bindparam("of_id"))
        for persona, id_ in (
            (followers.c.persona, followers.c.id),
            (followers.c.next_persona, followers.c.next_id),
            (feedback.c.persona, feedback.c.id),
            (consolidations.c.persona, consolidations.c.id),
        )
    ),
    delete(migrated).where(
        migrated.c.persona == bindparam("of_persona"),
        migrated.c.id == bindparam("of_id"),
        migrated.c.migration != TAKEN_BACK,
    ),
)
"""What is kept of a memory beside it, and what names it."""
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
    newer = {name: statement.excluded[name] for name in memories.columns.keys() if name not in OF_THE_MEMORY}  # noqa: SIM118
    same = memories.c.content == statement.excluded.content
    return statement.on_conflict_do_update(
        index_elements=["persona", "id"],
        # who stands for it does so as long as it says the same
        set_=newer | {"representative": case((same, memories.c.representative), else_=None)},
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


@cache
def put_mark(dialect: str) -> Insert:
    """Insert or replace."""
    statement = _insert(dialect, marks)
    return statement.on_conflict_do_update(index_elements=["name"], set_={"value": statement.excluded["value"]})


@cache
def put_migrated(dialect: str) -> Insert:
    """Insert or replace."""
    statement = _insert(dialect, migrated)
    return statement.on_conflict_do_update(
        index_elements=["migration", "persona", "id"],
        set_={"version": statement.excluded["version"], "digest": statement.excluded.digest},
    )


@cache
def put_persona(dialect: str) -> Insert:
    """Insert or replace."""
    statement = _insert(dialect, personas)
    return statement.on_conflict_do_update(
        index_elements=["name"], set_={"at": statement.excluded["at"], "body": statement.excluded.body}
    )


@cache
def put_abandoned(dialect: str) -> Insert:
    """Insert or replace."""
    statement = _insert(dialect, abandoned)
    return statement.on_conflict_do_update(
        index_elements=["persona", "model"], set_={"since": statement.excluded.since}
    )


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT, the one construct that SQLAlchemy spells by dialect."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
