"""Which embedding model makes the vectors of whose memories."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final, NamedTuple

from trinitas_tasks.embedding.interface import Embedder
from trinitas_tasks.errors import InvalidQuery, ModelError
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.policy.personas import Persona

AGAIN_SECONDS: Final = 60.0
"""After so long a model that could not be loaded is tried again."""


class Chosen(NamedTuple):
    """A model, as settings and definitions say it: a shipped name or a folder, and the checksum of its weights."""

    model: str
    sha256: str | None = None

    @property
    def name(self) -> str:
        """Under which its vectors are kept."""
        return PurePath(self.model).name


Load = Callable[[Chosen], Embedder]
"""Raises: ModelError."""


class Shelf:
    """The loaded models beside the usual one, each loaded once, when it is first needed; thread-safe.

    What could not be loaded fails at once for a while. ``clock`` counts seconds and may be simulated.
    """

    def __init__(self, load: Load, clock: Callable[[], float] = time.monotonic) -> None:
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[Chosen, Embedder] = {}
        self._failed: dict[Chosen, tuple[str, float]] = {}

    def get(self, chosen: Chosen, *, anew: bool = False) -> Embedder:
        """The model, loaded if need be; ``anew``: tried even if it failed a moment ago. Raises: ModelError."""
        with self._lock:
            if chosen in self._held:
                return self._held[chosen]
            said, until = self._failed.get(chosen, ("", 0.0))
            if said and not anew and self._clock() < until:
                raise ModelError(said)
            try:
                self._held[chosen] = made = self._load(chosen)
            except ModelError as error:
                self._failed[chosen] = str(error), self._clock() + AGAIN_SECONDS
                raise
            self._failed.pop(chosen, None)
            return made

    def keep_only(self, wanted: set[Chosen]) -> None:
        """Give the memory of the others back: 100 MB each, or more."""
        with self._lock:
            self._held = {chosen: made for chosen, made in self._held.items() if chosen in wanted}


@dataclass(frozen=True, slots=True)
class Models:
    """The models in force at one moment: the usual one, and those that personas have of their own. Asking for names
    loads nothing."""

    usual: Callable[[], Embedder]
    naming: Naming
    own: Mapping[str, Chosen] = field(default_factory=dict)
    shelf: Shelf | None = None

    def of(self, persona: str) -> Embedder:
        """The model of a persona, loaded if need be. Raises: ModelError."""
        chosen = self.own.get(persona)
        return self.usual() if chosen is None or self.shelf is None else self.shelf.get(chosen)


def chosen_by(persona: Persona, usual: Chosen) -> Chosen | None:
    """The model that a persona has of its own; None: it has the usual one."""
    chosen = None if persona.model is None else Chosen(persona.model, persona.model_sha256)
    return None if chosen is None or chosen.model == usual.model else chosen


def refuse_twins(persona: Persona, defined: Mapping[str, Persona], usual: Chosen) -> None:
    """Return unless another model in use has the same name as the persona's: vectors are told apart by it.

    Raises: InvalidQuery.
    """
    mine = chosen_by(persona, usual)
    if mine is None:
        return
    others = [usual, *(its for each in defined.values() if (its := chosen_by(each, usual)) is not None)]
    for other in others:
        if other.name == mine.name and other.model != mine.model:
            raise InvalidQuery(
                f"model: {mine.model} has the name of {other.model}, which is in use: vectors are told apart by the "
                "model's name, so rename the folder"
            )
