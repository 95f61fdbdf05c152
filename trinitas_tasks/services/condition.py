"""What a client tells of the state of things."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from trinitas_tasks.errors import Transient, TrinitasError
from trinitas_tasks.tiers.hot.interface import HotTier
from trinitas_tasks.tiers.spool.interface import Spool

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


def stats(persona: str, *, hot: HotTier, spool: Spool, count: Callable[[str], dict[str, Any]]) -> Stats:
    """``count`` has the workers count. Raises: Unavailable when the hot tier cannot be reached."""
    found, spooled = hot.stats(persona), spool.waiting()
    try:
        counted = count(persona)
    except Transient as error:
        counted = {"degraded": (f"workers: {error}",)}
    return Stats(persona, found.pending, found.lag_seconds, found.outbox, spooled=spooled, **counted)


def health(
    *,
    hot: HotTier,
    spool: Spool,
    spooled_in: object,
    queues: Iterable[str],
    served: Callable[[], Mapping[str, object]],
    examine: Callable[[], dict[str, str | None]],
) -> Health:
    """``served`` tells which of the ``queues`` have workers, which ``examine`` the tiers behind them; ``spooled_in``
    names the spool. Never raises for what does not work."""
    parts: dict[str, str | None] = {"spool": None}
    warnings: list[str] = []
    try:
        if waiting := spool.waiting():
            warnings.append(f"{waiting} writes of this machine wait in its spool for Redis")
        if unreadable := spool.unreadable():
            parts["spool"] = f"{unreadable} entries of {spooled_in} cannot be read"
    except TrinitasError as error:
        parts["spool"] = str(error)
    try:
        hot.ping()
        parts["redis"] = None
        warnings += durability(hot.stats("health").details)
        told, known = hot.notes(), served()
        parts |= {f"{queue} worker": told.get(queue) if queue in known else "none runs" for queue in queues}
        parts |= examine() if "search" in known else dict.fromkeys(("archive", "chroma"), "unknown")
    except TrinitasError as error:
        parts["workers" if "redis" in parts else "redis"] = str(error)
    return Health(all(problem is None for problem in parts.values()), parts, tuple(warnings))


def durability(details: Mapping[str, str | int]) -> list[str]:
    """What the append-only file of a Redis with these details does not keep, a sentence each."""
    if details.get("aof_enabled") == 0:
        return [
            "Redis keeps no append-only file: what is not archived yet does not survive its restart (appendonly yes)"
        ]
    policy = str(details.get("appendfsync", "always"))
    return [f"Redis has appendfsync {policy}: {COSTS[policy]} (appendfsync always)"] if policy in COSTS else []
