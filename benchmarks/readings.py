"""Who reads what when: made-up readings of memories, to compare caches by. Each is told by its seed alone."""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from trinitas_tasks.model import Key, MemoryItem, MemoryType

PERSONAS: Final = ("athena", "artemis", "hestia", "bellona", "seshat")
BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
WORDS: Final = ("harbour", "lamp", "river", "paper", "moon", "knot", "garden", "letter", "copper", "winter", "bridge")
MEDIAN_BYTES: Final = 300
SPREAD: Final = 0.7
"""Of the logarithm of a content's bytes: two thirds of them have 150 to 600 bytes."""
FIDELITY: Final = 0.9
"""So much of a session follows its script."""
STEP_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 300.0
"""Between two sessions of one agent, on average."""
DRIFT: Final = 0.1
"""So much of the scripts changes its rank each time."""
DRIFT_SECONDS: Final = 21_600.0
NEW: Final = 0.5
"""In so many sessions something new is remembered."""


HISTORY: Final = 10
"""So often each memory was read before, on average."""


class Event(NamedTuple):
    """A memory is read, or (``new``) written, so many seconds after the beginning."""

    at: float
    key: Key
    new: MemoryItem | None = None
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Readings:
    """What is there at the beginning, what happens, and from when on it counts."""

    name: str
    items: Sequence[MemoryItem]
    events: Sequence[Event]
    counted_from: float
    history: Mapping[Key, int] = field(default_factory=dict)
    """How often what is there was read before."""
    scanned: tuple[float, float] | None = None
    """From when to when somebody reads every memory once; that does not count."""


def memories(count: int, chance: random.Random) -> list[MemoryItem]:
    """Semantic ones, dealt to the personas."""
    return [memory(PERSONAS[number % len(PERSONAS)], f"m{number:05}", BEGIN, chance) for number in range(count)]


def memory(persona: str, name: str, at: datetime, chance: random.Random) -> MemoryItem:
    """A semantic memory of realistic size."""
    size = int(chance.lognormvariate(math.log(MEDIAN_BYTES), SPREAD))
    text = " ".join(chance.choices(WORDS, k=size // 6 + 1))
    return MemoryItem(
        id=name, content=text[:size] or name, type=MemoryType.SEMANTIC, persona=persona, timestamp=at, last_access=at
    )


class Zipf:
    """Ranks 0 to n - 1, the chance of each proportional to 1 / (rank + 1)."""

    def __init__(self, n: int) -> None:
        self._sums = list(itertools.accumulate(1 / (rank + 1) for rank in range(n)))

    def pick(self, chance: random.Random) -> int:
        """One of them."""
        return bisect.bisect_left(self._sums, chance.random() * self._sums[-1])


def independent(count: int, rate: float, reads: int, *, seed: int, scanned: bool = False) -> Readings:
    """Reads by Zipf's law (s = 1) that know nothing of each other, ``rate`` a second; the first half of them does not
    count. Before, each memory was read ten times on average, which the archive has counted. ``scanned``: in the middle
    somebody reads every memory once beside, 100 a second."""
    chance = random.Random(seed)
    items = memories(count, chance)
    ranked = chance.sample(items, count)
    law = Zipf(count)
    history = Counter(key_of(ranked[law.pick(chance)]) for _ in range(HISTORY * count))
    times = itertools.accumulate(chance.expovariate(rate) for _ in range(reads))
    events = [Event(at, key_of(ranked[law.pick(chance)])) for at in times]
    half = events[reads // 2].at
    if not scanned:
        return Readings(f"Zipf, {rate:g}/s", items, events, half, history)
    whole = [Event(half + number / 100, key_of(item), counts=False) for number, item in enumerate(items)]
    both = sorted([*events, *whole], key=lambda event: event.at)
    return Readings(
        f"Zipf, {rate:g}/s, scanned", items, both, events[reads // 4].at, history, (half, half + count / 100)
    )


def sessions(count: int, days: float, *, seed: int, scripts: int = 60) -> Readings:
    """Each persona's agent works through scripts of 10 to 30 of its memories, chosen by Zipf's law; the last half of
    the days counts.

    One read in ten goes elsewhere, by Zipf's law over all of its memories. The scripts drift: each six hours a tenth
    of them gets another rank. In half of the sessions something new is remembered and read back a few steps later; it
    then takes a place in the script.
    """
    chance = random.Random(seed)
    items = memories(count, chance)
    events: list[Event] = []
    for persona in PERSONAS:
        mine = [key_of(item) for item in items if item.persona == persona]
        events += _agent(persona, chance.sample(mine, len(mine)), days * 86_400, scripts, chance)
    return Readings("sessions", items, sorted(events, key=lambda event: event.at), days * 86_400 / 2)


def _agent(persona: str, ranked: Sequence[Key], until: float, count: int, chance: random.Random) -> Iterator[Event]:
    scripts = [chance.sample(ranked, min(chance.randint(10, 30), len(ranked))) for _ in range(count)]
    law, elsewhere = Zipf(count), Zipf(len(ranked))
    at, drifted, written = chance.expovariate(1 / PAUSE_SECONDS), 0, 0
    while at < until:
        if at // DRIFT_SECONDS > drifted:
            drifted += 1
            _drift(scripts, chance)
        script = scripts[law.pick(chance)]
        for place in range(len(script)):
            follows = chance.random() < FIDELITY
            yield Event(at, script[place] if follows else ranked[elsewhere.pick(chance)])
            at += STEP_SECONDS
        if chance.random() < NEW:
            item = memory(persona, f"new{written}", BEGIN + timedelta(seconds=at), chance)
            yield Event(at, key_of(item), item)
            yield Event(at + 3 * STEP_SECONDS, key_of(item))
            script[chance.randrange(len(script))] = key_of(item)
            written += 1
        at += 4 * STEP_SECONDS + chance.expovariate(1 / PAUSE_SECONDS)


def _drift(scripts: list[list[Key]], chance: random.Random) -> None:
    """Some of them change places."""
    places = chance.sample(range(len(scripts)), max(2, int(len(scripts) * DRIFT)))
    moved = [scripts[place] for place in chance.sample(places, len(places))]
    for place, script in zip(places, moved, strict=True):
        scripts[place] = script


def key_of(item: MemoryItem) -> Key:
    """Its name."""
    return Key(item.persona, item.id)
