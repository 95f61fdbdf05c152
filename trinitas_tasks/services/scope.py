"""Whose memories one search sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Self

from trinitas_tasks.model import Key, Record
from trinitas_tasks.query import Query
from trinitas_tasks.tiers.hot.interface import HotTier
from trinitas_tasks.tiers.hot.sharing import Barred, Gone

GRANTED: Final = 1000
"""How many of the memories that were granted to a persona a search sees, the ones granted last."""

States = dict[Key, Record | Gone | Barred | None]


@dataclass(frozen=True, slots=True)
class Scope:
    """All memories of the ``owners``, and the ``granted`` ones. ``reader`` asks; None: somebody who may read all of
    the owners."""

    reader: str | None
    owners: tuple[str, ...]
    granted: frozenset[Key]

    @classmethod
    def of(cls, query: Query, hot: HotTier) -> Self:
        """What the query may see at this moment."""
        if query.among:
            return cls(None, tuple(dict.fromkeys(query.among)), frozenset())
        return cls(query.persona, (query.persona,), frozenset(hot.granted(query.persona, GRANTED)))

    def admits(self, key: Key) -> bool:
        """Whether this memory, if it exists, may be shown."""
        return key.persona in self.owners or key in self.granted

    def lent_by(self, owner: str) -> frozenset[str]:
        """The ids of those that this one has granted."""
        return frozenset(key.id for key in self.granted if key.persona == owner)

    def read(self, hot: HotTier, keys: Sequence[Key]) -> States:
        """What stands in the hot tier, as far as it may be seen at this moment."""
        if self.reader is not None:
            return dict(zip(keys, hot.read_scoped(self.reader, keys, touch=False), strict=True))
        found: States = {}
        for owner, group in groupby(sorted(keys), key=lambda key: key.persona):
            mine = list(group)
            found |= zip(mine, hot.read_scoped(owner, mine, touch=False), strict=True)
        return found
