"""Which faults strike when: follows from the seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

PROCESSES = ("valkey", "chroma", "search", "ingest", "lifecycle", "beat")


class Kind(StrEnum):
    """What a fault does. A process that is killed or was stopped is started or continued again, nothing else is."""

    KILL = "kill"
    STOP = "stop"
    FILL = "fill"
    DELETE = "delete"
    TEAR = "tear"
    KILL_CLIENT = "kill a"


LASTING = (Kind.STOP, Kind.FILL)

DECK = (
    *((Kind.KILL, each) for each in PROCESSES),
    *((Kind.STOP, each) for each in PROCESSES),
    (Kind.FILL, "disk"),
    (Kind.DELETE, "chroma files"),
    (Kind.TEAR, "chroma index"),
    (Kind.KILL_CLIENT, "client"),
    (Kind.KILL_CLIENT, "client"),
)
"""Every one of these comes once before any comes again."""

FIRST_SECONDS = 5.0
SHORTEST, LONGEST = 2.0, 8.0
LEAST_GAP, MOST_GAP = 0.3, 1.7
"""Of the mean; the next fault often strikes before the last one has healed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to what, ``at`` seconds from the start, undone after ``seconds`` (0: nothing is to be undone).

    ``pick``, 0 to 1, chooses where there is a choice: which client, which file.
    """

    at: float
    kind: Kind
    target: str
    seconds: float
    pick: float

    @property
    def name(self) -> str:
        return f"{self.kind} {self.target}"

    @property
    def takes_redis(self) -> bool:
        """Whether Redis is away meanwhile, or may be."""
        return self.target in ("valkey", "disk")


def plan(seed: int, *, seconds: float, gap_seconds: float) -> list[Fault]:
    """The faults of a run of so many seconds, the mean time between two being ``gap_seconds``."""
    random = Random(f"{seed}/faults")
    faults: list[Fault] = []
    at = FIRST_SECONDS
    for kind, target in _shuffled(random):
        lasts = random.uniform(SHORTEST, LONGEST) if kind in LASTING else 0.0
        if at + lasts > seconds:
            break
        faults.append(Fault(round(at, 2), kind, target, round(lasts, 2), random.random()))
        at += gap_seconds * random.uniform(LEAST_GAP, MOST_GAP)
    return faults


def timeline(plan: list[Fault]) -> list[tuple[float, Fault, bool]]:
    """When each fault begins and, if it lasts, when it is undone (False), in the order of time."""
    moments = [(each.at, each, True) for each in plan]
    moments += [(each.at + each.seconds, each, False) for each in plan if each.seconds]
    return sorted(moments, key=lambda moment: moment[0])


def _shuffled(random: Random) -> Iterator[tuple[Kind, str]]:
    while True:
        yield from random.sample(DECK, len(DECK))
