"""Doors over stubs, and a ledger whose disk may be full."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.interfaces.door import Door
from trinitas_tasks.policy.access import EVERY_RIGHT, Principal, Right
from trinitas_tasks.tiers.ledger.memory import MemoryLedger

USER = Principal("user mika")


class Notebook(MemoryLedger):
    """A ledger whose disk can be full for some of its calls."""

    full: frozenset[str] = frozenset()

    def begin(self, who: str, door: str, action: str, persona: str | None, subject: str | None, now: datetime) -> int:
        self._find_room("begin")
        return super().begin(who, door, action, persona, subject, now)

    def end(self, number: int, outcome: str | None, *, subject: str | None = None, detail: str | None = None) -> None:
        self._find_room("end")
        super().end(number, outcome, subject=subject, detail=detail)

    def _find_room(self, call: str) -> None:
        if call in self.full:
            raise Unavailable("disk full")


class Enter(Protocol):
    """Makes the door of somebody who acts for these personas, for all if there are none."""

    def __call__(
        self, *personas: str, rights: frozenset[Right] = EVERY_RIGHT, of: MemoryClient | None = None
    ) -> Door: ...


def rows(ledger: Notebook) -> list[tuple[Any, ...]]:
    """The audit, oldest first, without numbers, times and who."""
    return [deed[4:] for deed in reversed(ledger.deeds(1000))]
