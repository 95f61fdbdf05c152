"""What a client tells of the state of things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

COSTS: Final = {
    "everysec": "a power cut takes up to a second of acknowledged writes, and a crash of Redis none",
    "no": "a power cut takes whatever the system had not written yet, often 30 s of acknowledged writes",
}
"""What each `appendfsync` other than `always` costs."""


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of one persona. ``by_type``, ``vectors``, ``unindexed`` and ``dead_letters`` come from the workers and are
    None where those did not answer (``degraded`` says why). ``spooled`` writes of this machine wait for Redis."""

    persona: str
    pending: int
    lag_seconds: float
    outbox: int
    by_type: Mapping[str, int] | None = None
    vectors: int | None = None
    unindexed: int | None = None
    dead_letters: int | None = None
    spooled: int = 0
    degraded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """Whether memories can be written and found, and per part what is wrong (None: nothing)."""

    ok: bool
    parts: Mapping[str, str | None] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def durability(details: Mapping[str, str | int]) -> list[str]:
    """What the append-only file of a Redis with these details does not keep, a sentence each."""
    if details.get("aof_enabled") == 0:
        return [
            "Redis keeps no append-only file: what is not archived yet does not survive its restart (appendonly yes)"
        ]
    policy = str(details.get("appendfsync", "always"))
    return [f"Redis has appendfsync {policy}: {COSTS[policy]} (appendfsync always)"] if policy in COSTS else []
