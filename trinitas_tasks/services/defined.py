"""What is defined of personas, as a worker goes by it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.policy.personas import Persona

logger = logging.getLogger(__name__)

KEPT_SECONDS: Final = 2.0
"""How long what was looked up counts: so long a worker may not know of a change."""


class Defined:
    """Looks definitions up, again after some seconds; thread-safe. Where they cannot be looked up, what was known last
    counts. ``clock`` counts seconds and may be simulated.
    """

    def __init__(self, look: Callable[[], Mapping[str, Persona]], clock: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._clock = clock
        self._known: tuple[Mapping[str, Persona] | None, float] = None, 0.0

    def of(self, name: str) -> Persona:
        """What is defined of this one: nothing, where it was not. Raises: Unavailable, ArchiveError."""
        return self.all().get(name) or Persona(name=name)

    def all(self) -> Mapping[str, Persona]:
        """All definitions by name. Raises: Unavailable, ArchiveError: nothing was ever known."""
        known, until = self._known
        if known is not None and self._clock() <= until:
            return known
        try:
            found = self._look()
        except TrinitasError as error:
            if known is None:
                raise
            logger.info("what was defined of personas before goes on to count: %s", error)
            found = known
        self._known = found, self._clock() + KEPT_SECONDS
        return found

    def changed(self) -> None:
        """Look again next time."""
        self._known = self._known[0], -1.0
