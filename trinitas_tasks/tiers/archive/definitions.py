"""What is defined of personas: the truth about it. And what is left of models that they have no more."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from trinitas_tasks.policy.personas import Persona


class Move(NamedTuple):
    """From the model of one name to that of another."""

    before: str
    after: str


class Abandoned(NamedTuple):
    """A model that a persona has no more, since when: vectors of it may be left."""

    persona: str
    model: str
    since: datetime


class Definitions(Protocol):
    """Errors as of Archive."""

    def define(self, persona: Persona, now: datetime, move: Move | None = None) -> None:
        """Keep it, in the place of what was defined of this name before; with a ``move`` the model before is abandoned,
        and the one after is not, or no longer."""

    def defined(self) -> dict[str, Persona]:
        """All that was defined, by name."""

    def tally(self) -> dict[str, int]:
        """How many memories everybody has who has any, by name."""

    def abandoned(self) -> list[Abandoned]:
        """The models of which vectors may be left, by persona and name."""

    def drop_vectors(self, persona: str, model: str, limit: int) -> int:
        """Delete the vectors of this model of at most so many of the persona's memories; of how many."""

    def cleared(self, abandoned: Abandoned) -> None:
        """Nothing is left of it, unless it was abandoned again since."""
