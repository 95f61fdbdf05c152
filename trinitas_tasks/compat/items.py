"""What v3.5 stored and asked with, and how it reads in today's words and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from trinitas_tasks import model
from trinitas_tasks.compat.deprecation import deprecated
from trinitas_tasks.errors import InvalidMemory
from trinitas_tasks.model import MemoryType


class MemoryPriority(Enum):
    """How much a persona cared for a kind of memory. Nothing reads it any more: importance is learned."""

    CRITICAL = 5
    HIGH = 4
    MEDIUM = 3
    LOW = 2
    MINIMAL = 1


@dataclass
class MemoryItem:
    """A memory. An empty ``id`` becomes 16 hex digits, those that v3.5 gave; times are naive and local.

    Two are equal when they say the same: how often and when they were read, and ``embedding``, which is not kept,
    do not count.
    """

    id: str
    content: Any
    type: MemoryType
    persona: str
    timestamp: datetime = field(default_factory=datetime.now)
    last_access: datetime = field(default_factory=datetime.now, compare=False)
    access_count: int = field(default=0, compare=False)
    importance: float = 0.5
    ttl: int | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    embedding: list[float] | None = field(default=None, compare=False)
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        deprecated("MemoryItem", "MemoryClient.remember(), and trinitas_tasks.MemoryItem for what is read")
        if not self.id:
            said = json.dumps(self.content, sort_keys=True)
            name = f"{self.persona}_{said}_{self.timestamp.isoformat()}"
            self.id = hashlib.sha256(name.encode()).hexdigest()[:16]


@dataclass
class Context:
    """What an agent was at. As in v3.5, no search looks at it."""

    current_task: str
    constraints: list[str] = field(default_factory=list)
    preferences: dict[str, Any] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        deprecated("Context", "the text of MemoryClient.recall()")


@dataclass
class Query:
    """A question. ``threshold`` is accepted and, as v3.5's stores did, not looked at."""

    text: str
    context: Context | None = None
    needs_experience: bool = False
    needs_knowledge: bool = False
    needs_procedure: bool = False
    limit: int = 5
    threshold: float = 0.7

    def __post_init__(self) -> None:
        deprecated("Query", "MemoryClient.recall(text, limit=…, types=…)")

    def types(self) -> list[MemoryType]:
        """The types that it needs; empty: all."""
        wanted = {
            MemoryType.WORKING: self.needs_experience,
            MemoryType.EPISODIC: self.needs_experience,
            MemoryType.SEMANTIC: self.needs_knowledge,
            MemoryType.PROCEDURAL: self.needs_procedure,
        }
        return [] if all(wanted.values()) else [kind for kind, needed in wanted.items() if needed]


def inferred(content: Any, words: Iterable[tuple[MemoryType, tuple[str, ...]]], otherwise: MemoryType) -> MemoryType:
    """The type of a memory that came without: that of the first of these words in it, anywhere in a word."""
    text = str(content).lower()
    return next((kind for kind, signs in words if any(sign in text for sign in signs)), otherwise)


def remembered(item: MemoryItem) -> dict[str, Any]:
    """An item as arguments of remember(). Raises: InvalidMemory."""
    return {
        "id": item.id,
        "persona": item.persona,
        "content": _plain("content", item.content),
        "type": item.type,
        "timestamp": _aware(item.timestamp),
        "importance": item.importance,
        "ttl": item.ttl,
        "metadata": _plain("metadata", item.metadata or {}),
        "tags": list(item.tags or ()),
    }


def recalled(memory: model.MemoryItem, reader: str | None = None) -> MemoryItem:
    """A memory as an item. To a ``reader`` with whom another persona shares it, it looks as v3.5's copy did."""
    shared = reader is not None and reader != memory.persona
    return MemoryItem(
        id=memory.id,
        content=memory.content,
        type=memory.type,
        persona=reader if reader is not None else memory.persona,
        timestamp=_naive(memory.timestamp),
        last_access=_naive(memory.last_access),
        access_count=memory.access_count,
        importance=memory.importance,
        ttl=memory.ttl,
        metadata=memory.metadata | ({"shared_from": memory.persona} if shared else {}),
        tags=list(memory.tags),
    )


def _plain(name: str, value: Any) -> Any:
    """As v3.5's files had it: tuples are lists, keys are strings."""
    if isinstance(value, str):
        return value
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidMemory(f"{name}: {error}") from None


def _aware(time: datetime) -> datetime:
    try:
        return time.astimezone()
    except (OverflowError, ValueError, OSError) as error:
        raise InvalidMemory(f"timestamp: {time} is out of reach: {error}") from None


def _naive(time: datetime) -> datetime:
    return time.astimezone().replace(tzinfo=None)
