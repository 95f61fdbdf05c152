"""Both retrievers at 100,000 memories of one persona: python -m benchmarks.scale [--data DIR] [--memories N] [--json].

The memories are halves of real turns put together anew; their vectors lie between those of two real ones. Questions
are real. Full text is compared with the query alone, without the tail of the archive, and with FTS5 in the same run;
Chroma's answers with those of an exact scan.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.conversations import questions, turns
from benchmarks.measure import latencies, shown, summed
from trinitas_tasks.embedding.sentence_transformer import SentenceTransformerEmbedder
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.model import MemoryItem, Record
from trinitas_tasks.policy.text import index_terms, query_terms
from trinitas_tasks.services.fulltext import FullText
from trinitas_tasks.settings import load_settings
from trinitas_tasks.tiers.archive.interface import Row
from trinitas_tasks.tiers.archive.sql import SqlArchive
from trinitas_tasks.tiers.breaker import Breaker
from trinitas_tasks.tiers.lexical.interface import Wanted
from trinitas_tasks.tiers.lexical.tantivy import TantivyLexical
from trinitas_tasks.tiers.vectors.chroma import ChromaVectors

PERSONA = "bench"
BATCH = 1000
DEPTH = 100
TOP = 10
PER_SESSION = 50
T0 = datetime(2026, 1, 1, tzinfo=UTC)
Rows = list[tuple[str, str, str]]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, help="folder with documents.jsonl and queries.jsonl of a conversation")
    options.add_argument("--memories", type=int, default=100_000)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    if given.data is None and (shared := os.environ.get("EVAL_DATA")):
        given.data = Path(shared) / "locomo-dev"
    real = turns(given.data, 2500)
    asked = questions(given.data)[:300]
    chance = random.Random(7)
    with tempfile.TemporaryDirectory(prefix="trinitas-scale-") as folder:
        rows = full_text(Path(folder), memories(real, given.memories, chance), asked)
        rows += vectors(Path(folder) / "stack", real, given.memories, asked)
    show(rows, given.json)
    return 0


def memories(real: list[dict[str, Any]], number: int, chance: random.Random) -> list[MemoryItem]:
    """So many different turns, in sessions."""
    made = []
    for place in range(number):
        one, other = chance.choice(real), chance.choice(real)
        first, second = (str(each["content"]).split() for each in (one, other))
        content = " ".join((*first[: len(first) // 2 + 1], *second[len(second) // 2 :]))
        metadata = {**one["metadata"], "session": f"s{place // PER_SESSION}"}
        at = T0 + timedelta(minutes=place)
        made.append(
            MemoryItem.build(
                id=f"m{place}", persona=PERSONA, content=content, type="episodic", timestamp=at, metadata=metadata
            )
        )
    return made


def full_text(folder: Path, items: list[MemoryItem], asked: list[str]) -> Rows:
    """FullText.search() beside the index alone and FTS5; then again while others write."""
    archive = SqlArchive(f"sqlite:///{folder}/archive.db")
    archive.migrate()
    nothing = np.zeros((1, 8), np.float32)
    for start in range(0, len(items), BATCH):
        some = items[start : start + BATCH]
        archive.store([Row(Record(item, start + 1), nothing, "none", index_terms(item)) for item in some])
    process, lexical = psutil.Process(), TantivyLexical(folder / "fulltext")
    before, started = process.memory_info().rss, time.perf_counter()
    text = FullText(archive, lexical)
    text.tend()
    seconds, grown = time.perf_counter() - started, (process.memory_info().rss - before) >> 20
    wanted = [Wanted(query_terms(each)) for each in asked]
    ours, alone, fts = latencies(
        len(wanted),
        lambda n: text.search(PERSONA, wanted[n % len(wanted)], DEPTH),
        lambda n: lexical.search(PERSONA, wanted[n % len(wanted)], DEPTH),
        lambda n: archive.search_text(PERSONA, list(wanted[n % len(wanted)].terms), DEPTH),
    )
    rows: Rows = [
        (f"full text, {len(items):,} memories, {DEPTH} best", shown(ours), "p50 ≤ 5 ms, p99 ≤ 20 ms"),
        ("the index alone", shown(alone), ""),
        ("FTS5, all terms of the same questions", shown(fts), ""),
        ("building the index", f"{len(items) / seconds:,.0f}/s", f"process grew by {grown} MB"),
    ]
    rows.append(("full text while 100 memories a second are archived", busy(text, archive, items, wanted), ""))
    size = sum(each.stat().st_size for each in (folder / "fulltext").rglob("*") if each.is_file()) >> 20
    rows.append(("the index on disk", f"{size} MB", ""))
    text.close()
    archive.close()
    return rows


def busy(text: FullText, archive: SqlArchive, items: list[MemoryItem], wanted: list[Wanted]) -> str:
    """Searches beside a writer and the thread that tends the index."""
    ended = threading.Event()

    def write() -> None:
        number = 0
        while not ended.wait(0.1):
            some = items[number % len(items) :][:10]
            nothing = np.zeros((1, 8), np.float32)
            archive.store([Row(Record(item, 10**6 + number), nothing, "none", index_terms(item)) for item in some])
            number += 10

    def tend() -> None:
        while not ended.wait(1.0):
            text.tend()

    beside = [threading.Thread(target=each) for each in (write, tend)]
    for thread in beside:
        thread.start()
    times = []
    for each in (*wanted, *wanted):
        started = time.perf_counter()
        text.search(PERSONA, each, DEPTH)
        times.append((time.perf_counter() - started) * 1000)
        time.sleep(0.02)
    ended.set()
    for thread in beside:
        thread.join()
    return shown(summed(times))


def vectors(home: Path, real: list[dict[str, Any]], number: int, asked: list[str]) -> Rows:
    """Chroma's first ten against those of an exact scan."""
    embedder = SentenceTransformerEmbedder("all-MiniLM-L6-v2", threads=os.cpu_count() or 1)
    known = embedder.encode([str(each["content"]) for each in real])
    probes = embedder.encode(asked)
    chance = np.random.default_rng(7)
    pairs = chance.integers(0, len(known), (number, 2))
    share = chance.uniform(0.5, 1.0, (number, 1)).astype(np.float32)
    made = share * known[pairs[:, 0]] + (1 - share) * known[pairs[:, 1]]
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    settings = load_settings(overrides={"home": home})
    stack = Stack(settings)
    stack.up()
    try:
        settings = load_settings(overrides={"home": home})
        chroma = ChromaVectors(
            settings.chromadb_host,
            settings.chromadb_port,
            namespace=settings.namespace,
            model=settings.chromadb_model,
            deadline_ms=60_000,
            query_ms=10_000,
            breaker=Breaker("Chroma", retry_seconds=5),
        )
        return compared(chroma, made, probes)
    finally:
        stack.down()


def compared(chroma: ChromaVectors, made: NDArray[np.float32], probes: NDArray[np.float32]) -> Rows:
    started = time.perf_counter()
    for start in range(0, len(made), BATCH):
        some = made[start : start + BATCH]
        ids = [f"m{start + place}" for place in range(len(some))]
        chroma.upsert(PERSONA, ids, [each[None] for each in some], [1] * len(some))
    seconds = time.perf_counter() - started
    times, shares = [], []
    for probe in probes:
        started = time.perf_counter()
        near = chroma.query(PERSONA, probe, DEPTH)
        times.append((time.perf_counter() - started) * 1000)
        exact = np.argsort(-(made @ probe), kind="stable")[:TOP]
        shares.append(len({f"m{place}" for place in exact} & {each.id for each in near[:TOP]}) / TOP)
    return [
        (
            f"Chroma, {len(made):,} vectors, {DEPTH} nearest",
            shown(summed(times)),
            f"added {len(made) / seconds:,.0f}/s",
        ),
        (f"its recall@{TOP} against an exact scan", f"{sum(shares) / len(shares):.4f}", "≥ 0.99"),
    ]


def show(rows: Rows, as_json: bool) -> None:
    day = datetime.now(UTC).date().isoformat()
    if as_json:
        fields = ("what", "figure", "beside")
        json.dump({"date": day, "rows": [dict(zip(fields, row, strict=True)) for row in rows]}, sys.stdout, indent=2)
        return
    table = Table("what", "p50 / p99", "target", title=day)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == "__main__":
    sys.exit(main())
