"""Keeping what Redis and the archive know of grants the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from trinitas_tasks.model import Key
from trinitas_tasks.policy.grants import Grant, missing
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.hot.interface import HotTier

LOST: Final = "a grant, or its revocation, in the archive only"
UNARCHIVED: Final = "a grant, or its revocation, in Redis only, and not queued"


class Drift(NamedTuple):
    """What differs about the grants of one memory, and the highest version that the other side misses."""

    kind: str
    key: Key
    version: int


def archive_grants(*, hot: HotTier, archive: Archive, limit: int, lease_seconds: int) -> int:
    """Tell the archive of changed grants, at most those of ``limit`` memories; how many.

    A crash at any point leaves them to be claimed again when the lease runs out. Raises: Unavailable.
    """
    claimed = hot.claim_grants(limit, lease_seconds)
    if claimed:
        archive.put_grants([grant for each in claimed for grant in each.grants])
        hot.finish_grants(claimed)
    return len(claimed)


def compare(keys: Sequence[Key], *, hot: HotTier, archive: Archive) -> Iterator[Drift]:
    """What differs between the two about the grants of these memories; what waits to be archived does not."""
    kept = _archived(keys, archive)
    for here, there in zip(hot.grants(keys), kept, strict=True):
        if lost := missing(here.grants, there):
            yield Drift(LOST, here.key, _highest(lost))
        if not here.queued and (untold := missing(there, here.grants)):
            yield Drift(UNARCHIVED, here.key, _highest(untold))


def restore(keys: Sequence[Key], *, hot: HotTier, archive: Archive) -> None:
    """Bring what the archive knows of the grants of these memories back. Of two accounts the newer stays."""
    hot.restore_grants([grant for grants in _archived(keys, archive) for grant in grants])


def _archived(keys: Sequence[Key], archive: Archive) -> list[list[Grant]]:
    ids: dict[str, list[str]] = {}
    for key in keys:
        ids.setdefault(key.persona, []).append(key.id)
    found: dict[Key, list[Grant]] = {}
    for owner, mine in ids.items():
        found |= zip((Key(owner, each) for each in mine), archive.grants(owner, mine), strict=True)
    return [found[key] for key in keys]


def _highest(grants: Sequence[Grant]) -> int:
    return max(each.version for each in grants)
