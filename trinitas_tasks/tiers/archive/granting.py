"""Who else may read a memory, as `SqlArchive` keeps it. Marks of revoked grants stay."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from sqlalchemy import Connection, Insert, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from trinitas_tasks.model import Key
from trinitas_tasks.policy.grants import EVERYBODY, Grant
from trinitas_tasks.tiers.archive.rows import IN_LIST, chunks
from trinitas_tasks.tiers.archive.schema import grants, tombstones

END: Final = (
    update(grants)
    .where(
        grants.c.owner == bindparam("of_owner"),
        grants.c.id == bindparam("of_id"),
        grants.c.revoked == 0,
        grants.c.version < bindparam("of_version"),
    )
    .values(version=bindparam("of_version"), revoked=1)
)


@cache
def put_grant(dialect: str) -> Insert:
    """Insert, or replace what is older."""
    statement = sqlite.insert(grants) if dialect == "sqlite" else postgresql.insert(grants)
    return statement.on_conflict_do_update(
        index_elements=["owner", "id", "grantee"],
        set_={name: statement.excluded[name] for name in ("version", "revoked")},
        where=grants.c.version < statement.excluded.version,
    )


def put(connection: Connection, told: Sequence[Grant]) -> None:
    """See Archive.put_grants."""
    if not told:
        return
    rows = [
        {"owner": key.persona, "id": key.id, "grantee": grantee, "version": version, "revoked": int(revoked)}
        for key, grantee, version, revoked in told
    ]
    connection.execute(put_grant(connection.dialect.name), rows)
    end(connection, _ends(connection, {each.key for each in told}))


def end(connection: Connection, versions: Mapping[Key, int]) -> None:
    """Revoke what was granted before these versions."""
    if versions:
        ended = [{"of_owner": key.persona, "of_id": key.id, "of_version": versions[key]} for key in versions]
        connection.execute(END, ended)


def of(connection: Connection, owner: str, ids: Sequence[str]) -> dict[str, list[Grant]]:
    """All of these memories, by id."""
    found: dict[str, list[Grant]] = defaultdict(list)
    for chunk in chunks(list(dict.fromkeys(ids)), IN_LIST):
        statement = select(grants).where(grants.c.owner == owner, grants.c.id.in_(chunk)).order_by(grants.c.grantee)
        for _, id_, grantee, version, revoked in connection.execute(statement):
            found[id_].append(Grant(Key(owner, id_), grantee, version, bool(revoked)))
    return found


def _ends(connection: Connection, keys: set[Key]) -> dict[Key, int]:
    """Up to which version all grants were revoked or the memory was erased, where either was."""
    ends: dict[Key, int] = {}
    for key in keys:
        for table, owner, more in (
            (grants, grants.c.owner, (grants.c.grantee == EVERYBODY,)),
            (tombstones, tombstones.c.persona, ()),
        ):
            found = connection.scalar(select(table.c.version).where(owner == key.persona, table.c.id == key.id, *more))
            if found is not None:
                ends[key] = max(found, ends.get(key, 0))
    return ends
