"""How often reads find their memory in the hot tier: python -m benchmarks.hits [--memories N] [--reads N] [--json].

A read that finds its memory in Redis takes less than a millisecond; one that does not goes to the archive. Here all
that decides it runs as in use, on a simulated clock: a client's reads (`Front`), the hot tier with its budget, what is
loaded ahead with what was missing, and the scheduled tasks `flush_access` (30 s) and `warm_cache` (5 min). The archive
is SQLite, the other tiers are in memory; what a copy takes is counted as in Redis. Side by side, with the same bytes
and the same reads:

    LRU          the least recently used goes, nothing else ends: the best that could be asked of LRU
    LRU, TTL     the same, but what was not read for REDIS_TTL_CACHE ends
    on demand    the hot tier, nothing foreseen
    ahead        with what is missing comes what was read after it before
    warmed       and `warm_cache` runs
    best fixed   the memories that are read most for their size, known beforehand, and nothing else ever

All but the first and the last with REDIS_TTL_CACHE = 300, the default, and with a day: what is read less often than
that is not there, however much room there is, unless `warm_cache` keeps it.

The readings (benchmarks/readings.py), each from one seed:

    Zipf         semantic memories of five personas, reads independent of each other, the chance of each memory
                 1 / rank; the archive has counted ten reads a memory before. Nothing follows from what was read last,
                 so nothing can be foreseen but by counts.
    sessions     five agents work through scripts of 10 to 30 memories in order, a read every 2 s, one in ten elsewhere;
                 5 minutes between two sessions on average; which scripts are popular (Zipf) drifts, and
                 new memories are written, read back, and become part of scripts. The archive knows nothing before.
    scanned      Zipf, and in the middle somebody reads every memory once. Told is the rate in the minute after that
                 and how many minutes it takes until a minute is as good as those before on average, less two points.

The first half of each is not counted. Cache sizes are parts of what copies of all memories take.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.caches import CACHE_SECONDS, Cache, Lru, Static, Tiers, counted, rate_of, size_of, sizes_of
from benchmarks.readings import Readings, independent, sessions

PARTS = (0.2, 0.4)
SECONDS = (300, 86_400)
SLACK = 0.02
"""So much less than before a scan is as good."""
NAMES = ("LRU", "LRU, TTL", "on demand", "ahead", "warmed", "best fixed")
MINUTE = 60.0


class Row(NamedTuple):
    """The hit rates of one cache size, by the names of the caches."""

    readings: str
    seconds: int
    part: float
    cache_mb: float
    rates: dict[str, float]


class Recovery(NamedTuple):
    """What a scan did to one cache: hit rates before and in the minute after, and minutes until it is as before."""

    cache: str
    before: float
    after: float
    minutes: int | None


def built(name: str, readings: Readings, limit: float, seconds: int = CACHE_SECONDS) -> Cache:
    """A cache of so many bytes."""
    match name:
        case "LRU":
            return Lru(sizes_of(readings), limit)
        case "LRU, TTL":
            return Lru(sizes_of(readings), limit, seconds)
        case "best fixed":
            counts = [event for event in readings.events if event.counts and event.at >= readings.counted_from]
            return Static(sizes_of(readings), limit, counts)
        case _:
            return Tiers(readings, limit, ahead=name != "on demand", warmed=name == "warmed", seconds=seconds)


def total_bytes(readings: Readings) -> int:
    """What copies of all that is there at the beginning take."""
    return sum(size_of(item) for item in readings.items)


def rows(readings: Readings) -> Iterator[Row]:
    """Each time to live and cache size, as it is done."""
    for seconds, part in itertools.product(SECONDS, PARTS):
        limit = total_bytes(readings) * part
        rates = {name: rate_of(counted(built(name, readings, limit, seconds), readings)) for name in NAMES}
        shown = {name: round(rates[name], 3) for name in NAMES}
        yield Row(readings.name, seconds, part, round(limit / (1 << 20), 2), shown)


def recoveries(readings: Readings, part: float) -> Iterator[Recovery]:
    """Each cache, as it is done."""
    assert readings.scanned is not None
    begin, end = readings.scanned
    for name in ("LRU", "LRU, TTL", "on demand", "ahead", "warmed"):
        reads = counted(built(name, readings, total_bytes(readings) * part), readings)
        before = rate_of([each for each in reads if each[0] < begin])
        minutes: list[float] = []
        while reads[-1][0] >= (since := end + len(minutes) * MINUTE) + MINUTE:
            minutes.append(rate_of([each for each in reads if since <= each[0] < since + MINUTE]))
        as_before = next((number for number, rate in enumerate(minutes) if rate >= before - SLACK), None)
        yield Recovery(name, round(before, 3), round(minutes[0], 3), as_before)


def main() -> int:
    """Run it and print the rates."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--memories", type=int, default=2_000)
    options.add_argument("--reads", type=int, default=10_000, help="of each Zipf reading (default 10000)")
    options.add_argument("--days", type=float, default=0.25, help="of sessions (default 0.25)")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--json", action="store_true", help="print JSON instead of tables")
    given = options.parse_args()
    began, progress = time.monotonic(), Console(stderr=True)
    found: list[Row] = []
    for readings in (
        independent(given.memories, 20, given.reads, seed=given.seed),
        independent(given.memories, 1, given.reads, seed=given.seed),
        sessions(given.memories, given.days, seed=given.seed),
    ):
        for row in rows(readings):
            progress.print(row, highlight=False)
            found.append(row)
    scanned = independent(given.memories, 20, given.reads, seed=given.seed, scanned=True)
    after = list(recoveries(scanned, 0.2))
    if given.json:
        told = {"rates": [row._asdict() for row in found], "scan": [each._asdict() for each in after]}
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        show(found, after, time.monotonic() - began)
    return 0


def show(found: list[Row], after: list[Recovery], seconds: float) -> None:
    """As tables."""
    table = Table(title=f"hit rates; {seconds:.0f} s")
    for name in ("readings", "TTL", "cache", *NAMES):
        table.add_column(name, justify="left" if name == "readings" else "right")
    for row in found:
        rates = [f"{row.rates[name]:.1%}" for name in NAMES]
        table.add_row(row.readings, f"{row.seconds} s", f"{row.part:.0%} ({row.cache_mb} MB)", *rates)
    scan = Table(title="a scan, cache of 20 %")
    for name in ("cache", "before", "minute after", "minutes until as before"):
        scan.add_column(name, justify="left" if name == "cache" else "right")
    for each in after:
        scan.add_row(each.cache, f"{each.before:.1%}", f"{each.after:.1%}", str(each.minutes))
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    console.print(scan)


if __name__ == "__main__":
    sys.exit(main())
