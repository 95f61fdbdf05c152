"""Migrating a store of version 3.5 on the real stack: python -m benchmarks.migration [--records N] [--kills N].

The rate from the first step to the last against that of the model alone over the same texts in the same run (before
and after: machines change their speed within minutes), and the memory of the ingest worker and of the command at each
tenth of the records.

With --kills a smaller store in all layouts, with all that may be wrong with one, is migrated twice: undisturbed, and
with so many SIGKILLs of the command, the ingest worker, both, Valkey and Chroma, at random moments (--seed).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from tests.executioner import DECK, TRINITAS, Executioner, Kill
from tests.legacy import Store, made, timeless
from tests.legacy_more import with_everything
from trinitas_tasks import load_settings
from trinitas_tasks.embedding.sentence_transformer import SentenceTransformerEmbedder
from trinitas_tasks.interfaces.migrating import named
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.policy.text import embedding_text
from trinitas_tasks.tiers.legacy.folder import LegacyFolder
from trinitas_tasks.tiers.legacy.interface import Place

RECORDS = 100_000
KILLED = 6000
SAMPLE = 1000
LOOK_SECONDS = 1.0
MB = 1 << 20
Rows = list[tuple[str, str, str]]


class Watch(threading.Thread):
    """Looks at the resident memory of processes, and at how far the migration came."""

    def __init__(self, state: Path, processes: dict[str, psutil.Process]) -> None:
        super().__init__(daemon=True)
        self.seen: list[tuple[int, dict[str, int]]] = []
        self._state, self._processes, self._ended = state, processes, threading.Event()

    def run(self) -> None:
        """Until `end`."""
        while not self._ended.wait(LOOK_SECONDS):
            try:
                read = read_so_far(self._state)
                sizes = {name: each.memory_info().rss for name, each in self._processes.items()}
            except psutil.Error:
                continue
            self.seen.append((read, sizes))

    def end(self) -> None:
        """Stop looking."""
        self._ended.set()
        self.join()

    def grown(self, name: str, records: int) -> list[int]:
        """The most that a process had, in bytes, at each tenth of the records; 0 where nobody looked."""
        tenths = [0] * 10
        for read, sizes in self.seen:
            if read:
                place = min(10 * read // records, 9)
                tenths[place] = max(tenths[place], sizes[name])
        return tenths


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--records", type=int, help=f"of the store (default {RECORDS:,}; with --kills {KILLED:,})")
    options.add_argument("--kills", type=int, default=0)
    options.add_argument("--seed", type=int, default=6)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="trinitas-migration-") as folder:
        if given.kills:
            rows = killed(Path(folder), given.records or KILLED, given.kills, given.seed)
        else:
            rows = measured(Path(folder), given.records or RECORDS)
        show(rows, as_json=given.json)
    return 0


def measured(folder: Path, records: int) -> Rows:
    """The rows of the report."""
    store = made(folder / "store", records, defects=False)
    texts = sample(folder / "store", folder / "work")
    model = SentenceTransformerEmbedder("all-MiniLM-L6-v2", threads=os.cpu_count() or 1)
    home = folder / "home"
    stack = Stack(load_settings(overrides={"home": home}))
    stack.up()
    try:
        before = encode_rate(model, texts)
        report, watch = migrate(stack, store.base, home)
        after = encode_rate(model, texts)
    finally:
        stack.down()
    alone = 2 / (1 / before + 1 / after)
    rate = report["copied"]["copied"] / report["copied"]["seconds"]
    verified = report["verified"]
    rows = [
        (f"{store.good:,} records copied", f"{rate:,.0f}/s", f"encode {alone:,.0f}/s: {rate / alone:.0%} (≥ 80 %)"),
        ("surveyed, backed up, copied and verified", f"{report['seconds']:,.0f} s", ""),
        ("the same in the archive", f"{verified['same']:,}", f"{verified['differing']} differ"),
    ]
    for name in ("ingest", "command"):
        tenths = [size // MB for size in watch.grown(name, store.good)]
        rows.append((f"{name}: memory at each tenth, MB", " ".join(map(str, tenths)), "flat"))
    return rows


def killed(folder: Path, records: int, kills: int, seed: int) -> Rows:
    """The rows of the report with kills."""
    store, chance = with_everything(folder / "store", records), random.Random(seed)
    deck = [DECK[number % len(DECK)] for number in range(kills)]
    chance.shuffle(deck)
    reports, seconds, ended = [], [], list[Kill]()
    for dealt in ([], deck):
        home = folder / ("killed" if dealt else "undisturbed")
        stack = Stack(load_settings(overrides={"home": home, "lease_seconds": 10}))
        stack.up()
        try:
            command = ("migrate", "legacy", store.base, "--zone", "Asia/Tokyo", "--yes", "--json", "--home", home)
            state = home / "migrations" / named(store.base) / "state.json"
            everybody = Executioner(stack, command, partial(read_so_far, state), chance)
            began = time.perf_counter()
            _, said = everybody.run(dealt)
            seconds.append(time.perf_counter() - began)
            reports.append(json.loads(said.replace(str(home), "HOME")))
            ended += everybody.kills
            agreed = subprocess.run([TRINITAS, "verify", "--home", home], capture_output=True, check=False).returncode
        finally:
            stack.down()
    return told(store, reports, seconds, ended, agreed=agreed == 0)


def told(store: Store, reports: list[dict[str, Any]], seconds: list[float], kills: list[Kill], *, agreed: bool) -> Rows:
    """What two migrations of one store came to, the second one with these kills."""
    undisturbed, disturbed = map(timeless, reports)
    counts = Counter(" and ".join(each.victims) for each in kills)
    verified = disturbed["verified"]
    unread = disturbed["survey"]["unreadable"]
    return [
        (f"{len(kills)} kills", ", ".join(f"{who} {count}" for who, count in counts.items()), ""),
        (f"{store.good:,} memories", f"{verified['differing']} unexplained differences", "0"),
        (f"{store.bad:,} that cannot be read", f"{unread:,} listed", f"{store.bad:,}"),
        ("the report but for its times", "the same" if disturbed == undisturbed else "another", "the same"),
        ("the tiers afterwards", "agree" if agreed else "differ", "agree"),
        ("surveyed, backed up, copied and verified", f"{seconds[1]:,.0f} s", f"undisturbed {seconds[0]:,.0f} s"),
    ]


def read_so_far(state: Path) -> int:
    """How many memories were copied by now."""
    try:
        counts = json.loads(state.read_text())["counts"]
    except (OSError, ValueError, KeyError):
        return 0
    return int(counts["read"]) if counts else 0


def sample(base: Path, work: Path) -> list[str]:
    """The texts of memories of every part of the store, as they are embedded."""
    store = LegacyFolder(base, zone=None, work=work)
    each_part = SAMPLE // len(store.parts()) + 1
    found = [item for part in store.parts() for item in store.read(Place(part), each_part).found]
    return [" ".join(embedding_text(each.item)) for each in found]


def encode_rate(model: SentenceTransformerEmbedder, texts: list[str]) -> float:
    """Texts a second of the model alone, as many at a time as in a step."""
    model.encode(texts[:50])
    started = time.perf_counter()
    for start in range(0, len(texts), 400):
        model.encode(texts[start : start + 400])
    return len(texts) / (time.perf_counter() - started)


def migrate(stack: Stack, base: Path, home: Path) -> tuple[dict[str, Any], Watch]:
    """The command's report, and what was seen meanwhile."""
    worker = next(each.pid for each in stack.status().processes if each.name == "ingest" and each.pid)
    command: list[str | Path] = [
        TRINITAS,
        "migrate",
        "legacy",
        base,
        "--yes",
        "--json",
        "--home",
        home,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        processes = {"ingest": psutil.Process(worker), "command": psutil.Process(process.pid)}
        watch = Watch(home / "migrations" / named(base) / "state.json", processes)
        watch.start()
        said, _ = process.communicate()
        watch.end()
    report: dict[str, Any] = json.loads(said)
    return report, watch


def show(rows: Rows, *, as_json: bool) -> None:
    """As a table or as JSON."""
    day = datetime.now(UTC).date().isoformat()
    if as_json:
        fields = ("what", "figure", "beside")
        json.dump({"date": day, "rows": [dict(zip(fields, row, strict=True)) for row in rows]}, sys.stdout, indent=2)
        return
    table = Table("what", "figure", "beside", title=day)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == "__main__":
    sys.exit(main())
