"""What the steps of a migration come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from trinitas_tasks.model import MemoryItem, MemoryType

ASSUMED_RATE: Final = 150
"""Memories a second that a worker on two cores embeds at least; what a survey's estimate goes by."""
SHOWN: Final = 1000
"""So many differences, and reasons, a report names."""
OTHER: Final = "other reasons"


@dataclass(slots=True)
class Survey:
    """What the store holds. ``old``: unused for so long that they leave the index at once (see policy.retention);
    ``doomed``: of those, which rules that are in force then delete."""

    parts: dict[str, int]
    personas: dict[str, dict[str, int]] = field(default_factory=dict)
    memories: int = 0
    unreadable: int = 0
    renamed: int = 0
    old: int = 0
    doomed: int = 0
    damaged: list[str] = field(default_factory=list)
    """Parts that cannot be read, or not to their end: they can only be kept as files."""
    reasons: Counter[str] = field(default_factory=Counter)
    """How often what is unreadable is so, by part and reason."""

    def blame(self, source: str, reason: str) -> None:
        """One more that is unreadable; of very many different reasons the later ones are not named."""
        self.unreadable += 1
        named = f"{source}: {reason[:200]}"
        self.reasons[named if named in self.reasons or len(self.reasons) < SHOWN else OTHER] += 1

    def count(self, item: MemoryItem) -> None:
        """One more of its persona and type."""
        self.memories += 1
        counts = self.personas.setdefault(item.persona, dict.fromkeys((kind.value for kind in MemoryType), 0))
        counts[item.type.value] += 1

    def told(self) -> dict[str, Any]:
        """For a report."""
        return {**asdict(self), "reasons": dict(self.reasons), "estimated_seconds": self.estimated_seconds}

    @property
    def estimated_seconds(self) -> float:
        """For copying all of it."""
        return round(self.memories / ASSUMED_RATE, 1)


@dataclass(slots=True)
class Copying:
    """What copying came to, in memories, however often it was broken off; see services.migrate.Copied. What this
    migration had brought counts as copied, unless it was done before: then as ``there``. ``new``: copied by this run,
    in so many ``seconds``."""

    read: int = 0
    copied: int = 0
    there: int = 0
    forgotten: int = 0
    refused: int = 0
    new: int = 0
    seconds: float = 0.0

    def add(self, step: Mapping[str, Any], *, again: bool) -> None:
        """One more step; ``again``: of a migration that was done before."""
        self.read += step["read"]
        self.copied += step["copied"] + (0 if again else step["already"])
        self.there += step["there"] + (step["already"] if again else 0)
        self.forgotten += step["forgotten"]
        self.new += step["copied"]

    def counts(self) -> dict[str, int]:
        """What the next run goes on with."""
        return {name: getattr(self, name) for name in ("read", "copied", "there", "forgotten")}

    @property
    def rate(self) -> float | None:
        """Memories a second, by this run."""
        return round(self.new / self.seconds, 1) if self.seconds else None

    def told(self) -> dict[str, Any]:
        """For a report."""
        fields = {name: value for name, value in asdict(self).items() if name != "new"}
        return {**fields, "per_second": self.rate}


@dataclass(slots=True)
class Comparison:
    """What verifying came to, in memories; see services.migrate.Verified. ``noted``: so many the archive notes as
    migrated."""

    read: int = 0
    same: int = 0
    changed: int = 0
    forgotten: int = 0
    twice: int = 0
    noted: int = 0
    differing: int = 0
    differences: list[dict[str, str]] = field(default_factory=list)

    def add(self, differences: list[dict[str, str]]) -> None:
        """More that differ; the first are named."""
        self.differing += len(differences)
        self.differences += differences[: SHOWN - len(self.differences)]
