"""What the two retrievers say of the memories that they find, as evidence for the fusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trinitas_tasks.model import Key
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.policy.fusion import Evidence


@dataclass(frozen=True, slots=True)
class Lists:
    """What each retriever says of the memories that it names, best first: coverages and cosines; and how far each model
    is to be trusted with the question, by its name.

    ``more``: further down there may be others.
    """

    coverages: Mapping[Key, float]
    cosines: Mapping[Key, float]
    trust: Mapping[str, float]
    naming: Naming
    more: bool

    def evidence(self) -> dict[Key, Evidence]:
        """For each memory. What dense search does not name is no more like the question than the last that it names of
        the same model; a model that names nothing says nothing."""
        keys = {**self.coverages, **self.cosines}
        models = {persona: self.naming.of(persona) for persona in {key.persona for key in keys}}
        floors: dict[str, float] = {}
        for key, cosine in self.cosines.items():
            model = models[key.persona]
            floors[model] = min(cosine, floors.get(model, cosine))
        said = {persona: (floors.get(its, 0.0), self.trust.get(its, 0.0)) for persona, its in models.items()}
        found = ((key, *said[key.persona]) for key in keys)
        return {
            key: Evidence(self.coverages.get(key, 0.0), self.cosines.get(key, floor), trust)
            for key, floor, trust in found
        }
