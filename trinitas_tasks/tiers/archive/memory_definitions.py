"""What is defined of personas, as `MemoryArchive` keeps it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from trinitas_tasks.policy.personas import Persona
from trinitas_tasks.tiers.archive.definitions import Abandoned, Move
from trinitas_tasks.tiers.archive.memory_provenance import MemoryProvenance


class MemoryDefinitions(MemoryProvenance):
    """That part of the contract of Archive over dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self._defined: dict[str, Persona] = {}
        self._abandoned: dict[tuple[str, str], Abandoned] = {}

    def define(self, persona: Persona, now: datetime, move: Move | None = None) -> None:
        """See Definitions."""
        with self._lock:
            self._defined[persona.name] = persona
            if move is not None:
                self._abandoned[persona.name, move.before] = Abandoned(persona.name, move.before, now)
                self._abandoned.pop((persona.name, move.after), None)

    def defined(self) -> dict[str, Persona]:
        """See Definitions."""
        with self._lock:
            return dict(sorted(self._defined.items()))

    def tally(self) -> dict[str, int]:
        """See Definitions."""
        with self._lock:
            return dict(sorted(Counter(key.persona for key in self._memories).items()))

    def abandoned(self) -> list[Abandoned]:
        """See Definitions."""
        with self._lock:
            return [self._abandoned[name] for name in sorted(self._abandoned)]

    def drop_vectors(self, persona: str, model: str, limit: int) -> int:
        """See Definitions."""
        with self._lock:
            mine = [held for key, held in self._memories.items() if key.persona == persona and model in held.vectors]
            for held in mine[:limit]:
                held.vectors.pop(model)
                held.indexed.discard(model)
            return len(mine[:limit])

    def cleared(self, abandoned: Abandoned) -> None:
        """See Definitions."""
        with self._lock:
            if self._abandoned.get(abandoned[:2]) == abandoned:
                del self._abandoned[abandoned[:2]]
