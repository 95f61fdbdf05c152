"""The spool: where writes are safe on this machine while Redis is away, until they are replayed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from trinitas_tasks.model import Key, MemoryItem


class Entry(NamedTuple):
    """What was written or forgotten, under the version that it counts with. ``item`` None: forgotten.

    What does not wait is a mark: this is what stood where the spool is replayed to, and something newer may by now.
    """

    number: int
    key: Key
    version: int
    item: MemoryItem | None
    waits: bool = True


class Spool(Protocol):
    """Entries in the order in which they were acknowledged. Errors: Unavailable, Overloaded.

    A version is the machine's clock in microseconds, above everything that the spool or the caller has seen.
    """

    def write(self, items: Sequence[tuple[MemoryItem, str | None]], *, above: int) -> tuple[list[str], int]:
        """Keep memories durably, all or none; the ids under which they are kept, and the highest version.

        The second of a pair names what it says: if that waits already, its id comes back and nothing is kept."""

    def forget(self, keys: Sequence[Key], *, above: int) -> int:
        """Keep durably that these were forgotten; the highest version."""

    def mark(self, keys: Sequence[Key], version: int) -> None:
        """These were forgotten where the spool replays to: nothing to replay, but `latest` says so."""

    def latest(self, persona: str, ids: Sequence[str]) -> list[Entry | None]:
        """The newest entry of each, waiting or a mark."""

    def pending(self, persona: str, limit: int) -> list[Entry]:
        """The persona's newest writes that wait, newest first, at most one of an id."""

    def take(self, limit: int, *, after: int = 0) -> list[Entry]:
        """The oldest that wait behind this number, in order; they wait on until they are done."""

    def keep(self, entries: Sequence[Entry]) -> None:
        """Let these wait, too, with the versions that they have: another machine acknowledged them. Their numbers are
        given here."""

    def done(self, entries: Sequence[Entry]) -> None:
        """They were replayed. Marks stay for a while: other clients may not have reached the hot tier again yet."""

    def waiting(self) -> int:
        """How many entries wait."""

    def unreadable(self) -> int:
        """How many entries were set aside because they cannot be read: the file was damaged."""

    def empty(self) -> bool:
        """Whether nothing waits; takes microseconds."""

    def close(self) -> None:
        """Give the connection back."""
