"""Where in the vector tier whose vectors are."""

from __future__ import annotations

from dataclasses import dataclass

from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.tiers.vectors.interface import VectorTier


@dataclass(frozen=True, slots=True)
class Spaces:
    """The vector tier by models: ``vectors`` are those of the usual one."""

    vectors: VectorTier
    naming: Naming

    def at(self, model: str) -> VectorTier:
        """Those of the model of this name."""
        return self.vectors if model == self.naming.usual else self.vectors.at(model)

    def of(self, persona: str) -> VectorTier:
        """Those of the persona's model."""
        return self.at(self.naming.of(persona))
