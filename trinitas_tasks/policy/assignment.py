"""Under which model's name whose vectors are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Naming(NamedTuple):
    """The model of most personas, and of those that have one of their own the name of that."""

    usual: str
    own: Mapping[str, str] = {}

    def of(self, persona: str) -> str:
        """The name of the model that makes a persona's vectors."""
        return self.own.get(persona, self.usual)

    def sharing(self, model: str) -> list[str]:
        """Those that have this one of their own."""
        return [persona for persona, name in self.own.items() if name == model]
