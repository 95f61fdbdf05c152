"""What `SqlArchive` reads in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, ColumnElement, Connection, Select, and_, case, func, inspect, select, text

from trinitas_tasks.model import Key, MemoryType
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.policy.chronology import Span, Stretch
from trinitas_tasks.policy.micros import from_micros
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.archive import filtering, statements
from trinitas_tasks.tiers.archive.blobs import from_blobs
from trinitas_tasks.tiers.archive.filtering import Search
from trinitas_tasks.tiers.archive.interface import ArchiveStats, DeadLetter, Listed, Run, Similar, Unindexed
from trinitas_tasks.tiers.archive.nearest import nearest as nearest_of
from trinitas_tasks.tiers.archive.rows import IN_LIST, chunks
from trinitas_tasks.tiers.archive.schema import dead_letters, grants, memories, runs, tombstones, vectors
from trinitas_tasks.tiers.archive.timeline import stretch

SCANNED: Final = 1000
"""How many vectors are in memory at a time: 1.5 MB of 384 dimensions."""


def _personas() -> Select[str]:
    """One after the other by the index, however many memories each has: DISTINCT would read them all."""
    found = select(func.min(memories.c.persona).label("persona")).cte("found", recursive=True)
    following = select(func.min(memories.c.persona)).where(memories.c.persona > found.c.persona).scalar_subquery()
    every = found.union_all(select(following).where(found.c.persona.is_not(None)))
    return select(every.c.persona).where(every.c.persona.is_not(None)).order_by(every.c.persona)


_PERSONAS: Final = _personas()


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
    tops = (connection.scalar(select(func.max(table.c.version))) for table in (memories, tombstones, grants))
    return max((top for top in tops if top is not None), default=0)


def personas(connection: Connection) -> list[str]:
    """See Archive."""
    return list(connection.scalars(_PERSONAS))


def listed(connection: Connection, after: int, limit: int, naming: Naming) -> list[Listed]:
    """See Archive."""
    own = dict(naming.own)
    model = case(own, value=memories.c.persona, else_=naming.usual) if own else naming.usual
    its_vectors = and_(vectors.c.memory == memories.c.seq, vectors.c.model == model)
    statement = (
        select(
            memories.c.seq,
            memories.c.persona,
            memories.c.id,
            memories.c.version,
            func.min(vectors.c.part),
            func.min(vectors.c.indexed),
            func.count(vectors.c.part),
            memories.c.cold,
        )
        .outerjoin_from(memories, vectors, its_vectors)
        .where(memories.c.seq > after)
        .group_by(memories.c.seq)
        .order_by(memories.c.seq)
        .limit(limit)
    )
    return [
        Listed(seq, Key(persona, id_), version, first == 0, indexed == 1, parts, cold == 1)
        for seq, persona, id_, version, first, indexed, parts, cold in connection.execute(statement)
    ]


def unindexed(connection: Connection, naming: Naming, limit: int) -> list[Unindexed]:
    """See Archive."""
    found = [
        each
        for model in {naming.usual, *naming.own.values()}
        for each in _unindexed(connection, model, _whose(model, naming), limit)
    ]
    return [each for _, each in sorted(found, key=lambda pair: pair[0])[:limit]]


def _whose(model: str, naming: Naming) -> ColumnElement[bool] | None:
    """Of which memories this is the model; None: of all."""
    if model != naming.usual:
        return memories.c.persona.in_(naming.sharing(model))
    others = [persona for persona, name in naming.own.items() if name != model]
    return memories.c.persona.not_in(others) if others else None


def _unindexed(
    connection: Connection, model: str, whose: ColumnElement[bool] | None, limit: int
) -> list[tuple[int, Unindexed]]:
    """With their place in the order."""
    waiting = (
        select(vectors.c.memory)
        .where(vectors.c.model == model, statements.WAITING)
        .distinct()
        .order_by(vectors.c.memory)
        .limit(limit)
    )
    if whose is not None:
        waiting = waiting.join_from(vectors, memories).where(whose)
    statement = (
        select(memories.c.seq, memories.c.persona, memories.c.id, memories.c.version, memories.c.cold, vectors.c.data)
        .join_from(vectors, memories)
        .where(vectors.c.model == model, vectors.c.memory.in_(waiting))
        .order_by(vectors.c.memory, vectors.c.part)
    )
    parts: dict[tuple[int, Key, int, bool], list[bytes]] = {}
    for seq, persona, id_, version, cold, data in connection.execute(statement):
        parts.setdefault((seq, Key(persona, id_), version, cold == 1), []).append(data)
    return [(seq, Unindexed(key, version, from_blobs(data), cold)) for (seq, key, version, cold), data in parts.items()]


def vectors_of(connection: Connection, persona: str, ids: Sequence[str], model: str) -> dict[str, NDArray[np.float32]]:
    """The vectors of this model by id, those of its parts in order."""
    statement = (
        select(memories.c.id, vectors.c.data)
        .join_from(memories, vectors)
        .where(memories.c.persona == persona, vectors.c.model == model)
        .order_by(vectors.c.memory, vectors.c.part)
    )
    found: dict[str, list[bytes]] = {}
    for chunk in chunks(list(dict.fromkeys(ids)), IN_LIST):
        for id_, data in connection.execute(statement.where(memories.c.id.in_(chunk))):
            found.setdefault(id_, []).append(data)
    return {id_: from_blobs(data) for id_, data in found.items()}


def nearest(
    connection: Connection,
    persona: str,
    vector: NDArray[np.float32],
    model: str,
    limit: int,
    filters: Filters,
    cold: bool | None,
) -> list[Similar]:
    """See Archive."""
    if cold is not None:
        filters = filters.model_copy(update={"include_archived": True})
    conditions, values, left = filtering.narrowed(filters, sees_json=sees_json(connection))
    labels = (memories.c.tags, memories.c.metadata) if left else ()
    statement = (
        select(memories.c.seq, memories.c.id, vectors.c.data, *labels)
        .join_from(memories, vectors)
        .where(memories.c.persona == persona, vectors.c.model == model, vectors.c.dim == len(vector))
        .where(*map(text, conditions))
        .where(*(() if cold is None else (memories.c.cold == int(cold),)))
    )
    rows = connection.execute(statement, values, execution_options={"yield_per": SCANNED})
    chunks = (list(filtering.decided(chunk, left)) for chunk in rows.partitions())
    return nearest_of(vector, chunks, limit)


def sees_json(connection: Connection) -> bool:
    """Whether the conditions of `filtering` may look into JSON here."""
    return connection.dialect.name == "sqlite"


def timeline(
    connection: Connection, persona: str, span: Span, limit: int, filters: Filters, shared: Sequence[Key]
) -> Stretch:
    """See Reader."""
    return stretch(
        lambda statement, values: (row._asdict() for row in connection.execute(text(statement), values)),
        persona,
        span,
        limit,
        filters=filters,
        shared=shared,
        sees_json=sees_json(connection),
    )


def found(connection: Connection, search: Search, limit: int) -> Iterator[Sequence[Any]]:
    """What a search answers with, at most ``limit`` rows; only some are in memory at a time."""
    rows = connection.execute(text(search.statement), search.values, execution_options={"yield_per": SCANNED})
    return islice(filtering.decided(rows, search.left), limit)


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
