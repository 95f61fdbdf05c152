"""Memories of a store of version 3.5 copied into the archive and the vector tier, and verified.

What is copied has a version below that of every live write, so whatever was written or forgotten here wins, before
and after. Each batch is noted before it is stored: what was stored is noted, whenever a crash comes. All steps may be
repeated, and change nothing the second time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from trinitas_tasks.embedding.models import Models
from trinitas_tasks.errors import ModelError, Unavailable
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.services import lookup
from trinitas_tasks.services.embedding import embedded
from trinitas_tasks.services.ingest import index
from trinitas_tasks.services.spaces import Spaces
from trinitas_tasks.tiers.archive.interface import Archive, Row
from trinitas_tasks.tiers.archive.provenance import TAKEN_BACK, Migrated
from trinitas_tasks.tiers.hot.interface import HotTier
from trinitas_tasks.tiers.legacy.interface import Found, LegacyStore, Place, Slice, Unreadable

TURNS: Final = "migration undone"
"""How often steps of migrations were taken back: what was prepared before that is not stored after it."""
FIRST: Final = 1
"""The version of what is copied; after it was taken back once, the one above that of its erasure."""

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
    """Memories of the store that were not here, embedded. ``turn``: how often something was taken back by then."""

    some: Slice
    turn: int
    rows: list[Row]
    refused: tuple[Unreadable, ...]


class Here(NamedTuple):
    """What is here of a memory of the store: at which ``version`` it stands, or (None) at which a copy would, ``free``;
    None there, too: it was forgotten here, and stays away."""

    version: int | None
    free: int | None


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


def digest(item: MemoryItem) -> str:
    """The SHA-256 of all that a memory says, without its accesses."""
    return hashlib.sha256(item.to_json()).hexdigest()


def prepare(place: Place, *, store: LegacyStore, archive: Archive, models: Models, limit: int) -> Prepared:
    """Read the next memories of the store, and embed those that are not here. Raises: Unavailable, ArchiveError."""
    some, turn = store.read(place, limit), archive.mark(TURNS)
    by_key = _by_key(some)
    standing = _standing(by_key, archive)
    refused: list[Unreadable] = []

    def refuse(record: Record, error: ModelError) -> None:
        found = by_key[_of(record.item)]
        refused.append(Unreadable(found.source, found.row, str(error), {"memory": record.item.to_json().decode()}))

    new = [Record(by_key[key].item, each.free) for key, each in standing.items() if each.free is not None]
    return Prepared(some, turn, embedded(new, models, refuse), tuple(refused))


def settle(made: Prepared, *, migration: str, hot: HotTier, archive: Archive, spaces: Spaces) -> Copied:
    """Store and index them. Raises: Unavailable, ArchiveError; Unavailable too where something was taken back since
    they were prepared."""
    if archive.mark(TURNS) != made.turn:
        raise Unavailable("a migration was taken back meanwhile: this step begins again")
    by_key, found = _by_key(made.some), made.some.found
    notes = dict(zip(by_key, archive.migrated_of(migration, list(by_key)), strict=True))
    standing = _standing(by_key, archive)  # the ones before are stored by now: of two of one key the first counts
    new = [row for row in made.rows if standing[_of(row.record.item)].free == row.record.version]
    archive.note_migrated(
        [Migrated(migration, _of(row.record.item), row.record.version, digest(row.record.item)) for row in new]
    )
    stood = archive.store(new) if new else []
    mine = [row for row, version in zip(new, stood, strict=True) if version == row.record.version]
    indexed, _ = index(mine, spaces, archive)
    hot.changed(sorted({row.record.item.persona for row in mine}))
    already = sum(_is_as_noted(notes[_key(each)], each, standing[_key(each)].version) for each in found)
    return Copied(
        place=made.some.place,
        read=len(found),
        copied=len(mine),
        already=already,
        there=sum(standing[_key(each)].version is not None for each in found) - already,
        forgotten=sum(each == (None, None) for each in standing.values()),
        waiting=len(mine) - indexed,
        refused=made.refused,
    )


def _standing(keys: Iterable[Key], archive: Archive) -> dict[Key, Here]:
    wanted = list(keys)
    here, gone = lookup.versions(wanted, archive), lookup.erased(wanted, archive)
    back = dict(zip(wanted, archive.migrated_of(TAKEN_BACK, wanted), strict=True))
    return {key: _standing_of(here[key], gone[key], back[key]) for key in wanted}


def _standing_of(version: int | None, erased: int | None, back: Migrated | None) -> Here:
    if version is not None:
        return Here(version, None)
    if erased is None:
        return Here(None, FIRST)
    return Here(None, erased + 1 if _was_taken_back(erased, back) else None)


def _was_taken_back(erased: int, back: Migrated | None) -> bool:
    """Whether this erasure was that of a migration."""
    return back is not None and back.version == erased


def _by_key(some: Slice) -> dict[Key, Found]:
    return {_key(each): each for each in reversed(some.found)}  # of two of one key the first


def _is_as_noted(note: Migrated | None, found: Found, standing: int | None) -> bool:
    return note is not None and standing == note.version and digest(found.item) == note.digest


def verify(place: Place, *, migration: str, store: LegacyStore, archive: Archive, limit: int) -> Verified:
    """Compare the next memories of the store with the archive, and change nothing. Raises: Unavailable."""
    some = store.read(place, limit)
    keys = [_key(each) for each in some.found]
    notes = dict(zip(keys, archive.migrated_of(migration, keys), strict=True))
    records, standing = lookup.records(keys, archive), _standing(dict.fromkeys(keys), archive)
    counts = {"same": 0, "changed": 0, "forgotten": 0, "twice": 0}
    differing: list[Differing] = []
    for found in some.found:
        key = _key(found)
        verdict = _verdict(found, notes[key], records[key], is_free=standing[key].free is not None)
        if verdict in counts:
            counts[verdict] += 1
        else:
            differing.append(Differing(key, found.source, found.row, verdict))
    noted = tuple(key for key, note in notes.items() if note is not None)
    return Verified(place=some.place, read=len(some.found), noted=noted, differing=tuple(differing), **counts)


def _verdict(found: Found, note: Migrated | None, record: Record | None, *, is_free: bool) -> str:
    mine = digest(found.item)
    if record is None:
        return MISSING if is_free else "forgotten"
    if digest(record.item) == mine:
        return "same"
    if note is not None and note.digest != mine:  # Chroma keeps less of what the tables have, too
        return "twice" if record.version == note.version and record.item.content == found.item.content else TWICE
    if note is None or record.version != note.version:
        return "changed"
    return DIFFERENT


def _key(found: Found) -> Key:
    return _of(found.item)


def _of(item: MemoryItem) -> Key:
    return Key(item.persona, item.id)
