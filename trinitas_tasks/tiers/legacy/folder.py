"""A store of version 3.5 in a folder, in all the layouts that there were."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.errors import InvalidMemory, InvalidQuery, Unavailable
from trinitas_tasks.model import MemoryItem
from trinitas_tasks.tiers.legacy import database, jsonfile, rows
from trinitas_tasks.tiers.legacy.interface import BATCH_CHARACTERS, Found, Place, Slice, Unreadable
from trinitas_tasks.tiers.legacy.layout import TYPES, Kind, Part, parts_of

TABLES: Final = {Kind.EPISODES: "episodes", Kind.PROCEDURES: "procedures"}
READERS: Final[Mapping[Kind, Callable[[Mapping[str, Any], str | None, tzinfo | None], MemoryItem]]] = {
    Kind.EPISODES: rows.episode,
    Kind.PROCEDURES: rows.procedure,
}
WHOLE: Final = ""
"""The row of what is said of a whole part."""


@dataclass(slots=True)
class _Read:
    """What one look at a part came to. ``after``: how far it came; None: to its end."""

    found: list[Found] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    after: int | None = None


class LegacyFolder:
    """The store below ``base``. ``zone``: of its times, None: this machine's. ``work``: a folder for copies of files
    that reading would change; it may be the same each time."""

    def __init__(self, base: Path, *, zone: tzinfo | None, work: Path) -> None:
        self._base, self._zone, self._work = base, zone, work
        self._parts = _found_parts(base)

    def parts(self) -> Mapping[str, int]:
        """See LegacyStore."""
        return {part.name: part.size for part in self._parts}

    def read(self, place: Place, limit: int) -> Slice:
        """See LegacyStore."""
        names = [part.name for part in self._parts]
        if place.part and place.part not in names:
            raise InvalidQuery(f"{self._base / place.part} was there and is not any more: begin again")
        at = names.index(place.part) if place.part else 0
        part, after = self._parts[at], place.at
        read = self._read(part, after, limit)
        found = self._renamed(part, read)
        following: Place | None = None
        if read.after is not None:
            following = Place(part.name, read.after)
        elif at + 1 < len(names):
            following = Place(names[at + 1])
        return Slice(tuple(found), tuple(read.unreadable), following)

    def _read(self, part: Part, after: int, limit: int) -> _Read:
        read = _Read()
        try:
            if part.kind is Kind.CHROMA:
                self._chroma(part, after, limit, read)
            elif part.kind is Kind.KNOWLEDGE:
                self._json(part, after, limit, read)
            else:
                self._table(part, after, limit, read)
        except (sqlite3.Error, OSError, Unavailable) as error:
            _give_up(read, part, f"it cannot be read{f' behind row {after}' if after else ''}: {error}")
        return read

    def _table(self, part: Part, after: int, limit: int, read: _Read) -> None:
        make, characters = READERS[part.kind], 0
        with database.opened(part, self._work) as connection:
            number, seen = after, 0
            for number, row in database.rows(connection, TABLES[part.kind], after, limit):
                _add(read, part, str(number), _raw(row), partial(make, row, part.persona, self._zone))
                seen += 1
                characters += sum(len(each) for each in row.values() if isinstance(each, str | bytes))
                if characters > BATCH_CHARACTERS:
                    break
        read.after = number if seen == limit or characters > BATCH_CHARACTERS else None

    def _json(self, part: Part, after: int, limit: int, read: _Read) -> None:
        with part.path.open("rb") as file:
            some = jsonfile.entries(file, after)
            before = after
            for seen, entry in enumerate(some, 1):
                if isinstance(entry, jsonfile.Torn):
                    read.unreadable.append(Unreadable(part.name, f"byte {before}", entry.reason, entry.raw))
                else:
                    name, value, _ = entry
                    made = partial(rows.knowledge, name, value, part.persona, self._zone)
                    _add(read, part, name, {name: value}, made)
                before = entry.after
                if seen == limit or entry.after - after > BATCH_CHARACTERS:
                    torn_to_the_end = isinstance(entry, jsonfile.Torn) and entry.after >= part.size
                    read.after = None if torn_to_the_end else entry.after
                    return

    def _chroma(self, part: Part, after: int, limit: int, read: _Read) -> None:
        try:
            from trinitas_tasks.tiers.legacy import chroma  # noqa: PLC0415 - it takes a second, and few stores have one
        except ImportError as error:
            raise Unavailable("chromadb is not installed here: pip install 'trinitas-tasks[worker]'") from error

        documents = chroma.documents(part, self._work, after, limit)
        for each in documents:
            raw = {"document": each.text, "metadata": dict(each.metadata)}
            place = f"{each.collection}/{each.id}"
            made = partial(rows.document, each.id, each.text, each.metadata, each.kind, self._zone)
            _add(read, part, place, raw, made)
        read.after = after + len(documents) if len(documents) == limit else None

    def _renamed(self, part: Part, read: _Read) -> list[Found]:
        """Ids that a memory of another type has are made different: here ids are unique within a persona."""
        try:
            taken = self._taken(part, [each.item for each in read.found])
        except Unavailable as error:
            _give_up(read, part, f"whether its ids are those of other memories cannot be told: {error}")
            return []
        return [self._named(each) if _key(each) in taken else each for each in read.found]

    @staticmethod
    def _named(found: Found) -> Found:
        fields = dict(found.item)
        room = 127 - len(found.item.type)
        fields["id"] = f"{found.item.id[:room]}-{found.item.type}"
        return found._replace(item=MemoryItem.build(**fields), renamed=True)

    def _taken(self, part: Part, items: Sequence[MemoryItem]) -> set[tuple[str, str]]:
        """Which of these ids a table of memories of another type has, that comes before this part. Raises: Busy."""
        ids: dict[str, list[str]] = {}
        for item in items:
            ids.setdefault(item.persona, []).append(item.id)
        taken: set[tuple[str, str]] = set()
        for other in self._parts:
            if other.kind not in TABLES or other.kind >= part.kind:
                continue
            wanted = {whose: mine for whose, mine in ids.items() if other.persona in (None, whose)}
            mine_too = [each for each in items if part.kind is Kind.CHROMA and each.type is TYPES[other.kind]]
            same = {(each.persona, each.id) for each in mine_too}  # the hybrid backend wrote it to both
            # what is damaged is told when its turn comes
            with suppress(sqlite3.Error, OSError), database.opened(other, self._work) as connection:
                for persona, mine in wanted.items():
                    whose = persona if other.persona is None else None
                    found = database.known(connection, TABLES[other.kind], whose, mine)
                    taken |= {(persona, id_) for id_ in found} - same
        return taken


def _found_parts(base: Path) -> list[Part]:
    try:
        found = parts_of(base)
    except OSError as error:
        raise InvalidQuery(
            f"{base} cannot be read on the machine of this process: {error.strerror}. The ingest worker reads the "
            "store: it must see it under the same path as the command"
        ) from error
    if not found:
        raise InvalidQuery(
            f"{base} is no store of version 3.5: no folder of a persona with episodes.db, procedures.db or "
            "knowledge/knowledge.json is in it, and none of episodic.db, procedural.db, semantic/knowledge.json, Chroma"
        )
    return found


def _give_up(read: _Read, part: Part, reason: str) -> None:
    read.unreadable.append(Unreadable(part.name, WHOLE, reason))
    read.after = None


def _key(found: Found) -> tuple[str, str]:
    return found.item.persona, found.item.id


def _add(read: _Read, part: Part, row: str, raw: Any, make: Callable[[], MemoryItem]) -> None:
    try:
        read.found.append(Found(make(), part.name, row))
    except InvalidMemory as error:
        read.unreadable.append(Unreadable(part.name, row, str(error), raw))


def _raw(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON carries it; bytes as base64."""
    return {
        name: {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in row.items()
    }
