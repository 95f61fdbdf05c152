"""What the hot tier notes while memories are used, and the budget of its copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from trinitas_tasks.model import Key, MemoryItem

if TYPE_CHECKING:
    from trinitas_tasks.tiers.hot.interface import Standing


class Access(NamedTuple):
    """How often and when last a memory was read since the counts were taken last."""

    key: Key
    count: int  # type: ignore[assignment]  # in the place of tuple's method
    last: datetime


class Step(NamedTuple):
    """What a persona read at one time, the first few: best hits first."""

    persona: str
    at: datetime
    keys: tuple[Key, ...]


class Said(StrEnum):
    """What may be said of a memory."""

    PIN = "pin"
    UNPIN = "unpin"
    USEFUL = "useful"
    USELESS = "useless"


class Signal(NamedTuple):
    """What a persona says of a memory."""

    key: Key
    by: str
    said: Said
    at: datetime


@dataclass(frozen=True, slots=True)
class Noted:
    """A batch of what was noted. Its number is above those of all before; 0: there is nothing."""

    batch: int
    accesses: tuple[Access, ...] = ()
    steps: tuple[Step, ...] = ()
    """In the order in which they were read, persona by persona."""
    signals: tuple[Signal, ...] = ()
    """In the order in which they were said."""


class Replaced(NamedTuple):
    """The new version, 0: the one to be replaced is not there any more. ``nudge`` as of Written."""

    version: int
    nudge: bool = False


@dataclass(frozen=True, slots=True)
class Copies:
    """What copies of archived memories take, as it is counted: their bodies and what Redis needs around them."""

    count: int
    bytes: int
    limit: int
    evicted: int
    """Since the server started, for want of room."""


@dataclass(frozen=True, slots=True)
class Reads:
    """How often a persona read memories by id, and how often one had to be fetched from the archive for that."""

    persona: str
    read: int
    fetched: int


@dataclass(frozen=True, slots=True)
class Searches:
    """A persona's searches (cached answers are not searched): how many, how many found nothing, and milliseconds in
    all; and the slowest of the last day, with the beginnings of their texts."""

    persona: str
    asked: int
    empty: int
    total_ms: float
    slowest: tuple[tuple[float, str], ...] = ()


class Living(Protocol):
    """Errors: Unavailable."""

    def say(self, signals: Sequence[Signal], *, above: int = 0) -> None:
        """Keep them durably until they are settled."""

    def unsettled(self) -> list[Signal]:
        """What was said and is not settled yet, in its order."""

    def noted(self, limit: int) -> Noted:
        """A batch of at most ``limit`` accesses, steps and signals each; the same one until it is settled."""

    def postpone(self, signals: Sequence[Signal]) -> None:
        """Those of them that are in the batch leave it, and wait for a later one."""

    def settled(self, batch: int) -> None:
        """The archive has this batch."""

    def lease(self, name: str, seconds: float) -> str | None:
        """Be the only one who does this for so long; a token for ``release``, None where somebody is at it."""

    def release(self, name: str, token: str) -> None:
        """Let the next one do it, if the lease is still one's own."""

    def leaving(self, within_seconds: int, limit: int) -> list[Standing]:
        """Copies that leave soon and were archived here, unless that was proven already."""

    def prove(self, keys: Sequence[tuple[Key, int]]) -> None:
        """The archive has these versions: they may leave."""

    def replace(
        self, item: MemoryItem, version: int, *, generation: int | None = None, above: int = 0, tells: bool = False
    ) -> Replaced:
        """Write a memory in place of this version of it, as ``write``, unless another one, or a grave, stands here. Its
        reads stay. ``tells``: the caller tells the workers, if it should.

        Where nothing stands the caller knows that the archive has this version. With the persona's ``generation`` from
        before it asked, nothing is written where that has changed: another version may have come and left meanwhile."""

    def copies(self) -> Copies:
        """How large the copies are."""

    def reads(self) -> list[Reads]:
        """Of every persona, since the server started."""

    def searched(self, persona: str, millis: float, hits: int, text: str) -> None:
        """Count a search. Never raises for want of memory."""

    def searches(self) -> list[Searches]:
        """Of every persona, since the server started."""
