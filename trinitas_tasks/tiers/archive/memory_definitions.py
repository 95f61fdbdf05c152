"""What is defined of personas, as `MemoryArchive` keeps it."""

from __future__ import annotations

from datetime import datetime

from trinitas_tasks.policy.personas import Persona
from trinitas_tasks.tiers.archive.memory_provenance import MemoryProvenance


class MemoryDefinitions(MemoryProvenance):
    """That part of the contract of Archive over dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self._defined: dict[str, Persona] = {}

    def define(self, persona: Persona, now: datetime) -> None:  # noqa: ARG002 - told to people who look into the tables
        """See Definitions."""
        with self._lock:
            self._defined[persona.name] = persona

    def defined(self) -> dict[str, Persona]:
        """See Definitions."""
        with self._lock:
            return dict(sorted(self._defined.items()))
