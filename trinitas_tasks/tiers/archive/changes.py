"""The order in which an archive changed: what an index that tails it reads."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from sqlalchemy import Connection, delete, insert, literal, null, select, union_all

from trinitas_tasks.model import Key, Position, Record
from trinitas_tasks.tiers.archive.interface import Change
from trinitas_tasks.tiers.archive.rows import IN_LIST, chunks, from_columns
from trinitas_tasks.tiers.archive.schema import counters, memories, tombstones

CHANGE, EPOCH = "change", "epoch"
MAX_EPOCH = 1 << 62
TURN: Final = (memories.c.timestamp, memories.c.seq, memories.c.id)


def position(connection: Connection) -> Position:
    """See Archive."""
    found = {name: value for name, value in connection.execute(select(counters.c.name, counters.c.value))}
    return Position(found.get(EPOCH, 0), found.get(CHANGE, 0))


def begin_epoch(connection: Connection) -> None:
    """Give the database its number, if it has none."""
    if not position(connection).epoch:
        connection.execute(insert(counters), {"name": EPOCH, "value": 1 + secrets.randbelow(MAX_EPOCH)})


def renew_epoch(connection: Connection) -> None:
    """Give the database another number than the one it has: it is another archive from now on."""
    connection.execute(delete(counters).where(counters.c.name == EPOCH))
    begin_epoch(connection)


def changes(connection: Connection, after: int, limit: int) -> list[Change]:
    """See Archive."""
    stored = select(memories.c.change, memories.c.persona, memories.c.id, memories.c.seq, memories.c.cold)
    erased = select(
        tombstones.c.change, tombstones.c.persona, tombstones.c.id, null().label("seq"), literal(0).label("cold")
    )
    # each its own index and limit: over the union of both SQLite would sort everything
    first = [
        select(each.where(table.c.change > literal(after)).order_by(table.c.change).limit(limit).subquery())
        for each, table in ((stored, memories), (erased, tombstones))
    ]
    found = connection.execute(union_all(*first)).all()
    found = sorted(found, key=lambda row: row.change)[:limit]
    records = _records(connection, [row.seq for row in found if row.seq is not None])
    return [Change(row.change, Key(row.persona, row.id), records.get(row.seq), row.cold == 1) for row in found]


Neighbours: TypeAlias = tuple[list[Record], list[Record]]
"""The memories before and after one."""


class _Turn(NamedTuple):
    """A memory's place in its session."""

    timestamp: int
    seq: int
    id: str


def around(connection: Connection, keys: Sequence[Key], before: int, after: int) -> list[Neighbours]:
    """See Archive. Neighbours are looked for session by session, since memories change a session at a time."""
    near: dict[Key, tuple[list[_Turn], list[_Turn]]] = {}
    for (persona, session), turns in _sessions(connection, keys).items():
        listed = _stretch(connection, persona, session, min(turns), max(turns), before, after)
        place = {turn.id: at for at, turn in enumerate(listed)}
        for turn in turns:
            at = place[turn.id]
            near[Key(persona, turn.id)] = listed[max(at - before, 0) : at], listed[at + 1 : at + 1 + after]
    records = _records(connection, {turn.seq for pair in near.values() for turns in pair for turn in turns})
    nobody: tuple[list[_Turn], list[_Turn]] = ([], [])
    return [
        (
            [records[turn.seq] for turn in near.get(key, nobody)[0] if turn.seq in records],
            [records[turn.seq] for turn in near.get(key, nobody)[1] if turn.seq in records],
        )
        for key in keys
    ]


def _sessions(connection: Connection, keys: Sequence[Key]) -> dict[tuple[str, str], list[_Turn]]:
    found: dict[tuple[str, str], list[_Turn]] = {}
    for persona in {key.persona for key in keys}:
        ids = [key.id for key in keys if key.persona == persona]
        for chunk in chunks(ids, IN_LIST):
            rows = connection.execute(
                select(memories.c.session, *TURN).where(memories.c.persona == persona, memories.c.id.in_(chunk))
            )
            for session, *turn in rows:
                if session is not None:
                    found.setdefault((persona, session), []).append(_Turn(*turn))
    return found


def _stretch(
    connection: Connection, persona: str, session: str, first: _Turn, last: _Turn, before: int, after: int
) -> list[_Turn]:
    """A session from so many turns before the first to so many after the last of two."""
    at, seq = memories.c.timestamp, memories.c.seq
    same = select(*TURN).where(memories.c.persona == persona, memories.c.session == session)
    earlier = same.where((at < first.timestamp) | ((at == first.timestamp) & (seq < first.seq)))
    later = same.where((at > last.timestamp) | ((at == last.timestamp) & (seq > last.seq)))
    within = same.where(at >= first.timestamp, at <= last.timestamp).order_by(at, seq)
    preceding = connection.execute(earlier.order_by(at.desc(), seq.desc()).limit(before))
    following = connection.execute(later.order_by(at, seq).limit(after))
    between = (_Turn(*turn) for turn in connection.execute(within))
    return [
        *[_Turn(*turn) for turn in preceding][::-1],
        *(turn for turn in between if first <= turn <= last),
        *(_Turn(*turn) for turn in following),
    ]


def _records(connection: Connection, seqs: Iterable[int]) -> dict[int, Record]:
    found: dict[int, Record] = {}
    for chunk in chunks(list(seqs), IN_LIST):
        rows = connection.execute(select(memories).where(memories.c.seq.in_(chunk)))
        found |= {row.seq: from_columns(row._asdict()) for row in rows}
    return found
