"""What waits in the hot tier and what goes through it, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Counts:
    """Of all personas together. ``written``, ``read``, ``fetched`` and ``searched`` only grow, until the server starts
    anew: of two looks the difference tells."""

    outbox: int
    """Memories that wait to be archived."""
    graves: int
    """Forgotten ones that wait to be erased below."""
    overdue_seconds: float
    """How long the first of what waits to be archived could have been claimed by now."""
    written: int
    """Memories that were written, again or for the first time; not those that stood so already."""
    read: int
    fetched: int
    """How many of the read ones had to be fetched from the archive for that."""
    searched: int
    copies: int
    copies_bytes: int
    """Of archived memories, as it was counted last."""


class Counting(Protocol):
    """Errors: Unavailable."""

    def counts(self) -> Counts:
        """All of it; changes nothing."""
