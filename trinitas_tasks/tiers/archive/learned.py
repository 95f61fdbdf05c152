"""What was learned of memories, and how many there are of which kind, as `SqlArchive` reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, LargeBinary, cast, func, literal_column, select

from trinitas_tasks.model import Key, MemoryType
from trinitas_tasks.policy.grants import EVERYBODY
from trinitas_tasks.policy.micros import from_micros
from trinitas_tasks.policy.prediction import Follower
from trinitas_tasks.tiers.archive.census import Counted
from trinitas_tasks.tiers.archive.lives import Feedback
from trinitas_tasks.tiers.archive.living import SETTLED
from trinitas_tasks.tiers.archive.rows import follower_from, heaviest_first
from trinitas_tasks.tiers.archive.schema import counters, feedback, grants, memories, weights
from trinitas_tasks.tiers.archive.schema import followers as following
from trinitas_tasks.tiers.archive.writing import find

OCTETS_SINCE: Final = (3, 43)
"""The SQLite that can tell the length of a text without reading it."""
WAITING: Final = feedback.c.learned == literal_column("0")  # written out: only then is the partial index used
READ: Final = 1000
"""How many rows are in memory at a time."""


def active(connection: Connection, persona: str) -> int:
    """See Lives."""
    # with all types named it is a look-up in the index; without, it reads what is cold too
    mine = memories.c.persona == persona, memories.c.cold == 0, memories.c.type.in_([kind.value for kind in MemoryType])
    return connection.scalar(select(func.count()).select_from(memories).where(*mine)) or 0


def settled(connection: Connection) -> int:
    """See Lives."""
    return connection.scalar(select(counters.c.value).where(counters.c.name == SETTLED)) or 0


def followers(connection: Connection, keys: Sequence[Key]) -> dict[Key, list[Follower]]:
    """See Lives."""
    columns = following.c.next_persona, following.c.next_id, following.c.weight, following.c.at
    found: dict[Key, list[Follower]] = {}
    for persona, id_, *follower in find(connection, following, dict.fromkeys(keys), *columns):
        found.setdefault(Key(persona, id_), []).append(follower_from(follower))
    return {key: heaviest_first(listed) for key, listed in found.items()}


def feedback_waiting(connection: Connection, limit: int) -> list[Feedback]:
    """See Lives.feedback."""
    statement = select(feedback).where(WAITING).order_by(feedback.c.seq).limit(limit)
    return [
        Feedback(row.seq, Key(row.persona, row.id), row.by, row.useful == 1, from_micros(row.at))
        for row in connection.execute(statement)
    ]


def weights_of(connection: Connection, persona: str) -> dict[str, float]:
    """See Lives.weights."""
    rows = connection.execute(select(weights.c.name, weights.c.value).where(weights.c.persona == persona))
    return {name: value for name, value in rows}


def counted(connection: Connection, persona: str) -> Iterator[Counted]:
    """What a census looks at of each memory of the persona."""
    columns = memories.c
    statement = select(
        columns.type,
        columns.cold,
        columns.pinned,
        func.coalesce(columns.score, columns.importance),
        columns.timestamp,
        columns.archived_at,
        columns.access_count,
        columns.representative.is_not(None),
        _octets(connection),
    ).where(columns.persona == persona)
    for kind, cold, pinned, score, timestamp, archived_at, reads, doubled, octets in connection.execute(
        statement, execution_options={"yield_per": READ}
    ):
        yield Counted(
            type=MemoryType(kind),
            cold=cold == 1,
            pinned=pinned == 1,
            score=score,
            timestamp=from_micros(timestamp),
            archived_at=from_micros(archived_at),
            reads=reads,
            doubled=bool(doubled),
            octets=octets,
        )


def shared(connection: Connection, persona: str) -> dict[str, int]:
    """How many of its memories the persona shares with each other."""
    statement = (
        select(grants.c.grantee, func.count())
        .where(grants.c.owner == persona, grants.c.revoked == 0, grants.c.grantee != EVERYBODY)
        .group_by(grants.c.grantee)
    )
    return {grantee: count for grantee, count in connection.execute(statement)}


def _octets(connection: Connection) -> ColumnElement[int]:
    """The length of the content as it is kept, in UTF-8."""
    driver: Any = connection.dialect.dbapi
    if connection.dialect.name == "sqlite" and driver.sqlite_version_info < OCTETS_SINCE:
        return func.length(cast(memories.c.content, LargeBinary))
    return func.octet_length(memories.c.content)
