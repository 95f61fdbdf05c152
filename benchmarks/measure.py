"""Timing many calls, two ways in turn: on a noisy machine only a ratio within one run means anything."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of one call's time in milliseconds."""

    p50_ms: float
    p99_ms: float
    calls: int


def latencies(calls: int, *ways: Callable[[int], object], warm_up: int = 20) -> list[Latency]:
    """Each way's latency over the same number of calls, interleaved; each is told the number of its call."""
    taken: list[list[float]] = [[] for _ in ways]
    gc.collect()
    for number in range(calls + warm_up):
        for way, times in zip(ways, taken, strict=True):
            started = time.perf_counter()
            way(number)
            times.append((time.perf_counter() - started) * 1000)
    return [summed(times[warm_up:]) for times in taken]


def summed(times: list[float]) -> Latency:
    """The percentiles of times in milliseconds."""
    ordered = sorted(times)
    return Latency(
        round(ordered[len(ordered) // 2], 3),
        round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 3),
        len(times),
    )


def shown(latency: Latency) -> str:
    """For a table."""
    return f"{latency.p50_ms:.2f} / {latency.p99_ms:.2f} ms"
