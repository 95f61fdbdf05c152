"""Which personas there are, for clients that cannot ask the archive."""

from __future__ import annotations

from typing import Protocol

from trinitas_tasks.policy.personas import Roster


class Rolls(Protocol):
    """A copy of what the archive knows, written by the workers. Errors: Unavailable."""

    def roster(self) -> Roster | None:
        """What was kept last; None: nothing, or nothing that can be read."""

    def keep_roster(self, roster: Roster) -> None:
        """Keep it, in the place of the one before."""
