"""What is defined of personas: the truth about it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from trinitas_tasks.policy.personas import Persona


class Definitions(Protocol):
    """Errors as of Archive."""

    def define(self, persona: Persona, now: datetime) -> None:
        """Keep it, in the place of what was defined of this name before."""

    def defined(self) -> dict[str, Persona]:
        """All that was defined, by name."""
