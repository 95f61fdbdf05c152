"""Comparing the tiers, mending what differs and rebuilding the vectors: the workers do it, step by step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key
from trinitas_tasks.services.reconcile import PHASES, TORN, Difference
from trinitas_tasks.tasks.config import INGEST
from trinitas_tasks.tasks.mending import REBUILT

STEP_MS: Final = 120_000
SETTLE_SECONDS: Final = 1.0
"""After it a difference that was only on its way to be none is none."""
ROUNDS: Final = 5
MENDED: Final = 500
"""Differences that one step mends."""

PLACES: Final = dict(zip(PHASES, ("the archive", "Redis", "Chroma"), strict=True))
"""What each phase of a comparison looks through."""

Watch = Callable[[str, int], None]
"""Told what is being done, and how many memories one step of it was about."""


@dataclass(slots=True)
class Comparison:
    """What a pass over everything came to: memories looked at by tier, differences, and what could not be looked at."""

    examined: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PHASES, 0))
    differences: set[Difference] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)


def compare(client: MemoryClient, *, watch: Watch) -> Comparison:
    """Compare everything; where something differs once more, and what differs still is told. Raises: Unavailable."""
    found = _pass(client, watch)
    if found.differences:
        time.sleep(SETTLE_SECONDS)
        again = _pass(client, watch)
        found = Comparison(again.examined, found.differences & again.differences, found.skipped | again.skipped)
    return found


def _pass(client: MemoryClient, watch: Watch) -> Comparison:
    found = Comparison()
    cursor: list[Any] | None = [PHASES[0], 0, ""]
    while cursor is not None:
        step = client.ask("compare", cursor, deadline_ms=STEP_MS)
        found.examined[cursor[0]] += step["examined"]
        found.differences |= {Difference(kind, Key(*key), version) for kind, *key, version in step["differences"]}
        found.skipped |= set(step["skipped"])
        watch(f"comparing {PLACES[cursor[0]]}", step["examined"])
        cursor = step["cursor"]
    return found


def repair(client: MemoryClient, *, watch: Watch) -> tuple[int, Comparison]:
    """Mend until a whole comparison finds nothing, or nothing can be mended: how many were, and the last comparison.

    Raises: Unavailable; what was mended until then stays so.
    """
    mended, found = 0, compare(client, watch=watch)
    for _ in range(ROUNDS):
        more = _mend(client, found.differences, watch) if found.differences else 0
        if not more:
            break
        mended, found = mended + more, compare(client, watch=watch)
    return mended, found


def _mend(client: MemoryClient, differences: Iterable[Difference], watch: Watch) -> int:
    torn = sorted({each.key.persona for each in differences if each.kind == TORN})
    if torn:
        rebuild(client, torn, watch=watch)
    others = sorted(each for each in differences if each.kind != TORN)
    mended = len(torn)
    for start in range(0, len(others), MENDED):
        some = others[start : start + MENDED]
        mended += client.ask("mend", [[each.kind, *each.key, each.version] for each in some], deadline_ms=STEP_MS)
        watch("mending", len(some))
    return mended


def archived(client: MemoryClient) -> dict[str, int] | None:
    """How many memories each persona has in the archive; None where no search worker tells."""
    try:
        found: dict[str, int] | None = client.ask("facts", deadline_ms=STEP_MS)["memories"]
    except Unavailable:
        return None
    return found


def rebuild(client: MemoryClient, personas: list[str] | None, *, watch: Watch) -> None:
    """Fill Chroma anew for these personas (None: all); what is there answers until all of it is replaced.

    Raises: Unavailable, also where no worker could do it.
    """
    if client.health().parts.get(f"{INGEST} worker") == "none runs":
        raise Unavailable("no ingest worker runs, and only it rebuilds: `trinitas up`, or start one")
    place: int | None = 0
    while place is not None:
        place = client.ask("rebuild", personas, place, deadline_ms=STEP_MS)
        watch("copying vectors", REBUILT)
