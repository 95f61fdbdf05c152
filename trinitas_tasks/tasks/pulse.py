"""What goes on: the figures of one look at everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.tasks.activity import Activity
from trinitas_tasks.tasks.dispatch import Dispatcher
from trinitas_tasks.tiers.hot.interface import Counts, HotTier
from trinitas_tasks.tiers.spool.interface import Spool

T = TypeVar("T")
RUNS: Final = 20
RUNS_MS: Final = 1000
"""How long the maintenance worker may take to tell what ran: it may be at something."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """One look. ``problems`` says of what could not be seen why; that is None then.

    ``counted`` are the counts of its beginning and its end, ``seconds`` lie between them. ``runs`` are the last runs of
    scheduled tasks, newest first. ``memory_bytes`` is what Redis takes, ``memory_limit`` what it may (0: all there is).
    """

    at: datetime
    seconds: float
    counted: tuple[Counts, Counts] | None = None
    memory_bytes: int | None = None
    memory_limit: int | None = None
    spooled: int | None = None
    activity: Activity | None = None
    runs: Sequence[Mapping[str, Any]] | None = None
    problems: Mapping[str, str] = field(default_factory=dict)


def pulse(*, hot: HotTier, spool: Spool, dispatcher: Dispatcher, clock: Callable[[], datetime]) -> Pulse:
    """Look at everything once. Never raises for what is away."""
    problems: dict[str, str] = {}

    def seen(what: str, look: Callable[[], T]) -> T | None:
        try:
            return look()
        except TrinitasError as error:
            problems[what] = str(error)
            return None

    at, before = clock(), seen("redis", lambda: hot.counts())
    details = None if before is None else seen("redis", lambda: hot.stats("pulse").details)
    activity = None if before is None else seen("workers", dispatcher.activity)
    runs = None if activity is None else seen("runs", lambda: dispatcher.ask("runs", (None, RUNS), deadline_ms=RUNS_MS))
    after, then = None if before is None else seen("redis", lambda: hot.counts()), clock()
    return Pulse(
        at=then,
        seconds=(then - at).total_seconds(),
        counted=None if before is None or after is None else (before, after),
        memory_bytes=None if details is None else int(details.get("used_memory", 0)),
        memory_limit=None if details is None else int(details.get("maxmemory", 0)),
        spooled=seen("spool", spool.waiting),
        activity=activity,
        runs=runs,
        problems=problems,
    )
