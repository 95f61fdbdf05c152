"""A migration taken back: what came and was not changed since goes from every tier, with all that became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key, MemoryType, Record
from trinitas_tasks.policy.grants import holders
from trinitas_tasks.services import lookup
from trinitas_tasks.services.migrate import TURNS, digest
from trinitas_tasks.services.spaces import Spaces
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.lives import KEPT
from trinitas_tasks.tiers.archive.provenance import TAKEN_BACK, Migrated
from trinitas_tasks.tiers.hot.interface import Finished, HotTier


@dataclass(frozen=True, slots=True)
class Undone:
    """What one step came to: memories that were removed, and those that stay since they are not (any more) what was
    copied. ``more``: there is more to do."""

    removed: int
    kept: int
    more: bool


def undo(*, migration: str, hot: HotTier, archive: Archive, spaces: Spaces, limit: int) -> Undone:
    """Remove the next memories that came with this migration and were not changed since, from every tier.

    A memory that a task consolidated is what was copied, still. What was said or granted of them ends.
    Raises: Unavailable; what was removed until then stays so.
    """
    notes = archive.migrated(migration, None, limit)
    if not notes:
        return Undone(0, 0, more=False)
    keys = [note.key for note in notes]
    standing = lookup.versions(keys, archive)
    moved = [note for note in notes if standing[note.key] not in (None, note.version)]
    consolidated = _consolidated(moved, archive)
    _wait_for([note for note in notes if note.key not in consolidated], hot, archive)
    archive.put_mark(TURNS, archive.mark(TURNS) + 1)  # before the first goes: nobody stores what was prepared by now
    gone = {note.key: note.version for note in notes if standing[note.key] in (None, note.version)} | consolidated
    removed = sum(standing[key] is not None for key in gone)
    _revoke(gone, hot, archive)
    # before, since their notes go with them; and after, since what is being indexed may come in between
    _delete(gone, spaces)
    archive.note_migrated([Migrated(TAKEN_BACK, key, version, "") for key, version in gone.items()])
    archive.erase(list(gone.items()))
    _delete(gone, spaces)
    hot.finish([Finished(key, version, 0) for key, version in gone.items()])
    archive.drop_migrated(migration, keys)
    hot.changed(sorted({key.persona for key in keys}))
    return Undone(removed, len(keys) - len(gone), more=True)


def _consolidated(notes: Sequence[Migrated], archive: Archive) -> dict[Key, int]:
    """Those that stand at another version only since a task gave them another type: at which."""
    records = lookup.records([note.key for note in notes], archive)
    return {
        note.key: record.version
        for note in notes
        if (record := records[note.key]) is not None and _is_but_for_its_type(note, record, archive)
    }


def _is_but_for_its_type(note: Migrated, record: Record, archive: Archive) -> bool:
    was = _type_before(note, archive)
    return was is not None and digest(record.item.model_copy(update={"type": was})) == note.digest


def _type_before(note: Migrated, archive: Archive) -> MemoryType | None:
    """Of what was copied, if a task gave it another one."""
    done = archive.consolidations(key=note.key)
    types = [str(each.before["type"]) for each in done if each.kind == KEPT and each.version == note.version]
    return MemoryType(types[0]) if types else None


def _wait_for(notes: Iterable[Migrated], hot: HotTier, archive: Archive) -> None:
    """Raises: Unavailable while what a task made of one of them is not archived yet."""
    by_key = {note.key: note for note in notes}
    waiting = [each.key for each in hot.standings(list(by_key)) if each is not None and not each.copy and not each.gone]
    if early := [key for key in waiting if _type_before(by_key[key], archive) is not None]:
        raise Unavailable(f"{len(early)} memories were consolidated a moment ago, and are to be archived first")


def _revoke(keys: Iterable[Key], hot: HotTier, archive: Archive) -> None:
    """Grants outlive what erasures at so low a version end: they are told to end."""
    wanted = list(keys)
    known: Mapping[Key, set[str]] = {each.key: set(holders(each.grants)) for each in hot.grants(wanted)}
    for persona, ids in lookup.by_persona(wanted):
        for id_, grants in zip(ids, archive.grants(persona, ids), strict=True):
            known[Key(persona, id_)].update(holders(grants))
    for key, grantees in known.items():
        if grantees:
            hot.unshare(key)


def _delete(keys: Iterable[Key], spaces: Spaces) -> None:
    for persona, ids in lookup.by_persona(keys):
        spaces.of(persona).delete(persona, ids)
