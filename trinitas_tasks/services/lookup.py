"""What the archive has of many memories of many personas, in one call a persona."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from trinitas_tasks.model import Key, Record
from trinitas_tasks.tiers.archive.interface import Archive


def versions(keys: Iterable[Key], archive: Archive) -> Mapping[Key, int | None]:
    """At which version each stands; None: it does not."""
    return {
        Key(persona, id_): version
        for persona, ids in by_persona(keys)
        for id_, version in zip(ids, archive.versions(persona, ids), strict=True)
    }


def erased(keys: Iterable[Key], archive: Archive) -> Mapping[Key, int | None]:
    """Up to which version each was erased; None: it was not, or is here again."""
    return {
        Key(persona, id_): version
        for persona, ids in by_persona(keys)
        for id_, version in zip(ids, archive.erased(persona, ids), strict=True)
    }


def records(keys: Iterable[Key], archive: Archive) -> Mapping[Key, Record | None]:
    """The memories; None for what does not stand."""
    return {
        Key(persona, id_): record
        for persona, ids in by_persona(keys)
        for id_, record in zip(ids, archive.load(persona, ids), strict=True)
    }


def by_persona(keys: Iterable[Key]) -> list[tuple[str, Sequence[str]]]:
    """The ids of each persona, each once."""
    ordered = sorted(set(keys))
    return [(persona, [key.id for key in group]) for persona, group in groupby(ordered, key=lambda key: key.persona)]
