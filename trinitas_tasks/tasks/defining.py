"""The jobs about personas: which there are, and what is defined of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trinitas_tasks.policy.personas import Persona, Roster
from trinitas_tasks.tasks.lifecycle import Lifecycle


@dataclass(frozen=True, slots=True)
class Defining(Lifecycle):
    """These jobs over one runtime."""

    def roster(self) -> str:
        """Which personas there are, as the archive knows it; as text: JSON within JSON might be taken apart."""
        return self._roster().to_json()

    def define(self, persona: Mapping[str, Any]) -> None:
        """Keep what is defined of a persona, in the place of what was before, and tell the clients."""
        run = self.runtime
        run.archive.define(Persona.build(**persona), run.clock())
        run.personas.changed()
        self.tell_roster()

    def tell_roster(self) -> None:
        """Put what clients read of personas right, where it is not what the archive knows."""
        run = self.runtime
        with run.telling:  # of two threads the one that has read the archive first must not write last
            truth, told = self._roster(), run.hot.roster()
            if told is None or told.to_json() != truth.to_json():
                run.hot.keep_roster(truth)

    def _roster(self) -> Roster:
        archive = self.runtime.archive
        return Roster(archive.defined(), frozenset(archive.personas()))
