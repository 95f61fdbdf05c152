"""Which lives a choice means, as `SqlArchive` finds them.

Every index that a choice is answered by begins with persona, type and cold. A choice that leaves some of them open is
asked for each of their values, and what was found is merged: no question reads or sorts much more than it answers with.
Where the order is by what may be missing, the memories that lack it are asked for apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, bindparam, or_, select

from trinitas_tasks.model import MemoryType
from trinitas_tasks.policy.micros import from_micros, to_micros
from trinitas_tasks.tiers.archive import reading
from trinitas_tasks.tiers.archive.lives import Choice, Life, Order
from trinitas_tasks.tiers.archive.rows import IN_LIST, chunks, from_columns
from trinitas_tasks.tiers.archive.schema import memories

BY: Final = {
    Order.ARRIVAL: memories.c.seq,
    Order.USE: memories.c.used_at,
    Order.RECENCY: memories.c.used_at,
    Order.FADING: memories.c.fades_at,
    Order.SCORING: memories.c.scored_at,
    Order.SCORE: memories.c.score,
}
"""The column of each order."""
LACKING: Final = {
    Order.ARRIVAL: (False,),
    Order.USE: (False,),
    Order.RECENCY: (False,),
    Order.FADING: (True, False),
    Order.SCORING: (True, False),
    Order.SCORE: (False, True),
}
"""Whether those that lack it come first, last, or cannot be."""
HIGHEST_FIRST: Final = (Order.RECENCY, Order.SCORE)


def chosen(connection: Connection, choice: Choice, limit: int) -> list[Life]:
    """See Lives."""
    groups = list(_groups(connection, choice))
    seqs: list[int] = []
    for statement in statements(choice):
        left = limit - len(seqs)
        found = (row for group in groups for row in connection.execute(statement, group | {"left": left}))
        # the value by which it is ordered, then by arrival; those that lack it are alike
        seqs += [seq for _, seq in sorted((tuple(row) for row in found), key=_place(choice.order))[:left]]
        if len(seqs) >= limit:
            break
    return lives_of(connection, seqs)


def statements(choice: Choice) -> Iterator[Select[Any, Any]]:
    """What is asked of each group one after the other, as long as there is not enough: value and ``seq`` in order."""
    by, seq = BY[choice.order], memories.c.seq
    for lacking in LACKING[choice.order]:
        conditions = [*_conditions(choice, bounded=not lacking)]
        if len(LACKING[choice.order]) > 1:
            conditions.append(by.is_(None) if lacking else by.is_not(None))
        places = (seq,) if lacking or by is seq else (by.desc() if choice.order in HIGHEST_FIRST else by, seq)
        yield (
            select(by.label("value"), seq.label("place"))
            .where(
                memories.c.persona == bindparam("of_persona"),
                memories.c.type == bindparam("of_type"),
                memories.c.cold == bindparam("of_cold"),
                *conditions,
            )
            .order_by(*places)
            .limit(bindparam("left"))
        )


def lives_of(connection: Connection, seqs: Sequence[int]) -> list[Life]:
    """In the order of these numbers; those that are not here are left out."""
    found: dict[int, Life] = {}
    for chunk in chunks(seqs, IN_LIST):
        rows = connection.execute(select(memories).where(memories.c.seq.in_(chunk))).mappings()
        found |= {row["seq"]: life_from(row) for row in rows}
    return [found[seq] for seq in seqs if seq in found]


def named(connection: Connection, persona: str, after: str, limit: int) -> list[Life]:
    """See Lives."""
    statement = (
        select(memories)
        .where(memories.c.persona == persona, memories.c.id > after)
        .order_by(memories.c.id)
        .limit(limit)
    )
    return [life_from(row) for row in connection.execute(statement).mappings()]


def life_from(columns: Any) -> Life:
    """The life in a row of memories."""
    return Life(
        seq=columns["seq"],
        record=from_columns(columns),
        archived_at=from_micros(columns["archived_at"]),
        cold=columns["cold"] == 1,
        pinned=columns["pinned"] == 1,
        score=columns["score"],
        scored_at=_time(columns["scored_at"]),
        stability_days=columns["stability_days"],
        fades_at=_time(columns["fades_at"]),
        useful=columns["useful"],
        useless=columns["useless"],
        representative=columns["representative"],
    )


def _time(micros: int | None) -> Any:
    return None if micros is None else from_micros(micros)


def _groups(connection: Connection, choice: Choice) -> Iterator[dict[str, object]]:
    personas = reading.personas(connection) if choice.persona is None else [choice.persona]
    types: Iterable[MemoryType] = choice.types or MemoryType
    colds = (0, 1) if choice.cold is None else (int(choice.cold),)
    for persona, kind, cold in product(personas, types, colds):
        yield {"of_persona": persona, "of_type": kind.value, "of_cold": cold}


def _place(order: Order) -> Any:
    sign = -1 if order in HIGHEST_FIRST else 1
    return lambda row: (0 if row[0] is None else sign * row[0], row[1])


def _conditions(choice: Choice, *, bounded: bool) -> Iterator[ColumnElement[bool]]:
    """``bounded``: what the memories are ordered by is there, so that a bound of it is a bound of the index."""
    if choice.pinned is not None:
        yield memories.c.pinned == int(choice.pinned)
    if choice.used_before is not None:
        yield memories.c.used_at < to_micros(choice.used_before)
    if choice.fading_by is not None:
        fading = memories.c.fades_at <= to_micros(choice.fading_by)
        yield fading if bounded and choice.order is Order.FADING else or_(memories.c.fades_at.is_(None), fading)
    if choice.scored_before is not None:
        scored = memories.c.scored_at < to_micros(choice.scored_before)
        yield scored if bounded and choice.order is Order.SCORING else or_(memories.c.scored_at.is_(None), scored)
    if choice.after:
        yield memories.c.seq > choice.after
