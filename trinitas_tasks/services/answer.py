"""What a search hands back to the client: names and scores, never the memories themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from trinitas_tasks.model import Query


@dataclass(frozen=True, slots=True)
class Found:
    """One answer by name: the memory itself is in the hot tier. ``tier`` is where it was before."""

    id: str
    score: float
    why: Mapping[str, float | int | str]
    tier: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found, best first, which tiers answered and what was missing and why."""

    found: tuple[Found, ...]
    answered: tuple[str, ...]
    degraded: tuple[str, ...]

    def to_json(self) -> bytes:
        """As the hot tier caches it and a task returns it."""
        rows = [[each.id, each.score, dict(each.why), each.tier] for each in self.found]
        return json.dumps({"found": rows, "answered": self.answered, "degraded": self.degraded}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Answer:
        """Read it back."""
        fields = json.loads(data)
        found = tuple(Found(*row) for row in fields["found"])
        return cls(found, tuple(fields["answered"]), tuple(fields["degraded"]))


def digest(query: Query) -> str:
    """The name under which an answer to this query is cached (the persona and its generation are named beside it)."""
    parts = [query.text, str(query.limit), *sorted(query.types)]
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
