"""Sharing: that part of the hot tier which says who else may read a memory. It alone decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from trinitas_tasks.model import Key, Record
from trinitas_tasks.policy.grants import Grant


@dataclass(frozen=True, slots=True)
class Shared:
    """What a change of grants came to. ``nudge`` and ``version`` as of Written.

    ``gone``: the memory is marked as forgotten, and nothing was granted.
    """

    nudge: bool
    version: int
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Grants:
    """All grants of one memory and their marks. ``queued``: the archive is still to be told."""

    key: Key
    grants: tuple[Grant, ...]
    queued: bool

    @property
    def version(self) -> int:
        """The highest of them, 0 where there are none."""
        return max((each.version for each in self.grants), default=0)


class Gone:
    """The mark of a memory that was forgotten: no tier may answer with it."""


class Barred:
    """In the place of a memory that the reader was not granted, be it there or not."""


class Sharing(Protocol):
    """Grants of memories. A change ends the cached answers of the personas that it concerns, at once.

    Grants outlive a replacement of the memory and end when it is forgotten. They are durable when a call returns.
    Errors: Unavailable.
    """

    def share(self, key: Key, grantees: Sequence[str], *, above: int = 0) -> Shared:
        """Let these personas read the memory. A call that was given up has no effect later than this tier's fence,
        nor ever on grants that were changed since it was made."""

    def unshare(self, key: Key, grantees: Sequence[str] | None = None, *, above: int = 0) -> Shared:
        """Let these personas, None: all others, read it no longer. Also of an unknown grant a mark is left: another
        tier may know it."""

    def read_scoped(self, reader: str, keys: Sequence[Key], *, touch: bool) -> list[Record | Gone | Barred | None]:
        """As ``read``, for memories of several owners: in order, Barred for what is neither the reader's own nor
        granted to it at this moment. One round trip."""

    def granted(self, persona: str, limit: int) -> list[Key]:
        """What was granted to the persona, newest grants first."""

    def lenders(self, persona: str, memory_id: str) -> list[Key]:
        """The memories of this id that were granted to the persona, in the order of their owners' names."""

    def grants(self, keys: Sequence[Key]) -> list[Grants]:
        """All grants of these memories, in order, with the marks of revoked ones."""

    def untold(self) -> list[Grants]:
        """All of which the archive is still to be told, leased or not."""

    def claim_grants(self, limit: int, lease_seconds: int) -> list[Grants]:
        """Lease changes of grants that the archive is to be told, as ``claim``."""

    def finish_grants(self, done: Sequence[Grants]) -> None:
        """The archive has these: where nothing changed meanwhile they are not due again, and if all are revoked their
        marks are cleared away after a while."""

    def restore_grants(self, grants: Sequence[Grant]) -> None:
        """Take over what the archive knows, where nothing newer is known here; grants of what was forgotten since do
        not come back."""

    def requeue_grants(self, keys: Sequence[Key]) -> None:
        """The archive is to be told the grants of these memories again."""
