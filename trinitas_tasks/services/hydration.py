"""From names to memories: read from the hot tier, else the archive, and only what the scope admits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.services import granted
from trinitas_tasks.services.scope import Scope
from trinitas_tasks.tiers.archive.interface import Reader
from trinitas_tasks.tiers.hot.interface import HotTier


class Read(NamedTuple):
    """A memory and the tier that had it."""

    item: MemoryItem
    tier: str


@dataclass(slots=True)
class Hydrator:
    """Reads memories for one search, each once; those it has read are in the hot tier afterwards.

    ``trouble``: why the archive could not be asked.
    """

    scope: Scope
    hot: HotTier
    archive: Reader
    cache_seconds: int
    trouble: TrinitasError | None = None
    _read: dict[Key, Read | None] = field(default_factory=dict)

    def read(self, keys: Iterable[Key]) -> dict[Key, Read]:
        """Those that exist and are in scope now."""
        wanted = list(dict.fromkeys(keys))
        if new := [key for key in wanted if key not in self._read]:
            self._read |= dict.fromkeys(new) | self._hydrated(new)
        return {key: found for key in wanted if (found := self._read[key]) is not None}

    def _hydrated(self, keys: list[Key]) -> dict[Key, Read | None]:
        standing = self.scope.read(self.hot, keys)
        missing = [key for key in keys if standing[key] is None]
        loaded = self._loaded(missing)
        self.hot.refill([(record, self.cache_seconds) for record in loaded.values()])
        # a grant may have ended, and a memory been forgotten, while the archive was asked
        again = self.scope.read(self.hot, list(loaded))
        found: dict[Key, Read | None] = {}
        for key in keys:
            record = standing[key]
            if isinstance(record, Record):
                found[key] = Read(record.item, "redis")
            elif isinstance(came := again.get(key, record) or loaded.get(key), Record):
                found[key] = Read(came.item, "archive")
        return found

    def _loaded(self, keys: Iterable[Key]) -> dict[Key, Record]:
        try:
            return granted.load(keys, self.archive)
        except TrinitasError as error:
            self.trouble = error
            return {}
