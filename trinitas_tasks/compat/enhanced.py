"""v3.5's manager over the hybrid backend."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from trinitas_tasks.client import MemoryClient
from trinitas_tasks.compat.deprecation import deprecated
from trinitas_tasks.compat.hybrid import PERSONAS, create_hybrid_backend
from trinitas_tasks.compat.items import Context, MemoryItem, Query, inferred
from trinitas_tasks.errors import Transient
from trinitas_tasks.model import MemoryType

logger = logging.getLogger(__name__)

SIGNS: Final = (
    (MemoryType.PROCEDURAL, ("method", "algorithm", "process", "steps", "procedure")),
    (MemoryType.SEMANTIC, ("concept", "definition", "theory", "architecture", "design")),
    (MemoryType.EPISODIC, ("event", "happened", "occurred", "did", "was")),
)
"""The words by which this manager knew a type; it knew more than the other one."""
PARTS: Final = {"redis": "redis", "chromadb": "chroma", "sqlite": "archive"}
"""v3.5's stores, and what MemoryClient.health() calls them."""


class EnhancedMemoryManager:
    """Remembers and recalls for any persona. As HybridMemoryBackend, it answers for what fails for a time."""

    def __init__(
        self,
        persona: str = "shared",
        config: Mapping[str, Any] | None = None,
        *,
        client: MemoryClient | None = None,
    ) -> None:
        """``config`` as of create_hybrid_backend(); the environment's settings are those of the process anyway."""
        deprecated("EnhancedMemoryManager", "MemoryClient.connect(persona=…)")
        self.persona = persona.lower()
        self.config = dict(config or {})
        self.backend = create_hybrid_backend(self.config, self.persona, client=client)
        self.stats = {"total_stores": 0, "total_recalls": 0, "cache_hits": 0, "cache_misses": 0}

    async def initialize(self) -> bool:
        """Connect; the first call does so by itself."""
        deprecated("EnhancedMemoryManager.initialize", "MemoryClient.connect()")
        return await self.backend.initialize()

    async def remember(
        self,
        persona: str,
        content: Any,
        memory_type: MemoryType | None = None,
        importance: float = 0.5,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> MemoryItem | None:
        """Remember any JSON; without a type, of that which its words tell. None where it was not stored."""
        deprecated("EnhancedMemoryManager.remember", "MemoryClient.remember()")
        kind = memory_type or inferred(content, SIGNS, MemoryType.WORKING)
        item = MemoryItem("", content, kind, persona, importance=importance, tags=tags or [], metadata=metadata or {})
        if not await self.backend.store(item):
            return None
        self.stats["total_stores"] += 1
        return item

    async def recall(
        self,
        persona: str,
        query_text: str,
        context: Context | None = None,
        limit: int = 5,
        use_semantic: bool = True,
    ) -> list[MemoryItem]:
        """The persona's memories that answer best, best first; ``use_semantic=False``: its experiences only."""
        deprecated("EnhancedMemoryManager.recall", "MemoryClient.recall()")
        query = Query(query_text, context, True, use_semantic, use_semantic, limit)
        items = await self.backend.search(query, persona)
        self.stats["total_recalls"] += 1
        return items

    async def semantic_search(
        self,
        query_text: str,
        personas: list[str] | None = None,
        limit: int = 10,
        min_similarity: float = 0.5,
    ) -> list[dict[str, Any]]:
        """The best ``limit`` answers of each persona, by default of v3.5's five; of those the most important ones.
        ``min_similarity`` is accepted and, as in v3.5, not looked at."""
        deprecated("EnhancedMemoryManager.semantic_search", "MemoryClient.recall(text, persona=[…])")
        found = []
        for persona in personas or PERSONAS:
            for item in await self.backend.search(Query(query_text, limit=limit, threshold=min_similarity), persona):
                found.append(
                    {
                        "persona": persona,
                        "content": item.content,
                        "type": item.type.value,
                        "importance": item.importance,
                        "timestamp": item.timestamp.isoformat(),
                        "tags": item.tags,
                    }
                )
        return sorted(found, key=lambda each: -each["importance"])[:limit]

    async def cross_persona_share(self, from_persona: str, to_persona: str, query_text: str, limit: int = 5) -> int:
        """Let another persona have what this one recalls, from now on; how many memories that are."""
        deprecated("EnhancedMemoryManager.cross_persona_share", "MemoryClient.recall() and MemoryClient.share()")
        shared = 0
        for item in await self.recall(from_persona, query_text, limit=limit):
            try:
                shared += await self.backend.memories.share(item.id, from_persona, to_persona)
            except Transient as error:
                logger.error("%s was not shared: %s", item.id, error)
        return shared

    async def get_statistics(self) -> dict[str, Any]:
        """What this manager did, and what is where. Its cache is Redis' now: nothing is counted as a hit."""
        deprecated("EnhancedMemoryManager.get_statistics", "MemoryClient.stats()")
        looked = self.stats["cache_hits"] + self.stats["cache_misses"]
        rate = self.stats["cache_hits"] / max(looked, 1)
        return {"manager": self.stats, "backend": await self.backend.get_stats(), "cache_hit_rate": rate}

    async def health_check(self) -> dict[str, Any]:
        """Whether each store works; "degraded" where anything does not, a worker included."""
        deprecated("EnhancedMemoryManager.health_check", "MemoryClient.health()")
        health = await self.backend.memories.run(lambda client: client.health())
        works = {name: part in health.parts and health.parts[part] is None for name, part in PARTS.items()}
        return {
            "status": "healthy" if health.ok else "degraded",
            "timestamp": datetime.now().isoformat(),
            "backends": {name: "healthy" if well else "unhealthy" for name, well in works.items()},
        }

    async def start_background_tasks(self) -> None:
        """Nothing is to be started."""
        deprecated("EnhancedMemoryManager.start_background_tasks", "Celery beat (`trinitas up`), which does all of it")

    async def stop_background_tasks(self) -> None:
        """Nothing is to be stopped."""
        deprecated("EnhancedMemoryManager.stop_background_tasks", "Celery beat (`trinitas up`), which does all of it")

    async def cleanup(self) -> None:
        """Give the connections back."""
        deprecated("EnhancedMemoryManager.cleanup", "MemoryClient.close()")
        await self.backend.cleanup()


_manager: EnhancedMemoryManager | None = None


async def get_enhanced_memory_manager(persona: str = "shared") -> EnhancedMemoryManager:
    """The process's manager, made and connected by the first call."""
    deprecated("get_enhanced_memory_manager", "MemoryClient.connect()")
    global _manager
    if _manager is None:
        made = EnhancedMemoryManager(persona)
        await made.initialize()
        _manager = made
    return _manager
