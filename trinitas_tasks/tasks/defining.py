"""The jobs about personas: which there are, and what is defined of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trinitas_tasks.embedding.models import chosen_by, refuse_twins
from trinitas_tasks.policy.personas import Persona, Roster
from trinitas_tasks.services.reconcile import Cursor
from trinitas_tasks.tasks.lifecycle import Lifecycle
from trinitas_tasks.tiers.archive.definitions import Move


@dataclass(frozen=True, slots=True)
class Defining(Lifecycle):
    """These jobs over one runtime."""

    def roster(self) -> str:
        """Which personas there are, as the archive knows it; as text: JSON within JSON might be taken apart."""
        return self._roster().to_json()

    def tally(self) -> dict[str, int]:
        """How many archived memories everybody has."""
        return self.runtime.archive.tally()

    def define(self, persona: Mapping[str, Any]) -> None:
        """Keep what is defined of a persona, in the place of what was before, and tell the clients. With another model
        its memories get other vectors. Raises: InvalidQuery; ModelError: its model cannot be loaded."""
        run = self.runtime
        wanted = Persona.build(**persona)
        run.personas.changed()
        before, after = run.naming.of(wanted.name), self._model(wanted)
        run.archive.define(wanted, run.clock(), None if before == after else Move(before, after))
        run.personas.changed()
        self.tell_roster()
        if before != after:
            run.hot.changed([wanted.name])
            run.compared = Cursor()  # which finds what has no vectors of this model
            self.nudge("reconcile")

    def _model(self, persona: Persona) -> str:
        """The name of its model, which was loaded if it is its own, and another one than before."""
        run = self.runtime
        refuse_twins(persona, run.personas.all(), run.usual)
        chosen = chosen_by(persona, run.usual)
        if chosen is None:
            return run.model
        if chosen != run.models.own.get(persona.name):
            run.shelf.get(chosen, anew=True)
        return chosen.name

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
