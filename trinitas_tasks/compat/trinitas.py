"""v3.5's manager of the five personas."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.client import MemoryClient
from trinitas_tasks.compat.deprecation import deprecated
from trinitas_tasks.compat.hybrid import PERSONAS
from trinitas_tasks.compat.items import Context, MemoryItem, Query, inferred
from trinitas_tasks.compat.memories import Memories
from trinitas_tasks.model import MemoryType

logger = logging.getLogger(__name__)

STORAGE: Final = "/tmp/trinitas_memory"
CAPACITY: Final = 9
"""How many items v3.5 had in mind; no limit any more."""
SIGNS: Final = (
    (MemoryType.PROCEDURAL, ("method", "algorithm", "process", "steps")),
    (MemoryType.SEMANTIC, ("concept", "definition", "theory")),
)
"""The words by which v3.5 knew a type."""


@dataclass(frozen=True)
class PersonaMemory:
    """What one persona stores and finds."""

    persona: str
    memories: Memories

    async def store(self, item: MemoryItem) -> None:
        """Keep the item, as this persona's. Raises: as MemoryClient.remember."""
        deprecated("PersonaMemory.store", "MemoryClient.remember()")
        item.persona = self.persona
        await self.memories.store(item)

    async def retrieve(self, query: Query) -> list[MemoryItem]:
        """What answers the query best, best first. Raises: as MemoryClient.recall."""
        deprecated("PersonaMemory.retrieve", "MemoryClient.recall()")
        return await self.memories.recall(query.text, self.persona, query.limit, query.types())


class TrinitasMemoryManager:
    """Remembers and recalls for the five personas of v3.5. Errors are those of MemoryClient."""

    def __init__(self, storage_base: str = STORAGE, *, client: MemoryClient | None = None) -> None:
        """``storage_base`` is where v3.5 kept its files. Nothing is read from there, and nothing written: the settings
        of the process say where memories are. A given ``client`` is used instead, and not closed."""
        deprecated("TrinitasMemoryManager", "MemoryClient.connect()")
        self.storage_base = Path(storage_base)
        if any(self.storage_base.glob("*/episodes.db")):
            logger.warning(
                "%s has memories of v3.5, which are not read: `trinitas migrate legacy` moves them", storage_base
            )
        memories = Memories(client)
        self._memories = memories
        self.personas: Mapping[str, PersonaMemory] = {each: PersonaMemory(each, memories) for each in PERSONAS}

    async def remember(
        self,
        persona: str,
        content: Any,
        memory_type: MemoryType | None = None,
        importance: float = 0.5,
        tags: list[str] | None = None,
    ) -> MemoryItem:
        """Remember any JSON; where no type is given, its words tell it. Raises: ValueError (unknown persona)."""
        deprecated("TrinitasMemoryManager.remember", "MemoryClient.remember()")
        own = self._persona(persona)
        kind = memory_type or inferred(content, SIGNS, MemoryType.EPISODIC)
        item = MemoryItem("", content, kind, persona, importance=importance, tags=tags or [])
        await own.store(item)
        return item

    async def recall(
        self, persona: str, query_text: str, context: Context | None = None, limit: int = 5
    ) -> list[MemoryItem]:
        """The persona's memories that answer best, best first. Raises: ValueError for an unknown persona."""
        deprecated("TrinitasMemoryManager.recall", "MemoryClient.recall()")
        return await self._persona(persona).retrieve(Query(query_text, context, limit=limit))

    async def share_memory(self, from_persona: str, to_persona: str, memory_id: str) -> None:
        """Let another persona have a memory from now on; where there is none of this id, the log says so."""
        deprecated("TrinitasMemoryManager.share_memory", "MemoryClient.share(id, to=…)")
        reader, other = self._persona(from_persona).persona, self._persona(to_persona).persona
        if not await self._memories.share(memory_id, reader, other):
            logger.warning("Memory %s not found in %s", memory_id, from_persona)

    def get_statistics(self) -> dict[str, Any]:
        """By persona, how many of its working memories are archived. Raises: Unavailable."""
        deprecated("TrinitasMemoryManager.get_statistics", "MemoryClient.stats()")
        client = self._memories.connect()
        return {
            persona: {
                "working_memory_size": (client.stats(persona=persona).by_type or {}).get(MemoryType.WORKING.value, 0),
                "working_memory_capacity": CAPACITY,
            }
            for persona in self.personas
        }

    async def start_background_tasks(self) -> None:
        """Nothing is to be started."""
        deprecated("TrinitasMemoryManager.start_background_tasks", "Celery beat (`trinitas up`), which does all of it")

    async def stop_background_tasks(self) -> None:
        """Nothing is to be stopped."""
        deprecated("TrinitasMemoryManager.stop_background_tasks", "Celery beat (`trinitas up`), which does all of it")

    def _persona(self, name: str) -> PersonaMemory:
        if name not in self.personas:
            raise ValueError(f"Unknown persona: {name}")
        return self.personas[name]


_manager: TrinitasMemoryManager | None = None


async def initialize_memory_manager(storage_base: str | None = None) -> TrinitasMemoryManager:
    """The process's manager, made by the first call."""
    deprecated("initialize_memory_manager", "MemoryClient.connect()")
    return _shared(storage_base or STORAGE)


async def get_memory_manager() -> TrinitasMemoryManager:
    """The process's manager."""
    deprecated("get_memory_manager", "MemoryClient.connect()")
    return _shared(STORAGE)


def _shared(storage_base: str) -> TrinitasMemoryManager:
    global _manager
    if _manager is None:
        _manager = TrinitasMemoryManager(storage_base)
    return _manager
