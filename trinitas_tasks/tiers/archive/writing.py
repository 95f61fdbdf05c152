"""What `SqlArchive` writes in one transaction: memories, vectors, terms and tombstones move together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Executable, Table, insert, select

from trinitas_tasks.model import Key
from trinitas_tasks.policy.micros import to_micros
from trinitas_tasks.tiers.archive import fulltext, granting, statements
from trinitas_tasks.tiers.archive.blobs import to_blob
from trinitas_tasks.tiers.archive.interface import DeadLetter, Row, Run
from trinitas_tasks.tiers.archive.rows import ENCODER, IN_LIST, KEPT_RUNS, chunks, key_of, newest
from trinitas_tasks.tiers.archive.schema import memories, runs, tombstones


def of_key(key: Key, **more: object) -> dict[str, object]:
    """The parameters by which the statements name a memory."""
    return {"of_persona": key.persona, "of_id": key.id, **more}


def marks(keys: Sequence[tuple[Key, int]], model: str, **more: object) -> list[dict[str, object]]:
    """The parameters by which the statements name the vectors of a memory."""
    return [of_key(key, of_version=version, of_model=model, **more) for key, version in keys]


def each(connection: Connection, statement: Executable, parameters: Sequence[Mapping[str, object]]) -> None:
    """Execute for all parameters, which may be none."""
    if parameters:
        connection.execute(statement, parameters)


def store(connection: Connection, rows: Sequence[Row], columns: Mapping[Key, dict[str, Any]]) -> list[int]:
    """See Archive; ``columns`` are those of the newest row of each key. Letters about what is archived go."""
    wanted = newest(rows)
    held, gone = _held(connection, wanted), _gone(connection, wanted)
    again = {key: held[key][0] for key, row in wanted.items() if key in held and held[key][1] == row.record.version}
    newer = [
        columns[key]
        for key, row in wanted.items()
        if (key not in held or held[key][1] < row.record.version)
        and (key not in gone or gone[key] < row.record.version)
    ]
    change = next_changes(connection, len(newer))
    for statement in statements.UNLINK_CHANGED:
        each(connection, statement, [_changed(row) for row in newer if _key(row) in held])
    written = _put_memories(connection, [row | {"change": change + place} for place, row in enumerate(newer)])
    _put_what_belongs(connection, [(seq, wanted[key], key in held) for key, seq in written.items()])
    _put_vectors(connection, [(seq, wanted[key]) for key, seq in (written | again).items()])
    each(connection, statements.DROP_TOMBSTONE, [of_key(key) for key in written if key in gone])

    stored = {key: wanted[key].record.version for key in (*written, *again)}
    _drop_letters(connection, stored)
    if len(written) < len(newer):  # another connection was faster, as databases allow that lock rows only
        held |= _held(connection, wanted)
    standing = {key: version for key, (_, version) in held.items()} | stored
    # of an erasure at this very version the answer is higher all the same: it was not stored
    return [
        standing[key] if (key := key_of(row)) in standing else max(gone[key], row.record.version + 1) for row in rows
    ]


def erase(connection: Connection, keys: Mapping[Key, int], at: int) -> dict[Key, int]:
    """See Archive; the versions of what still stands. Letters about what is erased go too, and its grants
    end."""
    held = _held(connection, keys)
    doomed = [{"of_seq": seq} for key, (seq, version) in held.items() if version <= keys[key]]
    standing = {key: version for key, (_, version) in held.items() if version > keys[key]}
    if has_full_text(connection):
        each(connection, statements.DELETE_TERMS, doomed)
    each(connection, statements.DROP_MEMORY, doomed)  # and its vectors, by the foreign key
    _drop_letters(connection, keys)
    granting.end(connection, keys)
    gone = [key for key in keys if key not in standing]
    change = next_changes(connection, len(gone))
    tombs = [
        {"persona": key.persona, "id": key.id, "version": keys[key], "at": at, "change": change + place}
        for place, key in enumerate(gone)
    ]
    each(connection, statements.put_tombstone(connection.dialect.name), tombs)
    for statement in (*statements.UNLINK, *statements.DROP_LIFE):
        each(connection, statement, [of_key(key) for key in gone])
    return standing


def bury(connection: Connection, letters: Sequence[DeadLetter]) -> None:
    """See Archive. A letter about what was erased is not kept: it would bring the content back."""
    gone = _gone(connection, {letter.key: letter for letter in letters})
    kept = [
        {
            "persona": letter.key.persona,
            "id": letter.key.id,
            "version": letter.version,
            "at": to_micros(letter.at),
            "attempts": 1,
            "error": letter.error,
            "body": letter.body,
        }
        for letter in letters
        if letter.key not in gone or gone[letter.key] < letter.version
    ]
    each(connection, statements.put_letter(connection.dialect.name), kept)


def drop(connection: Connection, keys: Sequence[tuple[Key, int]]) -> int:
    """See Archive.drop_dead."""
    if not keys:
        return 0
    named = [of_key(key, of_version=version) for key, version in dict.fromkeys(keys)]
    return connection.execute(statements.DROP_LETTER, named).rowcount


def log(connection: Connection, run: Run) -> None:
    """See Archive.log_run."""
    columns = run._asdict() | {"started": to_micros(run.started), "detail": ENCODER.encode(dict(run.detail))}
    connection.execute(insert(runs), columns)
    connection.execute(statements.DROP_OLD_RUNS, {"of_task": run.task, "kept": KEPT_RUNS})


def has_full_text(connection: Connection) -> bool:
    """Whether the database has the FTS5 table."""
    return connection.dialect.name == "sqlite"


def next_changes(connection: Connection, count: int) -> int:
    """The first of so many numbers for changes; nobody else gets one before this transaction ends."""
    raised: int = connection.execute(statements.RAISE_CHANGES, {"by": count}).scalar_one()
    return raised - count + 1


def _put_memories(connection: Connection, columns: list[dict[str, Any]]) -> dict[Key, int]:
    """``seq`` of what was written; a newer version stays as it is."""
    if not columns:
        return {}
    put = connection.execute(statements.put_memory(connection.dialect.name), columns)
    return {Key(persona, id_): seq for persona, id_, seq in put}


def _put_what_belongs(connection: Connection, written: Sequence[tuple[int, Row, bool]]) -> None:
    """Terms, in place of those of the version before, where there was one; its vectors go."""
    replaced = [{"of_seq": seq} for seq, _, was_held in written if was_held]
    each(connection, statements.DROP_VECTORS, replaced)
    if has_full_text(connection):
        each(connection, statements.DELETE_TERMS, replaced)
        each(connection, statements.INSERT_TERMS, [_terms(seq, row) for seq, row, _ in written])


def _put_vectors(connection: Connection, rows: Sequence[tuple[int, Row]]) -> None:
    put = [column for seq, row in rows for column in _vectors(seq, row)]
    each(connection, statements.put_vector(connection.dialect.name), put)


def _held(connection: Connection, keys: Mapping[Key, object]) -> dict[Key, tuple[int, int]]:
    """``seq`` and version of the memories that are here."""
    found = find(connection, memories, keys, memories.c.seq, memories.c.version)
    return {Key(persona, id_): (seq, version) for persona, id_, seq, version in found}


def _gone(connection: Connection, keys: Mapping[Key, object]) -> dict[Key, int]:
    """Up to which versions memories were erased."""
    found = find(connection, tombstones, keys, tombstones.c.version)
    return {Key(persona, id_): version for persona, id_, version in found}


def find(connection: Connection, table: Table, keys: Iterable[Key], *columns: Column[Any]) -> Iterator[Sequence[Any]]:
    """Persona, id and these columns of the rows of a table of memories that have these keys."""
    ids: dict[str, list[str]] = {}
    for key in keys:
        ids.setdefault(key.persona, []).append(key.id)
    # persona by persona: for (persona, id) IN (...) SQLite reads the whole table
    for persona, mine in ids.items():
        wanted = select(table.c.persona, table.c.id, *columns).where(table.c.persona == persona)
        for chunk in chunks(mine, IN_LIST):
            yield from connection.execute(wanted.where(table.c.id.in_(chunk)))


def _key(columns: Mapping[str, Any]) -> Key:
    return Key(columns["persona"], columns["id"])


def _changed(columns: Mapping[str, Any]) -> dict[str, object]:
    return of_key(_key(columns), of_version=columns["version"], of_content=columns["content"])


def _drop_letters(connection: Connection, keys: Mapping[Key, int]) -> None:
    if connection.scalar(statements.ANY_LETTER) is not None:  # there seldom is one
        each(connection, statements.DROP_LETTERS, [of_key(key, of_version=version) for key, version in keys.items()])


def _vectors(seq: int, row: Row) -> Iterator[dict[str, object]]:
    for part, vector in enumerate(row.vectors):
        yield {
            "memory": seq,
            "model": row.model,
            "part": part,
            "indexed": 0,
            "dim": len(vector),
            "data": to_blob(vector),
        }


def _terms(seq: int, row: Row) -> dict[str, object]:
    persona = fulltext.persona_token(row.record.item.persona)
    return {"of_seq": seq, "persona": persona, "terms": fulltext.joined(row.terms)}
