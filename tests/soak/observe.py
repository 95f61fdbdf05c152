"""Waits until the stack has settled after the last fault, and then looks at everything that stands."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random
from typing import TypeVar

from sqlalchemy import select

from tests.soak.ledger import LOST, Ledger, Violation
from tests.soak.operations import Seen, seen
from tests.soak.verdicts import Observed
from trinitas_tasks import MemoryClient, Settings
from trinitas_tasks.errors import DeadlineExceeded, Transient, TrinitasError
from trinitas_tasks.model import Key
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.tiers.archive.schema import memories
from trinitas_tasks.tiers.archive.sql import SqlArchive

T = TypeVar("T")

LOOK_SECONDS = 0.5
MEND_SECONDS = 30.0
COUNTS = ("pending", "outbox", "spooled", "unindexed")
UNVECTORED = "archived memories"
ATTEMPTS = 5
BESIDE = 4
LOADED = 200
SAMPLE = 50
"""Recalls for each persona."""


def settle(client: MemoryClient, runtime: Runtime, personas: Sequence[str], seconds: float) -> list[str]:
    """Wait until nothing is left to do; what is left after so many seconds."""
    ends = time.monotonic() + seconds
    mend_at = 0.0
    while (left := _left(client, runtime, personas)) and time.monotonic() < ends:
        if all(each.endswith(UNVECTORED) for each in left) and time.monotonic() > mend_at:
            mend_at = time.monotonic() + MEND_SECONDS
            _reconcile(client)
        time.sleep(LOOK_SECONDS)
    return left


def _reconcile(client: MemoryClient) -> None:
    """What beat asks for every five minutes: it need not be waited for here."""
    with suppress(DeadlineExceeded):  # it goes on
        client.ask("reconcile")


def _left(client: MemoryClient, runtime: Runtime, personas: Sequence[str]) -> list[str]:
    left = []
    try:
        parts = client.health().parts
        left += [f"{name}: {problem}" for name, problem in parts.items() if problem is not None]
        if graves := runtime.hot.stats(personas[0]).graves:
            left.append(f"{graves} forgotten memories not erased")
        for persona in personas:
            stats = client.stats(persona=persona)
            left += [f"{persona}: {name} {count}" for name in COUNTS if (count := getattr(stats, name))]
            left += [f"{persona}: {reason}" for reason in stats.degraded]
            archived = sum((stats.by_type or {}).values())
            if stats.vectors != archived:
                left.append(f"{persona}: {stats.vectors} vectors of {archived} {UNVECTORED}")
    except TrinitasError as error:
        left.append(str(error))
    return left


def observe(client: MemoryClient, runtime: Runtime, ledger: Ledger, personas: Sequence[str]) -> Observed:
    """Everything that stands. Raises: TrinitasError where the archive or the vector tier cannot be read."""
    archived = _archived(runtime.settings)
    gets: dict[Key, Seen | None] = {}
    unanswered: dict[Key, str] = {}

    def get(key: Key) -> None:
        try:
            item = patiently(lambda: client.get(key.id, persona=key.persona))
        except TrinitasError as error:
            unanswered[key] = str(error)
        else:
            gets[key] = None if item is None else seen(item)

    with ThreadPoolExecutor(BESIDE) as pool:
        list(pool.map(get, ledger.standings.keys() | archived.keys()))
    return Observed(gets, archived, _vectors(runtime, personas), unanswered)


def _archived(settings: Settings) -> dict[Key, Seen]:
    archive = SqlArchive(settings.archive())
    try:
        with archive._engines.read("list everything") as connection:
            rows = connection.execute(select(memories.c.persona, memories.c.id)).all()
        ids: defaultdict[str, list[str]] = defaultdict(list)
        for persona, memory_id in rows:
            ids[persona].append(memory_id)
        return {
            Key(persona, record.item.id): seen(record.item)
            for persona, mine in ids.items()
            for start in range(0, len(mine), LOADED)
            for record in archive.load(persona, mine[start : start + LOADED])
            if record is not None
        }
    finally:
        archive.close()


def _vectors(runtime: Runtime, personas: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for persona in personas:
        found[persona] = []
        while page := runtime.vectors.listed(persona, len(found[persona]), LOADED):
            found[persona] += page
    return found


def sampled(client: MemoryClient, ledger: Ledger, seed: int, at: float) -> tuple[list[Violation], int]:
    """Ask for `SAMPLE` acknowledged memories of each persona by their word; those that do not come, and how many
    were asked for."""
    random = Random(f"{seed}/sample")
    missing, asked = [], 0
    known: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for key, standing in ledger.standings.items():
        if standing.acknowledged is not None and not standing.later:
            known[key.persona].append((key.id, standing.acknowledged))
    for persona, mine in sorted(known.items()):
        for memory_id, word in random.sample(sorted(mine), min(SAMPLE, len(mine))):
            asked += 1
            try:
                recalled = patiently(lambda word=word, persona=persona: client.recall(word, persona=persona))  # type: ignore[misc] # bound per round
            except TrinitasError as error:
                missing.append(Violation(LOST, persona, memory_id, f"recall of {word}: {error}", at))
                continue
            if memory_id not in [hit.item.id for hit in recalled]:
                missing.append(Violation(LOST, persona, memory_id, f"recall of {word} does not find it in ten", at))
    return missing, asked


def patiently(call: Callable[[], T]) -> T:
    """The call's result, where passing trouble passes."""
    for _ in range(ATTEMPTS - 1):
        try:
            return call()
        except Transient:
            time.sleep(LOOK_SECONDS)
    return call()
