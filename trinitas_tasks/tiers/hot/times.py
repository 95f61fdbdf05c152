"""That part of the hot tier which gives what is not archived yet in the order of a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trinitas_tasks.model import Key
from trinitas_tasks.policy.chronology import Place, Span, Stretch


class Times(Protocol):
    """Errors: Unavailable. Nothing here counts as an access."""

    def waiting(self, persona: str, span: Span, limit: int) -> Stretch:
        """The first of the persona's records in this span that are not archived yet, ``limit`` at most."""

    def places(self, keys: Sequence[Key]) -> list[Place]:
        """Of these memories, those that are not archived yet: their places, in no order."""
