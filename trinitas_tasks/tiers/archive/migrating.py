"""Which memories came from which other store, as `SqlArchive` keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, or_, select

from trinitas_tasks.model import Key
from trinitas_tasks.tiers.archive.provenance import TAKEN_BACK, Migrated
from trinitas_tasks.tiers.archive.rows import IN_LIST, chunks
from trinitas_tasks.tiers.archive.schema import migrated, tombstones
from trinitas_tasks.tiers.archive.statements import put_migrated
from trinitas_tasks.tiers.archive.writing import each, find, of_key

DROP = delete(migrated).where(
    migrated.c.migration == bindparam("of_migration"),
    migrated.c.persona == bindparam("of_persona"),
    migrated.c.id == bindparam("of_id"),
)


def note(connection: Connection, notes: Sequence[Migrated]) -> None:
    """See Provenance.note_migrated."""
    columns = [
        {"migration": one.migration, **one.key._asdict(), "version": one.version, "digest": one.digest} for one in notes
    ]
    each(connection, put_migrated(connection.dialect.name), columns)


def listed(connection: Connection, migration: str, after: Key | None, limit: int) -> list[Migrated]:
    """See Provenance.migrated."""
    persona, id_ = migrated.c.persona, migrated.c.id
    statement = select(migrated).where(migrated.c.migration == migration).order_by(persona, id_).limit(limit)
    if after is not None:
        statement = statement.where(
            persona >= after.persona, or_(persona > after.persona, and_(persona == after.persona, id_ > after.id))
        )
    return [_note(row) for row in connection.execute(statement)]


def of(connection: Connection, migration: str, keys: Sequence[Key]) -> Mapping[Key, Migrated]:
    """Those that there are."""
    ids: dict[str, list[str]] = {}
    for key in keys:
        ids.setdefault(key.persona, []).append(key.id)
    wanted = select(migrated).where(migrated.c.migration == migration)
    found = [
        _note(row)
        for persona, mine in ids.items()
        for chunk in chunks(mine, IN_LIST)
        for row in connection.execute(wanted.where(migrated.c.persona == persona, migrated.c.id.in_(chunk)))
    ]
    return {one.key: one for one in found}


def drop(connection: Connection, migration: str, keys: Sequence[Key]) -> None:
    """See Provenance.drop_migrated."""
    each(connection, DROP, [of_key(key, of_migration=migration) for key in keys])


def counts(connection: Connection) -> dict[str, int]:
    """See Provenance.migrations."""
    counted = select(migrated.c.migration, func.count()).where(migrated.c.migration != TAKEN_BACK)
    return {
        name: number
        for name, number in connection.execute(counted.group_by(migrated.c.migration).order_by(migrated.c.migration))
    }


def erased(connection: Connection, persona: str, ids: Sequence[str]) -> dict[str, int]:
    """Those that were, by id."""
    found = find(connection, tombstones, [Key(persona, id_) for id_ in dict.fromkeys(ids)], tombstones.c.version)
    return {id_: version for _, id_, version in found}


def _note(row: Row[Any]) -> Migrated:
    return Migrated(row.migration, Key(row.persona, row.id), row.version, row.digest)
