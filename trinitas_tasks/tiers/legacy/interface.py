"""A store of version 3.5, read and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from trinitas_tasks.model import MemoryItem

BATCH_CHARACTERS = 400_000
"""So much text one slice holds at most, but for a last memory that goes beyond it."""


class Place(NamedTuple):
    """Where reading goes on: a part of the store by its path below the base, and how far it came there."""

    part: str = ""
    at: int = 0


class Found(NamedTuple):
    """A memory of the store. ``source`` and ``row`` name where it stood; ``renamed``: another memory of the persona, of
    another type, has its id, so it was given one of its own."""

    item: MemoryItem
    source: str
    row: str
    renamed: bool = False


class Unreadable(NamedTuple):
    """Something of the store that is no memory, and why. ``raw`` is all of it (JSON; text with bytes that are no UTF-8
    has them as lone surrogates); None: what stands there can only be copied as a file."""

    source: str
    row: str
    reason: str
    raw: Any = None


@dataclass(frozen=True, slots=True)
class Slice:
    """What stands between two places, the second of them exclusive; ``place`` None: that was the last."""

    found: tuple[Found, ...]
    unreadable: tuple[Unreadable, ...]
    place: Place | None


class LegacyStore(Protocol):
    """Reading the same slice twice gives the same, as long as nobody changes the store."""

    def parts(self) -> Mapping[str, int]:
        """The parts in the order in which they are read, with their sizes in bytes."""

    def read(self, place: Place, limit: int) -> Slice:
        """The next at most ``limit`` memories, and what is unreadable between them. A part that cannot be read (any
        further) is one `Unreadable`, and the next one is gone on with. Raises: InvalidQuery where there is no store."""
