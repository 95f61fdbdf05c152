"""Migrating a store of version 3.5 on the real stack: python -m benchmarks.migration [--records N] [--json].

The rate from the first step to the last against that of the model alone over the same texts in the same run (before
and after: machines change their speed within minutes), and how much the ingest worker and the command have grown
between a tenth of the records and all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from tests.legacy import made
from trinitas_tasks import load_settings
from trinitas_tasks.embedding.sentence_transformer import SentenceTransformerEmbedder
from trinitas_tasks.interfaces.migrating import named
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.policy.text import embedding_text
from trinitas_tasks.tiers.legacy.folder import LegacyFolder
from trinitas_tasks.tiers.legacy.interface import Place

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
                read = int(json.loads(self._state.read_text())["counts"]["read"])
                sizes = {name: each.memory_info().rss for name, each in self._processes.items()}
            except (OSError, ValueError, KeyError, psutil.Error):
                continue
            self.seen.append((read, sizes))

    def end(self) -> None:
        """Stop looking."""
        self._ended.set()
        self.join()

    def grown(self, name: str, records: int) -> tuple[int, int]:
        """The most that a process had, in bytes, until a tenth of the records were read, and after that."""
        early = [sizes[name] for read, sizes in self.seen if 0 < read <= records // 10]
        late = [sizes[name] for read, sizes in self.seen if read > records // 10]
        return max(early, default=0), max(late, default=0)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--records", type=int, default=100_000)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="trinitas-migration-") as folder:
        show(measured(Path(folder), given.records), as_json=given.json)
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
        early, late = watch.grown(name, store.good)
        rows.append((f"{name}: most memory to a tenth, then", f"{early // MB} MB, {late // MB} MB", "flat"))
    return rows


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
        Path(sys.executable).with_name("trinitas"),
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
