"""What `SqlArchive` reads in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, Connection, and_, func, inspect, select, text

from trinitas_tasks.model import Key, MemoryType
from trinitas_tasks.tiers.archive import statements
from trinitas_tasks.tiers.archive.blobs import from_blob
from trinitas_tasks.tiers.archive.interface import ArchiveStats, DeadLetter, Listed, Run, Similar, Unindexed
from trinitas_tasks.tiers.archive.nearest import nearest as nearest_of
from trinitas_tasks.tiers.archive.rows import IN_LIST, chunks, from_micros
from trinitas_tasks.tiers.archive.schema import dead_letters, memories, runs, tombstones, vectors

SCANNED: Final = 1000
"""How many vectors are in memory at a time: 1.5 MB of 384 dimensions."""


def of(
    connection: Connection, persona: str, ids: Sequence[str], columns: Iterable[Column[Any]]
) -> list[Mapping[str, Any]]:
    """Those columns of the persona's memories with these ids."""
    statement = select(*columns).where(memories.c.persona == persona)
    found: list[Mapping[str, Any]] = []
    for chunk in chunks(list(dict.fromkeys(ids)), IN_LIST):
        found += (row._asdict() for row in connection.execute(statement.where(memories.c.id.in_(chunk))))
    return found


def highest(connection: Connection) -> int:
    """See Archive."""
    tops = (connection.scalar(select(func.max(table.c.version))) for table in (memories, tombstones))
    return max((top for top in tops if top is not None), default=0)


def personas(connection: Connection) -> list[str]:
    """See Archive."""
    return list(connection.scalars(select(memories.c.persona).distinct().order_by(memories.c.persona)))


def listed(connection: Connection, after: int, limit: int, model: str) -> list[Listed]:
    """See Archive."""
    its_vector = and_(vectors.c.memory == memories.c.seq, vectors.c.model == model)
    statement = (
        select(memories.c.seq, memories.c.persona, memories.c.id, memories.c.version, vectors.c.indexed)
        .outerjoin_from(memories, vectors, its_vector)
        .where(memories.c.seq > after)
        .order_by(memories.c.seq)
        .limit(limit)
    )
    return [
        Listed(seq, Key(persona, id_), version, indexed is not None, indexed == 1)
        for seq, persona, id_, version, indexed in connection.execute(statement)
    ]


def unindexed(connection: Connection, model: str, limit: int) -> list[Unindexed]:
    """See Archive."""
    statement = (
        select(memories.c.persona, memories.c.id, memories.c.version, vectors.c.data)
        .join_from(vectors, memories)
        .where(vectors.c.model == model, statements.WAITING)
        .order_by(vectors.c.memory)
        .limit(limit)
    )
    found = connection.execute(statement)
    return [Unindexed(Key(persona, id_), version, from_blob(data)) for persona, id_, version, data in found]


def vectors_of(connection: Connection, persona: str, ids: Sequence[str], model: str) -> dict[str, NDArray[np.float32]]:
    """The vectors of this model by id."""
    statement = (
        select(memories.c.id, vectors.c.data)
        .join_from(memories, vectors)
        .where(memories.c.persona == persona, vectors.c.model == model)
    )
    found: dict[str, NDArray[np.float32]] = {}
    for chunk in chunks(list(dict.fromkeys(ids)), IN_LIST):
        rows = connection.execute(statement.where(memories.c.id.in_(chunk)))
        found |= {id_: from_blob(data) for id_, data in rows}
    return found


def nearest(connection: Connection, persona: str, vector: NDArray[np.float32], model: str, limit: int) -> list[Similar]:
    """See Archive."""
    statement = (
        select(memories.c.seq, memories.c.id, vectors.c.data)
        .join_from(memories, vectors)
        .where(memories.c.persona == persona, vectors.c.model == model, vectors.c.dim == len(vector))
    )
    rows = connection.execute(statement, execution_options={"yield_per": SCANNED})
    return nearest_of(vector, rows.partitions(), limit)


def dead(connection: Connection, limit: int, persona: str | None) -> list[DeadLetter]:
    """See Archive."""
    statement = select(dead_letters).order_by(dead_letters.c.at, *dead_letters.primary_key).limit(limit)
    if persona is not None:
        statement = statement.where(dead_letters.c.persona == persona)
    return [
        DeadLetter(Key(row["persona"], row["id"]), row["version"], row["body"], row["error"], from_micros(row["at"]))
        for row in connection.execute(statement).mappings()
    ]


def runs_of(connection: Connection, task: str, limit: int) -> list[Run]:
    """See Archive.runs."""
    statement = select(runs).where(runs.c.task == task).order_by(runs.c.started.desc(), runs.c.seq.desc()).limit(limit)
    return [
        Run(task, from_micros(started), seconds, examined, changed, errors, json.loads(detail))
        for _, _, started, seconds, examined, changed, errors, detail in connection.execute(statement)
    ]


def stats(connection: Connection, persona: str) -> ArchiveStats:
    """See Archive."""
    mine = memories.c.persona == persona
    by_type = connection.execute(select(memories.c.type, func.count()).where(mine).group_by(memories.c.type)).all()
    waiting = connection.scalar(
        select(func.count(vectors.c.memory.distinct())).join_from(vectors, memories).where(mine, statements.WAITING)
    )
    letters = connection.scalar(select(func.count()).where(dead_letters.c.persona == persona))
    return ArchiveStats({MemoryType(kind): count for kind, count in by_type}, waiting or 0, letters or 0)


def revision(connection: Connection) -> str | None:
    """The revision that the database is at, None for one without a schema."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found
