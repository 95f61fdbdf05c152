"""How long an archived memory stays in the hot tier."""

from __future__ import annotations

from collections.abc import Mapping

from trinitas_tasks.model import MemoryItem, MemoryType


def hot_seconds(item: MemoryItem, by_type: Mapping[MemoryType, int]) -> int:
    """Seconds from the moment it was archived: the caller's own ttl, else what the type says."""
    return item.ttl if item.ttl is not None else by_type[item.type]
