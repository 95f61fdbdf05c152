"""A store of version 3.5 that is a list, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trinitas_tasks.tiers.legacy.interface import Found, Place, Slice, Unreadable


class MemoryLegacy:
    """One part, named ``list``."""

    def __init__(self, entries: Sequence[Found | Unreadable]) -> None:
        self.entries = list(entries)

    def parts(self) -> Mapping[str, int]:
        """See LegacyStore."""
        return {"list": len(self.entries)}

    def read(self, place: Place, limit: int) -> Slice:
        """See LegacyStore."""
        some = self.entries[place.at : place.at + limit]
        following = place.at + len(some)
        return Slice(
            tuple(each for each in some if isinstance(each, Found)),
            tuple(each for each in some if isinstance(each, Unreadable)),
            Place("list", following) if following < len(self.entries) else None,
        )
