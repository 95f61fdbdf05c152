"""What `SqlArchive` writes in one transaction: memories, vectors, terms and tombstones move together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Executable,
    Table,
    bindparam,
    case,
    delete,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from trinitas_tasks.model import Key
from trinitas_tasks.tiers.archive import fulltext
from trinitas_tasks.tiers.archive.interface import DeadLetter, Row
from trinitas_tasks.tiers.archive.rows import chunks, key_of, newest, to_blob, to_micros
from trinitas_tasks.tiers.archive.schema import dead_letters, memories, tombstones, vectors

IN_LIST: Final = 500
OF_THE_MEMORY: Final = {"seq", "persona", "id", "last_access", "access_count"}
"""What a newer version does not replace."""

WAITING: Final = vectors.c.indexed == literal_column("0")  # written out: only then is the partial index used
MARK_INDEXED: Final = (
    update(vectors)
    .where(
        WAITING,
        vectors.c.memory
        == select(memories.c.seq)
        .where(
            memories.c.persona == bindparam("of_persona"),
            memories.c.id == bindparam("of_id"),
            memories.c.version == bindparam("of_version"),
        )
        .scalar_subquery(),
    )
    .values(indexed=1)
)
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


def of_key(key: Key, **more: object) -> dict[str, object]:
    """The parameters by which the statements above name a memory."""
    return {"of_persona": key.persona, "of_id": key.id, **more}


def each(connection: Connection, statement: Executable, parameters: Sequence[Mapping[str, object]]) -> None:
    """Execute for all parameters, which may be none."""
    if parameters:
        connection.execute(statement, parameters)


def store(connection: Connection, rows: Sequence[Row], columns: Mapping[Key, dict[str, Any]]) -> list[bool]:
    """See Archive; ``columns`` are those of the newest row of each key. Letters about what is archived go."""
    wanted = newest(rows)
    held = _held(connection, wanted)
    gone = versions(connection, tombstones, list(wanted))
    fresh = {
        key: row
        for key, row in wanted.items()
        if (key not in held or held[key][1] < row.record.version)
        and (key not in gone or gone[key] < row.record.version)
    }
    again = {key: row for key, row in wanted.items() if key in held and held[key][1] == row.record.version}
    written = _write_records(connection, [columns[key] for key in fresh])
    fresh = {key: row for key, row in fresh.items() if key in written}
    replaced = [{"of_seq": written[key]} for key in fresh if key in held]
    each(connection, DROP_VECTORS, replaced)
    _write_vectors(connection, {written[key]: row for key, row in fresh.items()})
    _write_vectors(connection, {held[key][0]: row for key, row in again.items()})
    if has_full_text(connection):
        each(connection, fulltext.DELETE, replaced)
        each(connection, fulltext.INSERT, [_terms(written[key], row) for key, row in fresh.items()])
    each(connection, DROP_TOMBSTONE, [of_key(key) for key in fresh if key in gone])
    standing = {key: row.record.version for key, row in (fresh | again).items()}
    each(connection, DROP_LETTERS, [of_key(key, of_version=version) for key, version in standing.items()])
    return [standing.get(key_of(row)) == row.record.version for row in rows]


def erase(connection: Connection, keys: Mapping[Key, int], at: int) -> None:
    """See Archive. Letters about what is erased go too."""
    held = _held(connection, keys)
    doomed = [{"of_seq": seq} for key, (seq, version) in held.items() if version <= keys[key]]
    if has_full_text(connection):
        each(connection, fulltext.DELETE, doomed)
    each(connection, DROP_MEMORY, doomed)  # and its vectors, by the foreign key
    each(connection, DROP_LETTERS, [of_key(key, of_version=version) for key, version in keys.items()])
    statement = _insert(connection, tombstones)
    raised = statement.on_conflict_do_update(
        index_elements=["persona", "id"],
        set_={"version": statement.excluded.version, "at": statement.excluded["at"]},
        where=tombstones.c.version < statement.excluded.version,
    )
    left = {key: version for key, version in keys.items() if key not in held or held[key][1] <= version}
    each(
        connection,
        raised,
        [{"persona": key.persona, "id": key.id, "version": version, "at": at} for key, version in left.items()],
    )


def bury(connection: Connection, letters: Sequence[DeadLetter]) -> None:
    """See Archive. A letter about what was erased is not kept: it would bring the content back."""
    gone = versions(connection, tombstones, list({letter.key for letter in letters}))
    kept = [letter for letter in letters if letter.key not in gone or gone[letter.key] < letter.version]
    statement = _insert(connection, dead_letters)
    replaced: dict[str, Any] = {name: statement.excluded[name] for name in ("at", "error", "body")}
    again = statement.on_conflict_do_update(
        index_elements=["persona", "id", "version"],
        set_=replaced | {"attempts": dead_letters.c.attempts + 1},
    )
    each(
        connection,
        again,
        [
            {
                "persona": letter.key.persona,
                "id": letter.key.id,
                "version": letter.version,
                "at": to_micros(letter.at),
                "attempts": 1,
                "error": letter.error,
                "body": letter.body,
            }
            for letter in kept
        ],
    )


def versions(connection: Connection, table: Table, keys: Sequence[Key]) -> dict[Key, int]:
    """The versions of the keys that the table has."""
    found: dict[Key, int] = {}
    for chunk in chunks(keys, IN_LIST):
        named = tuple_(table.c.persona, table.c.id).in_(chunk)
        for persona, id_, version in connection.execute(
            select(table.c.persona, table.c.id, table.c.version).where(named)
        ):
            found[Key(persona, id_)] = version
    return found


def has_full_text(connection: Connection) -> bool:
    """Whether the database has the FTS5 table."""
    return connection.dialect.name == "sqlite"


def _held(connection: Connection, keys: Mapping[Key, object]) -> dict[Key, tuple[int, int]]:
    """``seq`` and version of the memories that are here."""
    found: dict[Key, tuple[int, int]] = {}
    for chunk in chunks(list(keys), IN_LIST):
        named = tuple_(memories.c.persona, memories.c.id).in_(chunk)
        for persona, id_, seq, version in connection.execute(
            select(memories.c.persona, memories.c.id, memories.c.seq, memories.c.version).where(named)
        ):
            found[Key(persona, id_)] = seq, version
    return found


def _write_records(connection: Connection, columns: list[dict[str, Any]]) -> dict[Key, int]:
    """Insert or replace; the ``seq`` of what was written, because no newer version stood there."""
    if not columns:
        return {}
    statement = _insert(connection, memories)
    upsert = statement.on_conflict_do_update(
        index_elements=["persona", "id"],
        set_={name: statement.excluded[name] for name in memories.c.keys() if name not in OF_THE_MEMORY},  # noqa: SIM118
        where=memories.c.version < statement.excluded.version,
    ).returning(memories.c.persona, memories.c.id, memories.c.seq)
    return {Key(persona, id_): seq for persona, id_, seq in connection.execute(upsert, columns)}


def _write_vectors(connection: Connection, rows: Mapping[int, Row]) -> None:
    """Add the vectors; one that is here already stays as it is, with its mark."""
    statement = _insert(connection, vectors).on_conflict_do_nothing()
    each(
        connection,
        statement,
        [
            {
                "memory": seq,
                "model": row.model,
                "indexed": 0,
                "dim": len(row.vector),
                "data": to_blob(row.vector),
            }
            for seq, row in rows.items()
        ],
    )


def _terms(seq: int, row: Row) -> dict[str, object]:
    return {
        "of_seq": seq,
        "persona": fulltext.persona_token(row.record.item.persona),
        "terms": fulltext.joined(row.terms),
    }


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT, the one construct that is spelled by dialect."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
