"""Figures from the journals and the looks of the monitor: how long each fault took to heal, and how long calls took."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from tests.soak.chaos import Struck
from tests.soak.journal import Line
from tests.soak.ledger import Violation
from tests.soak.monitor import Look, healed


@dataclass(frozen=True, slots=True)
class Healing:
    """Of one kind of fault: seconds from its beginning until writes were acknowledged and refused no more, and from its
    end until all was seen to be well; median and worst. Infinite: never within the run."""

    name: str
    count: int
    writes: tuple[float, float]
    healthy: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Latency:
    """Of some calls, in seconds."""

    what: str
    count: int
    p50: float
    p99: float
    worst: float


@dataclass(slots=True)
class Calls:
    """What the clients did and what they saw, by their journals."""

    operations: int = 0
    failed: int = 0
    refused: list[float] = field(default_factory=list)
    """When each write that was not acknowledged began."""
    writes: list[tuple[float, float]] = field(default_factory=list)
    """When each acknowledged write began and how long it took."""
    reads: list[tuple[float, float]] = field(default_factory=list)
    """The same of each read that was answered."""
    slowest: list[float] = field(default_factory=list)
    """How long every call took, answered or not."""
    asked: int = 0
    found: int = 0
    """Recalls of an own acknowledged memory, nothing degraded; and those that found it."""
    violations: list[Violation] = field(default_factory=list)

    def feed(self, line: Line) -> None:
        if line["what"] == "violation":
            seen = (line["kind"], line["persona"], line["id"], line["detail"], line["began"])
            self.violations.append(Violation(*seen))
        if line["what"] not in ("ack", "error", "read"):
            return
        self.operations += 1
        self.slowest.append(line["took"])
        if "error" in line:
            self.failed += 1
            if line["what"] == "error":
                self.refused.append(line["at"] - line["took"])
        else:
            (self.reads if line["what"] == "read" else self.writes).append((line["at"] - line["took"], line["took"]))
        if "found" in line:
            self.asked += 1
            self.found += line["found"]


def healings(struck: Sequence[Struck], calls: Calls, looks: Sequence[Look]) -> list[Healing]:
    """One for each kind of fault."""
    by_name: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for each in struck:
        well = healed(looks, each.ended) or math.inf
        refused = [at for at in calls.refused if each.started <= at <= well]
        since = max(refused, default=each.started)
        again = min((at + took for at, took in calls.writes if at >= since), default=math.inf)
        by_name[each.fault.name].append((again - each.started, well - each.ended))
    return [
        Healing(name, len(seconds), *(_middle_and_worst(column) for column in zip(*seconds, strict=True)))
        for name, seconds in sorted(by_name.items())
    ]


def faulty(struck: Iterable[Struck], looks: Sequence[Look]) -> list[tuple[float, float]]:
    """When faults were on: from the beginning of each until all was well."""
    return [(each.started, healed(looks, each.ended) or math.inf) for each in struck]


def latencies(calls: Calls, windows: Sequence[tuple[float, float]]) -> list[Latency]:
    """Of the acknowledged writes and the answered reads that began while a fault was on, and of all."""
    found = []
    for what, some in (("writes", calls.writes), ("reads", calls.reads)):
        during = [took for at, took in some if any(start <= at <= end for start, end in windows)]
        found += [_latency(f"{what} during faults", during), _latency(f"all {what}", [took for _, took in some])]
    return found


def _latency(what: str, seconds: Sequence[float]) -> Latency:
    if len(seconds) < 2:
        return Latency(what, len(seconds), *(3 * [max(seconds, default=0.0)]))
    percent = quantiles(seconds, n=100, method="inclusive")
    return Latency(what, len(seconds), median(seconds), percent[98], max(seconds))


def _middle_and_worst(seconds: Sequence[float]) -> tuple[float, float]:
    return median(seconds), max(seconds)
