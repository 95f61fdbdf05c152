"""Memories of a store of version 3.5 copied into the archive and the vector tier, verified, and taken back.

What is copied has a version below that of every live write, so whatever was written or forgotten here wins, before
and after. Each batch is noted before it is stored: what was stored is noted, whenever a crash comes. All steps may be
repeated, and change nothing the second time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from trinitas_tasks.embedding.models import Models
from trinitas_tasks.errors import ModelError, Unavailable
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.services.embedding import embedded
from trinitas_tasks.services.ingest import index
from trinitas_tasks.services.spaces import Spaces
from trinitas_tasks.tiers.archive.interface import Archive, Row
from trinitas_tasks.tiers.archive.provenance import Migrated
from trinitas_tasks.tiers.hot.interface import Finished, HotTier
from trinitas_tasks.tiers.legacy.interface import Found, LegacyStore, Place, Slice, Unreadable

MARK: Final = "migration undone"
"""The highest version that was taken back: what is copied after that has a higher one, since erasures are for good."""

MISSING: Final = "not in the archive, and not forgotten"
DIFFERENT: Final = "not what the store has"
TWICE: Final = "another memory of this id came before it in the store, or the store was changed since"


@dataclass(frozen=True, slots=True)
class Copied:
    """What some of the store came to, in memories. ``already``: this migration had brought them, as they are in the
    store; ``there``: others that were here before; ``forgotten``: here, so they stay away; ``waiting``: the vector tier
    took them not yet. ``place`` None: that was the end."""

    place: Place | None
    read: int = 0
    copied: int = 0
    already: int = 0
    there: int = 0
    forgotten: int = 0
    waiting: int = 0
    refused: tuple[Unreadable, ...] = ()

    def __add__(self, then: Copied) -> Copied:
        return Copied(
            then.place,
            self.read + then.read,
            self.copied + then.copied,
            self.already + then.already,
            self.there + then.there,
            self.forgotten + then.forgotten,
            self.waiting + then.waiting,
            self.refused + then.refused,
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """Memories of the store that were not here, embedded, to be stored at this version."""

    some: Slice
    version: int
    rows: list[Row]
    refused: tuple[Unreadable, ...]


class Differing(NamedTuple):
    """A memory of the store that is not in the archive as it was there."""

    key: Key
    source: str
    row: str
    what: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What one step of a comparison came to. ``same`` are in the archive as they are in the store, ``changed`` were
    changed here since, or were here before, ``forgotten`` were, of ``twice`` another part of the store told more.
    ``noted``: the notes of this migration about them."""

    place: Place | None
    read: int
    same: int
    changed: int
    forgotten: int
    twice: int
    noted: tuple[Key, ...]
    differing: tuple[Differing, ...]


@dataclass(frozen=True, slots=True)
class Undone:
    """What one step of taking back came to: memories that were removed, and those that stay since they are not (any
    more) what was copied. ``more``: there is more to do."""

    removed: int
    kept: int
    more: bool


def digest(item: MemoryItem) -> str:
    """The SHA-256 of all that a memory says, without its accesses."""
    return hashlib.sha256(item.to_json()).hexdigest()


def prepare(place: Place, *, store: LegacyStore, archive: Archive, models: Models, limit: int) -> Prepared:
    """Read the next memories of the store, and embed those that are not here. Raises: Unavailable, ArchiveError."""
    some = store.read(place, limit)
    version = archive.mark(MARK) + 1
    by_key = _by_key(some)
    standing, erased = _versions(by_key, archive), _erased(by_key, archive)
    new = [each for key, each in by_key.items() if standing[key] is None and (erased[key] or 0) < version]
    refused: list[Unreadable] = []

    def refuse(record: Record, error: ModelError) -> None:
        found = by_key[Key(record.item.persona, record.item.id)]
        refused.append(Unreadable(found.source, found.row, str(error), {"memory": record.item.to_json().decode()}))

    rows = embedded([Record(each.item, version) for each in new], models, refuse)
    return Prepared(some, version, rows, tuple(refused))


def settle(made: Prepared, *, migration: str, hot: HotTier, archive: Archive, spaces: Spaces) -> Copied:
    """Store and index them. Raises: Unavailable, ArchiveError; Unavailable too where the migration was taken back since
    they were prepared."""
    version, by_key = made.version, _by_key(made.some)
    if archive.mark(MARK) + 1 != version:
        raise Unavailable("a migration was taken back meanwhile: this step begins again")
    notes = dict(zip(by_key, archive.migrated_of(migration, list(by_key)), strict=True))
    # the ones before are stored by now: of two of one key the first counts
    standing, erased = _versions(by_key, archive), _erased(by_key, archive)
    new = [row for row in made.rows if standing[key := _of(row.record.item)] is None and (erased[key] or 0) < version]
    archive.note_migrated([Migrated(migration, _of(row.record.item), version, digest(row.record.item)) for row in new])
    stood = archive.store(new) if new else []
    mine = [row for row, found in zip(new, stood, strict=True) if found == version]
    indexed, _ = index(mine, spaces, archive)
    hot.changed(sorted({row.record.item.persona for row in mine}))
    found = made.some.found
    already = sum(_is_as_noted(notes[_key(each)], each, standing[_key(each)]) for each in found)
    return Copied(
        place=made.some.place,
        read=len(found),
        copied=len(mine),
        already=already,
        there=sum(standing[_key(each)] is not None for each in found) - already,
        forgotten=sum(standing[key] is None and (erased[key] or 0) >= version for key in by_key),
        waiting=len(mine) - indexed,
        refused=made.refused,
    )


def _by_key(some: Slice) -> dict[Key, Found]:
    return {_key(each): each for each in reversed(some.found)}  # of two of one key the first


def _is_as_noted(note: Migrated | None, found: Found, standing: int | None) -> bool:
    return note is not None and standing == note.version and digest(found.item) == note.digest


def verify(place: Place, *, migration: str, store: LegacyStore, archive: Archive, limit: int) -> Verified:
    """Compare the next memories of the store with the archive, and change nothing. Raises: Unavailable."""
    some = store.read(place, limit)
    keys = [_key(each) for each in some.found]
    notes = dict(zip(keys, archive.migrated_of(migration, keys), strict=True))
    records, erased = _records(keys, archive), _erased(keys, archive)
    counts = {"same": 0, "changed": 0, "forgotten": 0, "twice": 0}
    differing: list[Differing] = []
    for found in some.found:
        key = _key(found)
        verdict = _verdict(found, notes[key], records[key], erased[key])
        if verdict in counts:
            counts[verdict] += 1
        else:
            differing.append(Differing(key, found.source, found.row, verdict))
    noted = tuple(key for key, note in notes.items() if note is not None)
    return Verified(place=some.place, read=len(some.found), noted=noted, differing=tuple(differing), **counts)


def _verdict(found: Found, note: Migrated | None, record: Record | None, erased: int | None) -> str:
    mine = digest(found.item)
    if record is None:
        return MISSING if erased is None else "forgotten"
    if digest(record.item) == mine:
        return "same"
    if note is not None and note.digest != mine:  # Chroma keeps less of what the tables have, too
        return "twice" if record.version == note.version and record.item.content == found.item.content else TWICE
    if note is None or record.version != note.version:
        return "changed"
    return DIFFERENT


def undo(*, migration: str, hot: HotTier, archive: Archive, spaces: Spaces, limit: int) -> Undone:
    """Remove the next memories that came with this migration and were not changed since, from every tier.

    Raises: Unavailable; what was removed until then stays so.
    """
    notes = archive.migrated(migration, None, limit)
    if not notes:
        return Undone(0, 0, more=False)
    # before the first goes: what is erased at a version cannot be copied at it again
    archive.put_mark(MARK, max(archive.mark(MARK), *(note.version for note in notes)))
    standing = _versions([note.key for note in notes], archive)
    gone = [note for note in notes if standing[note.key] in (None, note.version)]
    removed = sum(standing[note.key] is not None for note in gone)
    # before, since their notes go with them; and after, since what is being indexed may come in between
    _delete(gone, spaces)
    archive.erase([(note.key, note.version) for note in gone])
    _delete(gone, spaces)
    hot.finish([Finished(note.key, note.version, 0) for note in gone])
    archive.drop_migrated(migration, [note.key for note in notes])
    hot.changed(sorted({note.key.persona for note in notes}))
    return Undone(removed, len(notes) - len(gone), more=True)


def _delete(notes: Iterable[Migrated], spaces: Spaces) -> None:
    for persona, group in groupby(notes, key=lambda note: note.key.persona):
        spaces.of(persona).delete(persona, [note.key.id for note in group])


def _key(found: Found) -> Key:
    return _of(found.item)


def _of(item: MemoryItem) -> Key:
    return Key(item.persona, item.id)


def _versions(keys: Iterable[Key], archive: Archive) -> Mapping[Key, int | None]:
    return {
        Key(persona, id_): version
        for persona, ids in _by_persona(keys)
        for id_, version in zip(ids, archive.versions(persona, ids), strict=True)
    }


def _erased(keys: Iterable[Key], archive: Archive) -> Mapping[Key, int | None]:
    return {
        Key(persona, id_): version
        for persona, ids in _by_persona(keys)
        for id_, version in zip(ids, archive.erased(persona, ids), strict=True)
    }


def _records(keys: Iterable[Key], archive: Archive) -> Mapping[Key, Record | None]:
    return {
        Key(persona, id_): record
        for persona, ids in _by_persona(keys)
        for id_, record in zip(ids, archive.load(persona, ids), strict=True)
    }


def _by_persona(keys: Iterable[Key]) -> list[tuple[str, Sequence[str]]]:
    ordered = sorted(set(keys))
    return [(persona, [key.id for key in group]) for persona, group in groupby(ordered, key=lambda key: key.persona)]
