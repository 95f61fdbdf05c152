"""From what a caller gives to a memory that may be written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from trinitas_tasks.errors import InvalidMemory
from trinitas_tasks.model import MemoryItem, MemoryType, new_id
from trinitas_tasks.policy import secrets
from trinitas_tasks.tiers.hot.interface import Write

GIVEN: Final = frozenset(MemoryItem.model_fields) - {"last_access", "access_count"}
"""What a caller says of a memory; the tiers keep the rest."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Lets in what may be stored. ``dedup``: the same said again is the same memory. ``secrets``: what becomes of keys
    and tokens in it (see policy.secrets); unless they are allowed, no error quotes what was given."""

    max_content_kb: int
    dedup: bool
    secrets: Literal["allow", "mask", "refuse"] = "allow"

    def new(self, given: Mapping[str, Any], persona: str | None, now: datetime) -> Write:
        """A memory to write; where none is given, it is ``persona``'s. Raises: InvalidMemory."""
        if unknown := set(given) - GIVEN:
            raise InvalidMemory(f"{', '.join(sorted(map(str, unknown)))}: not an argument of remember()")
        fields = {name: value for name, value in given.items() if value is not None}
        if fields.setdefault("persona", persona) is None:
            raise InvalidMemory("persona: a memory belongs to one: pass persona=, here or to connect()")
        always = {"content": None, "type": MemoryType.EPISODIC, "timestamp": now, "id": new_id(now)}
        item = self._built(always | fields)
        # with an id of its own a memory says which one it is: nothing to guess from its words
        dedup = _said(item, "timestamp" in fields) if self.dedup and "id" not in fields else None
        return Write(item, dedup)

    def changed(self, item: MemoryItem, changes: Mapping[str, Any]) -> MemoryItem:
        """The memory with these fields. Raises: InvalidMemory."""
        return self._built({**dict(item), **changes})

    def _built(self, fields: Mapping[str, Any]) -> MemoryItem:
        item = MemoryItem.build(quote=self.secrets == "allow", **fields)
        if self.secrets != "allow":
            item = secrets.mask(item) if self.secrets == "mask" else secrets.refuse(item)
        size = len(item.to_json())
        if size > self.max_content_kb * 1024:
            raise InvalidMemory(
                f"content: {size / 1024:,.0f} KB are more than the {self.max_content_kb:,} KB allowed "
                "(TRINITAS_MAX_CONTENT_KB)"
            )
        return item


def _said(item: MemoryItem, timed: bool) -> str:
    """The digest of what a memory says: type, content, metadata, tags, importance and the time, if the caller gave one.

    Turns such as "Thanks!" by different speakers say different things; the same call again says the same.
    """
    when = item.timestamp.isoformat() if timed else None
    said = (item.type.value, item.content, item.metadata, item.tags, item.importance, item.ttl, when)
    return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=16).hexdigest()
