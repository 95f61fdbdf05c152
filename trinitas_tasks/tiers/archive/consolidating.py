"""What was done to memories, what must be told of it, and how far tasks have come, as `SqlArchive` keeps it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from trinitas_tasks.model import Key
from trinitas_tasks.policy.micros import from_micros, to_micros
from trinitas_tasks.tiers.archive import turning
from trinitas_tasks.tiers.archive.lives import Audit, Consolidation, Turn
from trinitas_tasks.tiers.archive.living import turn, versions_of
from trinitas_tasks.tiers.archive.rows import ENCODER
from trinitas_tasks.tiers.archive.schema import audits, consolidations, marks
from trinitas_tasks.tiers.archive.statements import put_mark
from trinitas_tasks.tiers.archive.writing import each, find, next_changes

KEEP: Final = insert(consolidations).returning(consolidations.c.seq)
UNDO: Final = (
    update(consolidations)
    .where(consolidations.c.seq == bindparam("of_seq"), consolidations.c.undone_at.is_(None))
    .values(undone_at=bindparam("to_undone"))
)


def consolidate(connection: Connection, done: Sequence[Consolidation], turns: Sequence[Turn]) -> list[Consolidation]:
    """See Lives."""
    next_changes(connection, 0)  # whoever comes second sees what the first has done
    wanted = turning.first_of_each(done, versions_of(connection, [one.key for one in done]))
    columns = consolidations.c.kind, consolidations.c.version
    before = {tuple(row) for row in find(connection, consolidations, {one.key for one in wanted}, *columns)}
    new = [one for one in wanted if (*one.key, one.kind, one.version) not in before]
    numbered = [one._replace(seq=_kept(connection, one), undone_at=None) for one in new]
    turn(connection, turning.left_to_take(turns, done, new))
    return numbered


def undo(connection: Connection, seq: int, at: datetime, turns: Sequence[Turn]) -> bool:
    """See Lives."""
    if not connection.execute(UNDO, {"of_seq": seq, "to_undone": to_micros(at)}).rowcount:
        return False
    turn(connection, turns)
    return True


def listed(
    connection: Connection, persona: str | None, key: Key | None, seq: int | None, limit: int
) -> list[Consolidation]:
    """See Lives.consolidations."""
    table = consolidations
    statement = select(table).order_by(table.c.seq.desc()).limit(limit)
    if persona is not None:
        statement = statement.where(table.c.persona == persona)
    if key is not None:
        statement = statement.where(table.c.persona == key.persona, table.c.id == key.id)
    if seq is not None:
        statement = statement.where(table.c.seq == seq)
    return [_consolidation(row) for row in connection.execute(statement)]


def audit(connection: Connection, entries: Sequence[Audit]) -> None:
    """See Lives."""
    rows = [
        {
            "at": to_micros(entry.at),
            "actor": entry.actor,
            "action": entry.action,
            "persona": entry.key.persona,
            "id": entry.key.id,
            "why": entry.why,
        }
        for entry in entries
    ]
    each(connection, insert(audits), rows)


def audited(connection: Connection, limit: int, persona: str | None, key: Key | None) -> list[Audit]:
    """See Lives.audits."""
    statement = select(audits).order_by(audits.c.seq.desc()).limit(limit)
    if persona is not None:
        statement = statement.where(audits.c.persona == persona)
    if key is not None:
        statement = statement.where(audits.c.persona == key.persona, audits.c.id == key.id)
    return [
        Audit(from_micros(row.at), row.actor, row.action, Key(row.persona, row.id), row.why)
        for row in connection.execute(statement)
    ]


def mark(connection: Connection, name: str) -> int:
    """See Lives."""
    found: int | None = connection.scalar(select(marks.c.value).where(marks.c.name == name))
    return found or 0


def keep_mark(connection: Connection, name: str, value: int) -> None:
    """See Lives.put_mark."""
    connection.execute(put_mark(connection.dialect.name), {"name": name, "value": value})


def _kept(connection: Connection, one: Consolidation) -> int:
    columns = {
        "kind": one.kind,
        "persona": one.key.persona,
        "id": one.key.id,
        "version": one.version,
        "at": to_micros(one.at),
        "before": ENCODER.encode(dict(one.before)),
        "after": ENCODER.encode(dict(one.after)),
        "why": one.why,
    }
    seq: int = connection.execute(KEEP, columns).scalar_one()
    return seq


def _consolidation(row: Row[Any]) -> Consolidation:
    return Consolidation(
        seq=row.seq,
        kind=row.kind,
        key=Key(row.persona, row.id),
        version=row.version,
        at=from_micros(row.at),
        before=json.loads(row.before),
        after=json.loads(row.after),
        why=row.why,
        undone_at=None if row.undone_at is None else from_micros(row.undone_at),
    )
