"""What personas say of memories: pins and feedback. Redis keeps it until the archive has it."""

from __future__ import annotations

from datetime import datetime

from trinitas_tasks.errors import NotFound
from trinitas_tasks.model import Key
from trinitas_tasks.services import share
from trinitas_tasks.services.front import Front
from trinitas_tasks.tiers.hot.interface import HotTier, Said, Signal


def pin(key: Key, pinned: bool, *, front: Front, hot: HotTier, now: datetime) -> None:
    """Exempt a memory from being archived, forgotten and pruned, or not any more. Raises: NotFound, Unavailable."""
    if front.read(key.persona, [key.id])[0] is None:
        raise NotFound(f"{key.persona} has no memory {key.id}")
    hot.say([Signal(key, key.persona, Said.PIN if pinned else Said.UNPIN, now)], above=front.seen)


def feedback(
    persona: str, memory_id: str, owner: str | None, useful: bool, *, front: Front, hot: HotTier, now: datetime
) -> None:
    """A memory that the persona may read was of use to it, or not. Raises: NotFound, Unavailable."""
    record = share.get(persona, memory_id, owner, front=front, hot=hot)
    if record is None:
        raise NotFound(f"{persona} has no memory {memory_id}")
    key = Key(record.item.persona, record.item.id)
    hot.say([Signal(key, persona, Said.USEFUL if useful else Said.USELESS, now)], above=front.seen)
