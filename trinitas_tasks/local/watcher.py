"""How somebody looks on while a stack starts or stops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Watcher(Protocol):
    """What its methods raise ends the wait."""

    def ready(self, name: str) -> None:
        """A process does its work."""

    def waiting(self, names: Sequence[str]) -> None:
        """Called every fraction of a second with what is still waited for."""


class Quiet:
    """Lets it happen."""

    def ready(self, name: str) -> None:
        pass

    def waiting(self, names: Sequence[str]) -> None:
        pass
