"""Changing a memory: what it was, with what is new, in the place of exactly that version."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from trinitas_tasks.errors import Conflict, NotFound, TrinitasError, Unavailable
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.services.front import Front
from trinitas_tasks.tiers.archive.interface import Reader
from trinitas_tasks.tiers.hot.interface import Gone, HotTier, Replaced

TRIES: Final = 5
"""So often it is merged again where somebody else was faster."""

Merge = Callable[[MemoryItem], MemoryItem]
"""What a memory becomes. Raises: InvalidMemory."""
Fetch = Callable[[str, Sequence[str]], Sequence[str]]
"""Has the workers bring memories into the hot tier; the ids of those that exist."""


def update(
    key: Key, merge: Merge, *, front: Front, hot: HotTier, archive: Reader | None, fetch: Fetch
) -> tuple[MemoryItem, Replaced]:
    """The memory as it is now, and what came of its replacement; version 0: nothing changes.

    Redis alone knows the newest state, so nothing is changed while it is away, or while earlier writes of this machine
    wait for it. Raises: NotFound, InvalidMemory, Conflict, Unavailable, Overloaded.
    """
    try:
        front.pass_spool()
        for _ in range(TRIES):
            before, generation = _found(key, hot, archive, fetch)
            after = merge(before.item)
            if _said(after) == _said(before.item):
                return before.item, Replaced(0)
            replaced = front.replace(after, before.version, generation)
            if replaced.version:
                return after, replaced
    except Unavailable as away:
        raise Unavailable(
            f"{key.id} may not be changed yet: only Redis knows what it says now; call update() again ({away})"
        ) from away
    raise Conflict(f"{key.id} is being changed by others all the time: {TRIES} tries; look at it and try again")


def _found(key: Key, hot: HotTier, archive: Reader | None, fetch: Fetch) -> tuple[Record, int | None]:
    """What stands; of what has left the hot tier also the generation from before the archive was asked."""
    standing = hot.read(key.persona, [key.id], touch=False)[0]
    if isinstance(standing, Record):
        return standing, None
    generation = hot.probe(key.persona, "").generation
    if standing is None and (found := _archived(key, hot, archive, fetch)) is not None:
        return found, generation
    raise NotFound(f"{key.persona} has no memory {key.id}")


def _archived(key: Key, hot: HotTier, archive: Reader | None, fetch: Fetch) -> Record | None:
    if archive is not None:
        with suppress(TrinitasError):  # the workers may be able to
            return archive.load(key.persona, [key.id])[0]
    if not fetch(key.persona, [key.id]):
        return None
    came = hot.read(key.persona, [key.id], touch=False)[0]
    if came is None:
        raise Unavailable("it is archived, but Redis did not keep a copy: is it out of memory?")
    return None if isinstance(came, Gone) else came


def _said(item: MemoryItem) -> str:
    """All that is kept of it; the order of names in an object tells nothing."""
    return json.dumps(json.loads(item.to_json()), sort_keys=True)
