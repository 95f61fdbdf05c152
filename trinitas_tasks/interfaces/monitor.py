"""Looking again and again: what goes on, and how fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from trinitas_tasks.tasks.pulse import Pulse
from trinitas_tasks.tiers.hot.interface import Counts


@dataclass(frozen=True, slots=True)
class Rates:
    """A second, since the look before."""

    written: float
    read: float
    searched: float


@dataclass(frozen=True, slots=True)
class Look:
    """A pulse, and what only two of them tell together. ``hit_rate`` is the share of all reads since the server began
    that Redis answered; None before the first."""

    pulse: Pulse
    rates: Rates | None
    hit_rate: float | None

    @property
    def counts(self) -> Counts | None:
        """The newest."""
        return None if self.pulse.counted is None else self.pulse.counted[1]

    def as_json(self) -> dict[str, Any]:
        """One document, of plain values."""
        pulse, counts = self.pulse, self.counts
        activity = pulse.activity
        return {
            "at": pulse.at.isoformat(),
            "per_second": None if self.rates is None else asdict(self.rates),
            "hit_rate": self.hit_rate,
            "counts": None if counts is None else asdict(counts),
            "spooled": pulse.spooled,
            "redis": {"memory_bytes": pulse.memory_bytes, "memory_limit": pulse.memory_limit},
            "queues": None if activity is None else dict(activity.waiting),
            "workers": None if activity is None else [asdict(each) for each in activity.workers],
            "runs": pulse.runs,
            "problems": dict(pulse.problems),
        }


class Monitor:
    """Takes one pulse after the other."""

    def __init__(self, take: Callable[[], Pulse]) -> None:
        self._take = take
        self._before: Pulse | None = None

    def look(self) -> Look:
        """What goes on now."""
        before, pulse = self._before, self._take()
        self._before = pulse
        if pulse.counted is None:
            return Look(pulse, None, None)
        first, last = pulse.counted
        seconds = pulse.seconds
        if before is not None and before.counted is not None:  # since then, else since the look began
            first, seconds = before.counted[1], (pulse.at - before.at).total_seconds()
        rates = None if seconds <= 0 else Rates(*(_rate(first, last, name, seconds) for name in Rates.__slots__))
        rate = None if not last.read else max(0.0, 1 - last.fetched / last.read)
        return Look(pulse, rates, None if rate is None else round(rate, 4))


def _rate(first: Counts, last: Counts, name: str, seconds: float) -> float:
    """A second; not below 0 where the server was emptied."""
    grown: int = getattr(last, name) - getattr(first, name)
    return round(max(0, grown) / seconds, 2)
