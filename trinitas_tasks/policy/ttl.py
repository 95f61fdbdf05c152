"""How long an archived memory stays in the hot tier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from trinitas_tasks.model import MemoryItem, MemoryType

Tier = Literal["redis", "chromadb"]
"""The primary tier of a type of memory: redis keeps what is archived for its time, chromadb only as long as a cache."""


class Stay(NamedTuple):
    """So many seconds from the moment it was archived or, where it ``slides`` because it is only cached here, from its
    last read."""

    seconds: int
    slides: bool = False


def stay(item: MemoryItem, by_type: Mapping[MemoryType, Stay]) -> Stay:
    """The caller's own ttl, else what the type says."""
    return Stay(item.ttl) if item.ttl is not None else by_type[item.type]
