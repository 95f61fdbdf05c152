"""A simulated year of memories: python -m benchmarks.year [--memories N] [--days N] [--cache-mb N] [--json].

Five personas write memories of all types and read them: new ones soon, old ones by Zipf's law. Every twelve hours of a
simulated clock the scheduled tasks run until nothing is due, as workers run them, over the SQL archive on disk; the
hot tier, the vectors and the embedder are the in-memory ones. At the end every memory is looked for. Told are the times
of one batch of each task while the archive grows, and what the copies in the hot tier took at most.
"""

from __future__ import annotations

import argparse
import bisect
import hashlib
import itertools
import json
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from trinitas_tasks.embedding.stub import HashEmbedder
from trinitas_tasks.model import Key, MemoryItem, MemoryType
from trinitas_tasks.policy.life import LifeTask
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.settings import load_settings
from trinitas_tasks.tasks.jobs import Jobs
from trinitas_tasks.tiers.archive.sql import SqlArchive
from trinitas_tasks.tiers.hot.interface import Write
from trinitas_tasks.tiers.hot.memory import MemoryHotTier
from trinitas_tasks.tiers.lexical.memory import MemoryLexical
from trinitas_tasks.tiers.spool.memory import MemorySpool
from trinitas_tasks.tiers.vectors.memory import MemoryVectors

PERSONAS = ("athena", "artemis", "hestia", "bellona", "seshat")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(hours=12)
TASKS = (
    LifeTask.FLUSH_ACCESS, LifeTask.ARCHIVE_EXPIRING, LifeTask.SCORE_IMPORTANCE, LifeTask.CONSOLIDATE,
    LifeTask.ARCHIVE_OLD, LifeTask.PRUNE, LifeTask.WARM_CACHE, LifeTask.DETECT_ANOMALIES,
)  # fmt: skip
KINDS = (*[MemoryType.WORKING] * 8, *[MemoryType.EPISODIC] * 8, *[MemoryType.SEMANTIC] * 3, MemoryType.PROCEDURAL)
FIRST = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te", "vo", "xi", "ya")
SECOND = ("bel", "dor", "fin", "gar", "hul", "jan", "kor", "lim", "mar", "nos")
WORDS = [f"{first}{second}" for first in FIRST for second in SECOND]
AT = (10_000, 50_000, 200_000)
"""At so many archived memories the times are told, as far as it gets."""


@dataclass
class Year:
    """The world of one simulation."""

    folder: Path
    memories: int
    days: int = 365
    cache_mb: int = 8
    reads_per_write: float = 1.0
    seed: int = 7
    now: datetime = BEGIN
    kept: dict[Key, str] = field(default_factory=dict)
    """What was remembered: by key the digest of its content."""
    seconds: dict[str, list[tuple[int, float, int]]] = field(default_factory=lambda: defaultdict(list))
    """Of each run of a task how many were archived by then, how long it took, and how many it examined."""
    most_bytes: int = 0
    forgotten: set[Key] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.hot = MemoryHotTier(clock=lambda: self.now, cache_mb=self.cache_mb)
        self.archive = SqlArchive(f"sqlite:///{self.folder / 'archive.db'}")
        self.archive.migrate()
        # a week between two scores of one memory: beside 200,000 memories a year has 300,000,000 days of life
        rules = {"*": {"score_hours": 168}}
        settings = load_settings(overrides={"cache_size_mb": self.cache_mb, "life": rules}, stack=False)
        self.runtime = Runtime(
            settings,
            hot=self.hot,
            archive=self.archive,
            vectors=MemoryVectors(),
            embedder=HashEmbedder(),
            lexical=MemoryLexical(),
            spool=MemorySpool(clock=lambda: self.now),
            clock=lambda: self.now,
        )
        self.jobs = Jobs(self.runtime, nudge=lambda _: None)
        self.order: dict[str, list[Key]] = {persona: [] for persona in PERSONAS}

    def live(self) -> Iterator[int]:
        """Step by step; how many memories there are by then."""
        steps = int(timedelta(days=self.days) / STEP)
        for step in range(steps):
            due = self.memories * (step + 1) // steps - len(self.kept)
            self._write(due)
            self._read(int(due * self.reads_per_write))
            self.now += STEP
            self._work()
            yield len(self.kept)

    def _write(self, count: int) -> None:
        for start in range(0, count, 100):
            items = [self._memory() for _ in range(min(100, count - start))]
            self.hot.write([Write(item) for item in items])
            for item in items:
                key = Key(item.persona, item.id)
                self.kept[key] = digest(item)
                self.order[item.persona].append(key)
            self.jobs.ingest()
            self._watch()

    def _memory(self) -> MemoryItem:
        pick = self.random
        persona, kind = pick.choice(PERSONAS), pick.choice(KINDS)
        at = self.now + STEP * pick.random()
        text = " ".join(pick.choices(WORDS, k=pick.randint(5, 25)))
        if pick.random() < 0.02 and self.order[persona]:
            text = f"again: {text}" if pick.random() < 0.5 else "thanks"
        return MemoryItem(
            id=f"m{len(self.kept) + pick.randrange(1 << 40):013x}",
            content=text,
            type=kind,
            persona=persona,
            timestamp=at,
            last_access=at,
            importance=round(pick.betavariate(2, 2), 3),
        )

    def _read(self, count: int) -> None:
        """Half of them among the newest, half by Zipf's law over all that there are, the oldest most."""
        for _ in range(count):
            mine = self.order[self.random.choice(PERSONAS)]
            if not mine:
                continue
            rank = min(int(zipf(len(mine)).pick(self.random)), len(mine) - 1)
            key = mine[rank] if self.random.random() < 0.5 else mine[-1 - rank]
            if self.hot.read(key.persona, [key.id], touch=True)[0] is None:
                self.jobs.fetch(key.persona, [key.id])
                self.hot.read(key.persona, [key.id], touch=True)
            self._watch()

    def _work(self) -> None:
        for task in TASKS:
            if task is LifeTask.PRUNE and self.now.hour:
                continue
            while True:
                began = time.perf_counter()
                done = getattr(self.jobs, task)()
                took = time.perf_counter() - began
                self.seconds[task].append((len(self.kept), took, done["examined"]))
                self._watch()
                if not done["more"]:
                    break
        self.jobs.ingest()  # what was consolidated

    def _watch(self) -> None:
        self.most_bytes = max(self.most_bytes, self.hot.copies().bytes)

    def lost(self) -> list[Key]:
        """Memories that are not in the archive, or not as they were."""
        gone = []
        for persona in PERSONAS:
            keys = self.order[persona]
            for start in range(0, len(keys), 1000):
                some = keys[start : start + 1000]
                found = self.archive.load(persona, [key.id for key in some])
                gone += [
                    key
                    for key, record in zip(some, found, strict=True)
                    if record is None or digest(record.item) != self.kept[key]
                ]
        return gone

    def close(self) -> None:
        """Give the files back."""
        self.runtime.close()

    def told(self) -> dict[str, Any]:
        """The figures."""
        return {
            "memories": len(self.kept),
            "lost": len(self.lost()),
            "budget_mb": self.cache_mb,
            "most_mb": round(self.most_bytes / (1 << 20), 3),
            "active": {persona: self.archive.active(persona) for persona in PERSONAS},
            "tasks": {task: self._times(task) for task in TASKS},
        }

    def _times(self, task: str) -> dict[str, Any]:
        """Milliseconds of a run, and per 1,000 memories examined, of the runs around each size."""
        found = {}
        for size in AT:
            if size > self.memories * 1.01:
                continue
            around = [each for each in self.seconds[task] if abs(each[0] - size) <= size * 0.1 and each[2]]
            examined = sum(each[2] for each in around)
            if examined:
                seconds = sum(each[1] for each in around)
                found[str(size)] = {
                    "runs": len(around),
                    "ms_a_run": round(1000 * seconds / len(around), 2),
                    "ms_a_thousand": round(1e6 * seconds / examined, 1),
                }
        return found


def digest(item: MemoryItem) -> str:
    """Of what must not change in a memory's life."""
    return hashlib.sha256(json.dumps([item.content, item.importance, item.metadata]).encode()).hexdigest()


class Zipf:
    """Ranks 0 to n - 1, the chance of each proportional to 1 / (rank + 1)."""

    def __init__(self, n: int) -> None:
        self._sums = list(itertools.accumulate(1 / (rank + 1) for rank in range(n)))

    def pick(self, pick: random.Random) -> int:
        """One of them."""
        return bisect.bisect_left(self._sums, pick.random() * self._sums[-1])


_ZIPFS: dict[int, Zipf] = {}


def zipf(n: int) -> Zipf:
    """Over n ranks, or the power of two below."""
    size = 1 << max(n.bit_length() - 1, 0)
    return _ZIPFS.setdefault(size, Zipf(size))


def main() -> int:
    """Run it and print the figures; exit code 1 if anything was lost, or the budget was not kept."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--memories", type=int, default=200_000)
    options.add_argument("--days", type=int, default=365)
    options.add_argument("--cache-mb", type=int, default=8)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    errors = Console(stderr=True)
    with tempfile.TemporaryDirectory() as folder:
        year = Year(Path(folder), given.memories, given.days, given.cache_mb)
        began = time.monotonic()
        with Progress(console=errors, disable=not errors.is_terminal) as bar:
            task = bar.add_task("living", total=given.memories)
            for count in year.live():
                bar.update(task, completed=count)
        told = {**year.told(), "seconds": round(time.monotonic() - began, 1)}
        year.close()
    if given.json:
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        show(told)
    return int(told["lost"] > 0 or told["most_mb"] > told["budget_mb"])


def show(told: dict[str, Any]) -> None:
    """As a table."""
    sizes = list(dict.fromkeys(size for its in told["tasks"].values() for size in its))
    table = Table(title=f"{told['memories']:,} memories, {told['seconds']} s; ms a run (ms per 1,000 examined)")
    table.add_column("task")
    for size in sizes:
        table.add_column(f"{int(size):,}", justify="right")
    for name, its in told["tasks"].items():
        cells = [f"{its[size]['ms_a_run']} ({its[size]['ms_a_thousand']})" if size in its else "" for size in sizes]
        table.add_row(str(name), *cells)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    console.print(f"lost: {told['lost']}; copies took {told['most_mb']} of {told['budget_mb']} MB at most")
    console.print(f"active: {told['active']}")


if __name__ == "__main__":
    sys.exit(main())
