"""The spool in a SQLite file of this machine, shared by all its processes.

The queue libraries on SQLite (persist-queue, litequeue) neither promise `synchronous=FULL` nor read what waits.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.errors import InvalidMemory, Overloaded
from trinitas_tasks.model import Key, MemoryItem
from trinitas_tasks.tiers.local_file import LocalFile
from trinitas_tasks.tiers.spool.interface import Entry

MARK_DAYS: Final = 30
"""How long a mark says that a memory was forgotten; by then the archive has erased it."""
WAITS, MARK, UNREADABLE, REPLAYED = 0, 1, 2, 3

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, state INTEGER NOT NULL, persona TEXT NOT NULL,
    id TEXT NOT NULL, version INTEGER NOT NULL, at REAL NOT NULL, dedup TEXT, body BLOB
);
CREATE INDEX IF NOT EXISTS entries_key ON entries (target, persona, id, version);
CREATE INDEX IF NOT EXISTS entries_state ON entries (target, state);
CREATE INDEX IF NOT EXISTS entries_version ON entries (target, version);
CREATE INDEX IF NOT EXISTS entries_said ON entries (target, persona, dedup) WHERE dedup IS NOT NULL;
"""

COLUMNS: Final = "number, state, persona, id, version, body"


class SqliteSpool:
    """The spool in ``path`` of what goes to ``target``, a name for one Redis and namespace: others' are not seen.

    The file is made with the first entry.
    """

    def __init__(
        self,
        path: Path,
        *,
        target: str,
        limit_mb: int,
        dedup_seconds: int = 60,
        replayed_seconds: float = 60.0,
        patience_seconds: float = 1.0,
    ) -> None:
        self._file = LocalFile(path, name="spool", schema=SCHEMA, patience_seconds=patience_seconds)
        self._target = target
        self._limit_bytes = limit_mb << 20
        self._limit_mb = limit_mb
        self._dedup_seconds = dedup_seconds
        self._replayed_seconds = replayed_seconds

    def write(self, items: Sequence[tuple[MemoryItem, str | None]], *, above: int) -> tuple[list[str], int]:
        """See Spool. Raises: Overloaded when the file is as large as it may be."""
        with self._file.transaction("keep memories") as connection:
            self._drop(connection, REPLAYED, older_than=self._replayed_seconds)
            self._check_room(connection)
            version = self._next_version(connection, above)
            ids = []
            for item, dedup in items:
                known = self._known(connection, item, dedup)
                if known is None:
                    self._insert(connection, WAITS, Key(item.persona, item.id), version, dedup, item.to_json())
                    version += 1
                ids.append(known or item.id)
            return ids, version - 1

    def forget(self, keys: Sequence[Key], *, above: int) -> int:
        """See Spool."""
        with self._file.transaction("keep what was forgotten") as connection:
            version = self._next_version(connection, above)
            for place, key in enumerate(keys):
                self._insert(connection, WAITS, key, version + place, None, None)
            return version + len(keys) - 1

    def mark(self, keys: Sequence[Key], version: int) -> None:
        """See Spool."""
        with self._file.transaction("mark what was forgotten") as connection:
            self._drop(connection, MARK, older_than=MARK_DAYS * 86400)
            for key in keys:
                connection.execute(
                    "DELETE FROM entries WHERE target = ? AND state = ? AND persona = ? AND id = ?",
                    (self._target, REPLAYED, *key),
                )
                self._insert(connection, MARK, key, version, None, None)

    def latest(self, persona: str, ids: Sequence[str]) -> list[Entry | None]:
        """See Spool."""
        found: dict[str, Entry] = {}
        for memory_id in ids:
            for entry in self._read("persona = ? AND id = ? ORDER BY version DESC LIMIT 1", persona, memory_id):
                found[memory_id] = entry
        return [found.get(each) for each in ids]

    def pending(self, persona: str, limit: int) -> list[Entry]:
        """See Spool."""
        rows = self._read("persona = ? AND state = ? ORDER BY number DESC LIMIT ?", persona, WAITS, limit)
        newest: dict[Key, Entry] = {}
        for entry in rows:
            newest.setdefault(entry.key, entry)
        return [entry for entry in newest.values() if entry.item is not None]

    def take(self, limit: int, *, after: int = 0) -> list[Entry]:
        """See Spool. An entry that cannot be read is set aside: it must not hold up those behind it."""
        return self._read("state = ? AND number > ? ORDER BY number LIMIT ?", WAITS, after, limit)

    def keep(self, entries: Sequence[Entry]) -> None:
        """See Spool."""
        with self._file.transaction("keep what was restored") as connection:
            for each in entries:
                self._insert_entry(connection, each)

    def newest(self) -> int:
        """The number of the last entry, for whatever target; 0: there is none."""
        if not self._file.exists:
            return 0
        with self._file.reading() as connection:
            return int(connection.execute("SELECT coalesce(max(number), 0) FROM entries").fetchone()[0])

    def replace(self, entries: Iterable[Entry], *, upto: int, mark: str) -> None:
        """Let these wait in the place of all up to this number; all or nothing. Repeated under the same ``mark``, it
        changes nothing: what was kept meanwhile stays."""
        with self._file.transaction("take what was restored") as connection:
            connection.execute(
                "DELETE FROM entries WHERE target = ? AND (number <= ? OR dedup = ?)", (self._target, upto, mark)
            )
            for each in entries:
                self._insert_entry(connection, each, mark)

    def copy(self, path: Path) -> None:
        """Write all that is kept, for whatever target, into another file, in place of what is there."""
        path.unlink(missing_ok=True)
        with self._file.reading() as connection, closing(sqlite3.connect(path)) as copied:
            connection.backup(copied)

    def done(self, entries: Sequence[Entry]) -> None:
        """See Spool."""
        with self._file.transaction("mark what was replayed") as connection:
            self._drop(connection, REPLAYED, older_than=self._replayed_seconds)
            connection.executemany(
                "UPDATE entries SET state = ?, at = ? WHERE number = ?",
                [(MARK if entry.item is None else REPLAYED, time.time(), entry.number) for entry in entries],
            )

    def _drop(self, connection: sqlite3.Connection, state: int, *, older_than: float) -> None:
        connection.execute(
            "DELETE FROM entries WHERE target = ? AND state = ? AND at < ?",
            (self._target, state, time.time() - older_than),
        )

    def waiting(self) -> int:
        """See Spool."""
        return self._count(WAITS)

    def unreadable(self) -> int:
        """See Spool."""
        return self._count(UNREADABLE)

    def empty(self) -> bool:
        """See Spool."""
        if not self._file.exists:
            return True
        with self._file.reading() as connection:
            found = connection.execute(
                "SELECT 1 FROM entries WHERE target = ? AND state = ? LIMIT 1", (self._target, WAITS)
            ).fetchone()
        return found is None

    def close(self) -> None:
        """See Spool."""
        self._file.close()

    def _count(self, state: int) -> int:
        if not self._file.exists:
            return 0
        with self._file.reading() as connection:
            found = connection.execute(
                "SELECT count(*) FROM entries WHERE target = ? AND state = ?", (self._target, state)
            ).fetchone()
        return int(found[0])

    def _read(self, where: str, *parameters: Any) -> list[Entry]:
        if not self._file.exists:
            return []
        with self._file.reading() as connection:
            statement = f"SELECT {COLUMNS} FROM entries WHERE target = ? AND {where}"
            rows = connection.execute(statement, (self._target, *parameters)).fetchall()
        entries = []
        for number, state, persona, memory_id, version, body in rows:
            if state == UNREADABLE:
                continue
            try:
                item = None if body is None else MemoryItem.from_json(body)
            except InvalidMemory:
                self._set_aside(number)
                continue
            entries.append(Entry(number, Key(persona, memory_id), version, item, waits=state == WAITS))
        return entries

    def _set_aside(self, number: int) -> None:
        with self._file.transaction("set an unreadable entry aside") as connection:
            connection.execute("UPDATE entries SET state = ? WHERE number = ?", (UNREADABLE, number))

    def _known(self, connection: sqlite3.Connection, item: MemoryItem, dedup: str | None) -> str | None:
        if self._body(connection, item.persona, item.id) == item.to_json():  # the same call again
            return item.id
        said = connection.execute(
            "SELECT id, body FROM entries WHERE target = ? AND state = ? AND persona = ? AND dedup = ? AND at > ? "
            "ORDER BY number DESC LIMIT 1",
            (self._target, WAITS, item.persona, dedup, time.time() - self._dedup_seconds),
        ).fetchone()
        return str(said[0]) if said and self._body(connection, item.persona, said[0]) == said[1] else None

    def _body(self, connection: sqlite3.Connection, persona: str, memory_id: str) -> bytes | None:
        """Of the newest entry; None also if that says that it was forgotten."""
        newest = "SELECT body FROM entries WHERE target = ? AND persona = ? AND id = ? ORDER BY version DESC LIMIT 1"
        found: tuple[bytes | None] | None = connection.execute(newest, (self._target, persona, memory_id)).fetchone()
        return found and found[0]

    def _next_version(self, connection: sqlite3.Connection, above: int) -> int:
        highest = connection.execute("SELECT max(version) FROM entries WHERE target = ?", (self._target,)).fetchone()[0]
        return int(max(time.time() * 1_000_000, above + 1, (highest or 0) + 1))

    def _insert(
        self, connection: sqlite3.Connection, state: int, key: Key, version: int, dedup: str | None, body: bytes | None
    ) -> None:
        connection.execute(
            "INSERT INTO entries (target, state, persona, id, version, at, dedup, body) VALUES (?,?,?,?,?,?,?,?)",
            (self._target, state, *key, version, time.time(), dedup, body),
        )

    def _insert_entry(self, connection: sqlite3.Connection, entry: Entry, mark: str | None = None) -> None:
        body = None if entry.item is None else entry.item.to_json()
        self._insert(connection, WAITS, entry.key, entry.version, mark, body)

    def _check_room(self, connection: sqlite3.Connection) -> None:
        if self._is_full(connection):
            self._drop(connection, REPLAYED, older_than=-1.0)
        if self._is_full(connection):
            raise Overloaded(
                f"Redis is away and {self._limit_mb} MB of writes wait for it in {self._file.path}: bring Redis back, "
                "or raise TRINITAS_SPOOL_LIMIT_MB"
            )

    def _is_full(self, connection: sqlite3.Connection) -> bool:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return bool((pages - free) * size >= self._limit_bytes)
