"""All tiers as stubs under one simulated clock, and ways to disturb them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.support import key_of
from trinitas_tasks.embedding.models import Models
from trinitas_tasks.embedding.stub import HashEmbedder
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key, MemoryItem, MemoryType, Record, utc_now
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.policy.ttl import Stay
from trinitas_tasks.query import Query
from trinitas_tasks.services import forget, granting, ingest, recall
from trinitas_tasks.services.answer import Answer, digest
from trinitas_tasks.services.fulltext import FullText
from trinitas_tasks.services.retrievers import Tiers
from trinitas_tasks.services.spaces import Spaces
from trinitas_tasks.tiers.archive.memory import MemoryArchive
from trinitas_tasks.tiers.hot.interface import Gone, Write
from trinitas_tasks.tiers.hot.memory import MemoryHotTier
from trinitas_tasks.tiers.lexical.memory import MemoryLexical
from trinitas_tasks.tiers.spool.memory import MemorySpool
from trinitas_tasks.tiers.vectors.memory import MemoryVectors

LEASE_SECONDS = 30
HOT_SECONDS = 1000
CACHE_SECONDS = 100


class World:
    """The tiers; any of them may be replaced before or between calls."""

    def __init__(self) -> None:
        self.passed = timedelta()
        self.hot: Any = MemoryHotTier(clock=self.now)
        self.archive: Any = MemoryArchive()
        self.vectors: Any = MemoryVectors()
        self.embedder: Any = HashEmbedder()
        self.lexical: Any = MemoryLexical()
        self.spool: Any = MemorySpool(clock=self.now)

    def now(self) -> datetime:
        return utc_now() + self.passed

    def advance(self, seconds: int) -> None:
        self.passed += timedelta(seconds=seconds)

    def remember(self, *items: MemoryItem) -> None:
        self.hot.write([Write(item) for item in items])

    def ingest(self, *, limit: int = 100) -> ingest.IngestReport:
        return ingest.ingest(
            hot=self.hot,
            archive=self.archive,
            spaces=self.spaces,
            models=self.models,
            stays_of=lambda _: dict.fromkeys(MemoryType, Stay(HOT_SECONDS)),
            limit=limit,
            lease_seconds=LEASE_SECONDS,
            now=self.now(),
        )

    def index_missing(self, *, limit: int = 100) -> int:
        return ingest.index_missing(hot=self.hot, archive=self.archive, spaces=self.spaces, limit=limit)

    def bury(self, *, limit: int = 100) -> int:
        return forget.bury(
            hot=self.hot,
            archive=self.archive,
            spaces=self.spaces,
            limit=limit,
            lease_seconds=LEASE_SECONDS,
        )

    def archive_grants(self) -> int:
        return granting.archive_grants(hot=self.hot, archive=self.archive, limit=100, lease_seconds=LEASE_SECONDS)

    def settle(self) -> None:
        """What the workers do in time: leases run out, everything due is done."""
        self.advance(LEASE_SECONDS + 1)
        while self.bury() or self.archive_grants():
            pass
        while self.ingest().claimed:
            pass
        while self.index_missing():
            pass

    def recall(self, text: str, *, persona: str = "athena", **fields: Any) -> Answer:
        query = Query.build(text=text, persona=persona, **fields)
        return recall.recall(query, tiers=self.tiers, cache_seconds=CACHE_SECONDS, now=self.now())

    @property
    def tiers(self) -> Tiers:
        """What a search asks."""
        return Tiers(self.hot, self.archive, self.vectors, FullText(self.archive, self.lexical), self.models)

    @property
    def models(self) -> Models:
        """One model for everybody."""
        return Models(lambda: self.embedder, Naming(self.embedder.name))

    @property
    def spaces(self) -> Spaces:
        """Of that model."""
        return Spaces(self.vectors, self.models.naming)

    def cached(self, text: str, *, persona: str = "athena") -> bool:
        query = Query.build(text=text, persona=persona)
        return self.hot.probe(persona, digest(query)).cached is not None

    def found(self, text: str, **fields: Any) -> list[str]:
        return [each.id for each in self.recall(text, **fields).found]

    def archived(self, item: MemoryItem) -> MemoryItem | None:
        record = self.archive.load(item.persona, [item.id])[0]
        return record.item if isinstance(record, Record) else None

    def standing(self, item: MemoryItem) -> Record | Gone | None:
        found: Record | Gone | None = self.hot.read(item.persona, [item.id], touch=False)[0]
        return found

    def waits(self, item: MemoryItem) -> bool:
        return bool(self.hot.unarchived(key_of(item)))

    def forget(self, item: MemoryItem) -> None:
        self.hot.forget([Key(item.persona, item.id)])


class Disturbed:
    """A tier with something happening once, before or after one of its methods."""

    def __init__(self, tier: Any, method: str, *, after: bool, event: Callable[[], object]) -> None:
        self._tier, self._method, self._after, self._event = tier, method, after, event
        self.happened = False

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._tier, name)
        if name != self._method or self.happened:
            return attribute

        def disturbed(*args: Any, **kwargs: Any) -> Any:
            self.happened = True
            if not self._after:
                self._event()
            answer = attribute(*args, **kwargs)
            if self._after:
                self._event()
            return answer

        return disturbed


class Away:
    """A tier of which some methods cannot be reached."""

    def __init__(self, tier: Any, *methods: str) -> None:
        self._tier, self._methods = tier, methods

    def __getattr__(self, name: str) -> Any:
        if name in self._methods:
            raise Unavailable(f"{name}: nobody there")
        return getattr(self._tier, name)
