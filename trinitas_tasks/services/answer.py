"""What a search hands back to the client: names and scores, never the memories themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trinitas_tasks.model import Key
from trinitas_tasks.query import Asked


@dataclass(frozen=True, slots=True)
class Found:
    """One answer by name: the memory itself is in the hot tier. ``tier`` is where it was before.

    ``owner`` is who asked or, of a memory that was shared with them, somebody else. ``similar`` names its
    near-duplicates, ``before`` and ``after`` its neighbours.
    """

    id: str
    score: float
    why: Mapping[str, Any]
    tier: str
    owner: str
    similar: tuple[Key, ...] = ()
    before: tuple[Key, ...] = ()
    after: tuple[Key, ...] = ()

    @property
    def key(self) -> Key:
        """The memory's key."""
        return Key(self.owner, self.id)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found, best first, which tiers answered and what was missing and why."""

    found: tuple[Found, ...]
    answered: tuple[str, ...]
    degraded: tuple[str, ...]
    more: bool = False

    def to_json(self) -> bytes:
        """As the hot tier caches it and a task returns it."""
        rows = [
            [each.id, each.score, dict(each.why), each.tier, each.owner, each.similar, each.before, each.after]
            for each in self.found
        ]
        fields = {"found": rows, "answered": self.answered, "degraded": self.degraded, "more": self.more}
        return json.dumps(fields).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Answer:
        """Read it back."""
        fields = json.loads(data)
        found = tuple(
            Found(*row, *(tuple(Key(*key) for key in keys) for keys in named))
            for *row, similar, before, after in fields["found"]
            for named in [(similar, before, after)]
        )
        return cls(found, tuple(fields["answered"]), tuple(fields["degraded"]), fields["more"])


def digest(query: Asked) -> str:
    """A name of the query, under which an answer is cached (the persona and its generation are named beside it)."""
    asked = query.model_dump(mode="json", exclude_defaults=True)
    for name in ("types", "any_tags", "all_tags"):
        if name in asked.get("filters", {}):
            asked["filters"][name].sort()
    return hashlib.blake2b(json.dumps(asked, sort_keys=True).encode(), digest_size=16).hexdigest()
