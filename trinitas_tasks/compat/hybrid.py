"""v3.5's backend of three stores: today it is one client."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from trinitas_tasks import model
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.compat.deprecation import deprecated
from trinitas_tasks.compat.items import MemoryItem, Query, recalled
from trinitas_tasks.compat.memories import Memories
from trinitas_tasks.errors import InvalidMemory, InvalidQuery, Transient
from trinitas_tasks.model import MemoryType

T = TypeVar("T")

logger = logging.getLogger(__name__)

PERSONAS: Final = ("athena", "artemis", "hestia", "bellona", "seshat")
"""Those of v3.5."""
OWNERS: Final = 10_000
"""Of how many memories a backend remembers whose they are, the latest ones."""
REACHED: Final = ("redis_host", "redis_port", "redis_db")
"""What of a configuration says where to connect."""
KEPT: Final = ("redis_ttl_cache", "async_writes")
"""What else of it a client still goes by."""
ELSEWHERE: Final = {
    "redis_ttl_working": "REDIS_TTL_WORKING of the workers",
    "redis_ttl_episodic": "REDIS_TTL_EPISODIC of the workers",
    "chromadb_path": "CHROMADB_PATH of the embedded stack",
    "chromadb_embedding_model": "CHROMADB_MODEL of the workers",
    "sqlite_path": "SQLITE_PATH of all processes, a file that v3.5 has not written",
    "sqlite_archive_days": "SQLITE_ARCHIVE_DAYS of the workers",
    "batch_size": "BATCH_SIZE of the workers",
}
"""What is not a client's to say any more, and who says it."""


@dataclass
class HybridConfig:
    """v3.5's configuration. What is left at its default is as the process's settings say; all three stores are
    always in use, whatever the switches say."""

    redis_enabled: bool = False
    redis_host: str = "localhost"
    redis_port: int = 6379
    redis_db: int = 0
    redis_ttl_working: int = 3600
    redis_ttl_episodic: int = 86400
    redis_ttl_cache: int = 300
    chromadb_enabled: bool = False
    chromadb_path: str = "/tmp/trinitas_chromadb"
    chromadb_embedding_model: str = "all-MiniLM-L6-v2"
    sqlite_path: str = "/tmp/trinitas_sqlite.db"
    sqlite_archive_days: int = 7
    use_redis_for_working: bool = True
    use_redis_for_episodic: bool = True
    use_chromadb_for_semantic: bool = True
    use_chromadb_for_procedural: bool = True
    batch_size: int = 100
    cache_results: bool = True
    async_writes: bool = True

    def __post_init__(self) -> None:
        deprecated("HybridConfig", "trinitas_tasks.load_settings(overrides=…)")

    def overrides(self) -> dict[str, Any]:
        """The settings that it changes; notes in the log what it cannot."""
        changed = {
            each.name: value for each in dataclasses.fields(self) if (value := getattr(self, each.name)) != each.default
        }
        for name in changed.keys() & ELSEWHERE.keys():
            logger.warning("%s=%r is ignored: see %s", name, changed[name], ELSEWHERE[name])
        found: dict[str, Any] = {name: changed[name] for name in KEPT if name in changed}
        if changed.keys() & set(REACHED):
            found |= {"redis_url": None} | {name: getattr(self, name) for name in REACHED}
        return found


def create_hybrid_backend(
    config: Mapping[str, Any] | HybridConfig | None = None,
    persona: str = "shared",
    *,
    client: MemoryClient | None = None,
) -> HybridMemoryBackend:
    """A backend of this configuration; keys that HybridConfig does not have are noted in the log and ignored."""
    deprecated("create_hybrid_backend", "MemoryClient.connect()")
    if not isinstance(config, HybridConfig):
        known = {each.name for each in dataclasses.fields(HybridConfig)}
        for name in sorted(set(config or {}) - known):
            logger.warning("%s is ignored: `trinitas config` lists the settings there are", name)
        config = HybridConfig(**{name: value for name, value in (config or {}).items() if name in known})
    return HybridMemoryBackend(config, persona, client=client)


class HybridMemoryBackend:
    """Stores and finds items. As v3.5's: what fails for a time, or cannot be stored, is logged and answered with
    False, None or an empty list. Raises: SettingsError when nothing says where Redis is."""

    def __init__(
        self, config: HybridConfig | None = None, persona: str = "shared", *, client: MemoryClient | None = None
    ) -> None:
        """``persona`` has what is stored under none, and is among those searched for an id. A given ``client`` is
        used instead of one that the configuration names, and not closed."""
        deprecated("HybridMemoryBackend", "MemoryClient.connect()")
        self.config = config or HybridConfig()
        self.persona = persona
        self.memories = Memories(client, None if client else self.config.overrides())
        self._owners: dict[str, str] = {}
        self._personas = dict.fromkeys((persona, *PERSONAS))

    async def initialize(self) -> bool:
        """Connect; the first call does so by itself."""
        deprecated("HybridMemoryBackend.initialize", "MemoryClient.connect()")
        await asyncio.to_thread(self.memories.connect)
        return True

    async def store(self, item: MemoryItem) -> bool:
        """Whether the item is safe."""
        deprecated("HybridMemoryBackend.store", "MemoryClient.remember()")
        if not item.persona:
            item.persona = self.persona
        if not await _settled(f"{item.id} was not stored", self._stored(item), False):
            return False
        self._met(item.persona, item.id)
        return True

    async def _stored(self, item: MemoryItem) -> bool:
        await self.memories.store(item)
        return True

    async def retrieve(self, item_id: str) -> MemoryItem | None:
        """The item of this id, of any persona that v3.5 had or that this backend has met; None if there is none."""
        deprecated("HybridMemoryBackend.retrieve", "MemoryClient.get()")
        found = self.memories.run(lambda client: next(self._found(client, item_id), None))
        memory = await _settled(f"{item_id} was not retrieved", found, None)
        return None if memory is None else recalled(memory)

    async def search(self, query: Query, persona: str) -> list[MemoryItem]:
        """What answers the query best, best first; for no persona, of all that ``retrieve`` looks among."""
        deprecated("HybridMemoryBackend.search", "MemoryClient.recall()")
        whose = persona or list(self._personas)
        asked = self.memories.recall(query.text, whose, query.limit, query.types())
        items = await _settled(f"nobody searched for {query.text[:60]!r}", asked, [])
        for item in items:
            self._met(item.persona, item.id)
        return items

    async def delete(self, item_id: str) -> bool:
        """Forget the item; true also where there is none."""
        deprecated("HybridMemoryBackend.delete", "MemoryClient.forget()")
        gone = self.memories.run(lambda client: self._gone(client, item_id))
        return await _settled(f"{item_id} was not deleted", gone, False)

    async def get_stats(self) -> dict[str, Any]:
        """What is where, of the personas that ``retrieve`` looks among."""
        deprecated("HybridMemoryBackend.get_stats", "MemoryClient.stats() and MemoryClient.health()")
        return await self.memories.run(self._stats)

    async def cleanup(self) -> None:
        """Give the connections back."""
        deprecated("HybridMemoryBackend.cleanup", "MemoryClient.close()")
        await asyncio.to_thread(self.memories.close)

    def _met(self, persona: str, item_id: str) -> None:
        self._personas[persona] = None
        self._owners.pop(item_id, None)
        self._owners[item_id] = persona
        if len(self._owners) > OWNERS:
            del self._owners[next(iter(self._owners))]

    def _found(self, client: MemoryClient, item_id: str) -> Iterator[model.MemoryItem]:
        """The memories of this id, one of each persona: v3.5 asked for none."""
        known = self._owners.get(item_id)
        for persona in dict.fromkeys((known, *self._personas) if known else self._personas):
            memory = client.get(item_id, persona=persona, owner=persona)
            if memory is not None:
                yield memory

    def _gone(self, client: MemoryClient, item_id: str) -> bool:
        for memory in self._found(client, item_id):
            client.forget(item_id, persona=memory.persona)
        self._owners.pop(item_id, None)
        return True

    def _stats(self, client: MemoryClient) -> dict[str, Any]:
        health = client.health().parts
        connected = {name: name in health and health[name] is None for name in ("redis", "chroma", "archive")}
        counts = [client.stats(persona=each) for each in list(self._personas)] if connected["redis"] else []
        file = self.memories.settings().archive_file()
        size = file.stat().st_size if file is not None and file.is_file() else 0
        return {
            "backend": "hybrid",
            "backends": {
                "redis": {
                    "backend": "redis",
                    "connected": connected["redis"],
                    "pending": sum(each.pending for each in counts),
                },
                "chromadb": {
                    "backend": "chromadb",
                    "connected": connected["chroma"],
                    "total_items": sum(each.vectors or 0 for each in counts),
                    "collections": len(MemoryType),
                },
                "sqlite": {
                    "backend": "sqlite",
                    "connected": connected["archive"],
                    "total_items": sum(sum((each.by_type or {}).values()) for each in counts),
                    "storage_size_mb": size / (1 << 20),
                },
            },
            "cache_size": 0,
        }


async def _settled(failure: str, answer: Awaitable[T], otherwise: T) -> T:
    try:
        return await answer
    except (Transient, InvalidMemory, InvalidQuery) as error:
        logger.error("%s: %s", failure, error)
        return otherwise
