"""Timelines and updates among many memories: python -m benchmarks.timelines [--memories N] [--calls N]
[--archive] [--json].

One persona has N memories in the archive of a real stack, one in ten of them cold; another shares 1,000 with it. Pages
of 50 are read by the client from the file, as clients on the stack's machine do, and by the workers, as others do;
beside them the same rows by a plain SELECT. With --archive nothing is started, and only looks at the file are timed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.measure import latencies, shown
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.model import Key, MemoryItem, MemoryType, Record
from trinitas_tasks.policy.chronology import Span
from trinitas_tasks.policy.micros import to_micros
from trinitas_tasks.query import Filters
from trinitas_tasks.settings import Settings, load_settings
from trinitas_tasks.tiers.archive.driver import sqlite_driver
from trinitas_tasks.tiers.archive.interface import Row
from trinitas_tasks.tiers.archive.lives import Turn
from trinitas_tasks.tiers.archive.local import LocalArchive
from trinitas_tasks.tiers.archive.sql import SqlArchive

PERSONA, LENDER = "bench", "lender"
BATCH = 5000
SHARED = 1000
PAGE = 50
MODEL = "none"
PATIENT: dict[str, Any] = {"redis_timeout_ms": 5000, "deadline_ms": 20_000}
"""What comes late on a busy machine is measured, not given up."""
T0 = datetime(2016, 1, 1, tzinfo=UTC)
KINDS = (*[MemoryType.EPISODIC] * 80, *[MemoryType.SEMANTIC] * 15, *[MemoryType.PROCEDURAL] * 5)
PLAIN = (
    "SELECT * FROM memories WHERE persona = ? AND type = 'episodic' AND cold = 0 AND timestamp < ? "
    "ORDER BY timestamp DESC, tie DESC LIMIT ?"
)
Line = tuple[str, str, str]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--memories", type=int, default=100_000)
    options.add_argument("--calls", type=int, default=300)
    options.add_argument("--archive", action="store_true")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="trinitas-timelines-") as folder:
        settings = load_settings(folder=Path(folder), overrides={"home": Path(folder)})
        fill(settings, given.memories)
        lines = read(settings, given.calls) if given.archive else on_a_stack(Path(folder), given.memories, given.calls)
    show(lines, given.memories, as_json=given.json)
    return 0


def on_a_stack(home: Path, memories: int, calls: int) -> list[Line]:
    stack = Stack(load_settings(folder=home, overrides={"home": home}))
    stack.up()
    try:
        quiet(home)
        return measured(load_settings(folder=home, overrides={"home": home, **PATIENT}), memories, calls)
    finally:
        stack.down()


def memory(number: int, persona: str, chance: random.Random, among: int) -> MemoryItem:
    """One of so many, all in the same ten years."""
    return MemoryItem.build(
        id=f"m{number}",
        persona=persona,
        type=chance.choice(KINDS),
        timestamp=T0 + timedelta(seconds=number * 315_360_000 / among),
        content=" ".join(chance.choices(("heron", "lighthouse", "harbour", "ferry", "tide", "pier"), k=20)),
        importance=round(chance.random(), 2),
        tags=("rare",) if chance.random() < 0.001 else ("common",),
        metadata={"session": f"s{number // 50}"},
    )


def fill(settings: Settings, memories: int) -> None:
    file = settings.archive_file()
    assert file is not None
    archive = SqlArchive(f"sqlite:///{file}")
    archive.migrate()
    chance, vector = random.Random(7), np.zeros((1, 8), np.float32)
    for persona, number in ((PERSONA, memories), (LENDER, SHARED)):
        for start in range(0, number, BATCH):
            items = [memory(n, persona, chance, number) for n in range(start, min(start + BATCH, number))]
            archive.store([Row(Record(item, 1), vector, MODEL, ()) for item in items])
            keys = [Key(persona, item.id) for item in items]
            archive.mark_indexed([(key, 1) for key in keys], MODEL)
            archive.turn([Turn(key, 1, cold=True) for key in keys if chance.random() < 0.1])
    archive.close()


def quiet(home: Path, seconds: float = 900) -> None:
    """Wait until the workers have read what there is."""
    named = [each for each in psutil.process_iter(["cmdline"]) if str(home) in " ".join(each.info["cmdline"] or ())]
    mine = {child for each in named for child in (each, *each.children(recursive=True))}
    until, calm = time.monotonic() + seconds, 0
    for each in mine:
        each.cpu_percent()
    while calm < 3 and time.monotonic() < until:
        time.sleep(2)
        calm = calm + 1 if sum(each.cpu_percent() for each in mine) < 20 else 0


def measured(settings: Settings, memories: int, calls: int) -> list[Line]:
    with MemoryClient.connect(settings, persona=PERSONA) as near, MemoryClient.connect(settings) as far:
        far._archive = None  # as on another machine
        asked = questions(calls)
        lines = [compared(what, fields, near, far, settings, calls) for what, fields in asked]
        for number in range(SHARED):
            near.share(f"m{number}", to=PERSONA, persona=LENDER)
        what, fields = asked[1]
        lines.append(compared(f"{what}, with {SHARED:,} that are shared", fields, near, far, settings, calls))
        return [*lines, *updates(near, memories, calls)]


def questions(calls: int) -> list[tuple[str, Callable[[int], dict[str, Any]]]]:
    """What is asked, and how, by the number of the call."""
    chance = random.Random(11)
    middle = [T0 + timedelta(days=chance.uniform(500, 3000)) for _ in range(calls + 50)]
    return [
        ("the newest", lambda _: {}),
        ("anywhere, by a time", lambda n: {"before": middle[n]}),
        ("anywhere, the oldest first", lambda n: {"since": middle[n], "newest_first": False}),
        ("of one type in twenty", lambda n: {"before": middle[n], "types": ["procedural"]}),
        ("without the cold ones", lambda n: {"before": middle[n], "include_archived": False}),
        ("with a tag of one in a thousand", lambda n: {"before": middle[n], "filters": {"any_tags": ["rare"]}}),
    ]


def read(settings: Settings, calls: int) -> list[Line]:
    """What the archive's file costs, for one look at it."""
    file = settings.archive_file()
    assert file is not None
    archive = LocalArchive(file, deadline_ms=60_000)

    def looked(fields: dict[str, Any]) -> None:
        given = {"include_archived": True, **fields.pop("filters", {})}
        newest_first = fields.pop("newest_first", True)
        filters = Filters(**{**given, **fields})
        archive.timeline(PERSONA, Span.of(filters, newest_first=newest_first), PAGE + 1, filters=filters)

    lines = []
    for what, fields in questions(calls):
        [taken] = latencies(calls, lambda n, fields=fields: looked(dict(fields(n))))  # type: ignore[misc] # bound now
        lines.append((f"a page of {PAGE}: {what}", shown(taken), ""))
    return lines


def compared(
    what: str,
    fields: Callable[[int], dict[str, Any]],
    near: MemoryClient,
    far: MemoryClient,
    settings: Settings,
    calls: int,
) -> Line:
    file = settings.archive_file()

    def plain(n: int) -> None:
        connection = sqlite_driver().connect(f"file:{file}?mode=ro", uri=True)
        before = to_micros(fields(n).get("before", datetime.now(UTC)))
        connection.execute(PLAIN, (PERSONA, before, PAGE)).fetchall()
        connection.close()

    ours, workers, raw = latencies(
        calls,
        lambda n: near.timeline(limit=PAGE, **fields(n)),
        lambda n: far.timeline(persona=PERSONA, limit=PAGE, **fields(n)),
        plain,
    )
    return f"a page of {PAGE}: {what}", shown(ours), f"by the workers {shown(workers)}; {PAGE} rows alone {shown(raw)}"


def updates(client: MemoryClient, memories: int, calls: int) -> list[Line]:
    chance = random.Random(13)
    archived = chance.sample(range(memories), calls + 50)
    fresh = [client.remember(f"A fresh one {n}.") for n in range(calls + 50)]
    hot, cold, write = latencies(
        calls,
        lambda n: client.update(fresh[n], content=f"Another one {n}."),
        lambda n: client.update(f"m{archived[n]}", content=f"Another one {n}."),
        lambda n: client.remember(f"Something new {n}."),
    )
    beside = f"remember() {shown(write)}"
    return [("update() in Redis", shown(hot), beside), ("update() of what only the archive has", shown(cold), beside)]


def show(lines: list[Line], memories: int, *, as_json: bool) -> None:
    day = datetime.now(UTC).date().isoformat()
    if as_json:
        fields = ("what", "figure", "beside")
        rows = [dict(zip(fields, line, strict=True)) for line in lines]
        json.dump({"date": day, "memories": memories, "rows": rows}, sys.stdout, indent=2)
        return
    table = Table("what", "p50 / p99", "beside", title=f"{memories:,} memories, {day}")
    for line in lines:
        table.add_row(*line)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


if __name__ == "__main__":
    sys.exit(main())
