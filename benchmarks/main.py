"""Measures the package against the raw limits of the same machine in the same run. Started by scripts/bench."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import redis
import torch
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer

from benchmarks.conversations import questions, turns
from benchmarks.measure import Latency, latencies, shown, summed
from benchmarks.outage import outage_rows
from trinitas_tasks import MemoryClient, load_settings
from trinitas_tasks.embedding.sentence_transformer import ENCODE_BATCH, SentenceTransformerEmbedder
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.model import MemoryItem, utc_now
from trinitas_tasks.policy.text import embedding_text

PERSONA = "bench"
NAMESPACE = "trinitas"
CALLS = 1000
LOOK_SECONDS = 0.25  # each look costs the workers a few milliseconds


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options.add_argument("--turns", type=int, default=3000, help="memories to ingest (default 3000)")
    options.add_argument("--data", type=Path, help="folder with documents.jsonl and queries.jsonl of a conversation")
    given = options.parse_args()
    if given.data is None and (shared := os.environ.get("EVAL_DATA")):
        given.data = Path(shared) / "locomo-dev"
    rows: list[tuple[str, str, str, str]] = []
    texts = turns(given.data, given.turns)
    model = SentenceTransformerEmbedder("all-MiniLM-L6-v2", threads=os.cpu_count() or 1)
    home = Path(tempfile.mkdtemp(prefix="trinitas-bench-"))
    settings = load_settings(overrides={"home": home, "redis_timeout_ms": 5000})
    stack = Stack(settings)
    try:
        stack.up()
        settings = load_settings(overrides={"home": home, "redis_timeout_ms": 5000})
        with MemoryClient.connect(settings, persona=PERSONA) as client, redis.Redis.from_url(settings.redis()) as raw:
            rows += writes_and_reads(client, raw, texts)
            settle(client)
            # before and after: machines change their speed within minutes
            before = raw_encode_rate(model, texts)
            rate = ingest_rate(client, raw, texts)
            after = raw_encode_rate(model, texts)
            alone = 2 / (1 / before + 1 / after)
            ratio = f"{rate / alone:.0%} (≥ 80 %)"
            rows.append(
                (f"ingest of {len(texts):,} turns until searchable", f"{rate:.0f}/s", f"encode {alone:.0f}/s", ratio)
            )
            rows += recall_rows(client, model, questions(given.data))
            rows.append(busy_row(client, texts[: len(texts) // 3], questions(given.data)))
            rows.append(memory_row(stack))
        patience = {"home": home, "redis_timeout_ms": 150}  # the default: it is what the first call costs
        question = questions(given.data)[0]
        rows += outage_rows(stack, load_settings(overrides=patience), persona=PERSONA, question=question)
    finally:
        stack.down()
        shutil.rmtree(home, ignore_errors=True)
    show(rows, given)
    return 0


def raw_encode_rate(embedder: SentenceTransformerEmbedder, texts: list[dict[str, Any]]) -> float:
    """Texts a second of SentenceTransformer.encode alone: all texts at once, the workers' settings."""
    model: SentenceTransformer = embedder._model
    plain = [
        "".join(embedding_text(MemoryItem.build(persona=PERSONA, timestamp=utc_now(), **given(each)))) for each in texts
    ]
    started = time.perf_counter()
    model.encode(
        plain,
        batch_size=ENCODE_BATCH,
        normalize_embeddings=True,
        show_progress_bar=False,
        processing_kwargs=embedder._padding,
    )
    return len(plain) / (time.perf_counter() - started)


def given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "timestamp"}


def writes_and_reads(
    client: MemoryClient, raw: redis.Redis, texts: list[dict[str, Any]]
) -> list[tuple[str, str, str, str]]:
    """remember() and get() against the same payload in raw Redis: as durable, as many keys."""
    ids: list[str] = []
    other = [each["content"] for each in texts]

    def remember(number: int) -> None:
        text = f"{number} {other[number % len(other)]}"
        ids.append(client.remember(text, persona="writes", type="working", metadata={"speaker": "Caroline"}))

    def raw_write(number: int) -> None:
        text = f"{number} {other[number % len(other)]}"
        body = json.dumps({"id": str(number), "content": text, "metadata": {"speaker": "Caroline"}}, ensure_ascii=False)
        with raw.pipeline(transaction=True) as pipe:
            pipe.hset(f"raw:{number}", mapping={"b": body, "v": number})
            pipe.zadd("raw:outbox", {f"writes:{number}": number})
            pipe.zadd("raw:pending", {str(number): number})
            pipe.incr("raw:generation")
            pipe.set(f"raw:dedup:{number}", str(number), px=60_000)
            pipe.execute()

    ours, theirs = latencies(CALLS, remember, raw_write)
    rows = [compared("remember()", ours, theirs, "≤ 3×")]
    settle(client, "writes")
    ours, theirs = latencies(CALLS, lambda n: client.get(ids[n], persona="writes"), lambda n: raw.hgetall(f"raw:{n}"))
    return [*rows, compared("get()", ours, theirs, "≤ 2×")]


def settle(client: MemoryClient, persona: str = PERSONA) -> None:
    while True:
        stats = client.stats(persona=persona)
        if stats.pending == 0 and stats.unindexed == 0:
            return
        time.sleep(LOOK_SECONDS)


def ingest_rate(client: MemoryClient, raw: redis.Redis, texts: list[dict[str, Any]]) -> float:
    """Memories a second from the first write until the last one is searchable."""
    started = time.perf_counter()
    client.remember_many(texts)
    while raw.zcard(f"{NAMESPACE}:outbox"):  # cheaper to ask than the workers
        time.sleep(LOOK_SECONDS)
    settle(client)
    return len(texts) / (time.perf_counter() - started)


def recall_rows(
    client: MemoryClient, model: SentenceTransformerEmbedder, asked: list[str]
) -> list[tuple[str, str, str, str]]:
    """Questions that were not asked before, beside the embedding alone; then the same again from the cache."""
    different: Callable[[int], str] = lambda n: f"{asked[n % len(asked)]}{' ' * (n // len(asked))}"  # noqa: E731
    calls = min(500, 2 * len(asked))
    torch.set_num_threads(1)  # as the search worker
    # one after the other: two copies of the model in turn would drive each other out of the processor's cache
    [fresh] = latencies(calls, lambda n: client.recall(different(n)))
    [alone] = latencies(calls, lambda n: model.encode([different(n)]))
    [again] = latencies(calls, lambda n: client.recall(different(n)))
    return [
        ("recall(), new question", shown(fresh), f"encode {shown(alone)}", "p50 ≤ 25 ms, p99 < 50 ms"),
        ("recall(), cached", shown(again), "", ""),
    ]


def busy_row(client: MemoryClient, texts: list[dict[str, Any]], asked: list[str]) -> tuple[str, str, str, str]:
    """Questions while the ingest worker has its hands full."""
    client.remember_many([{**each, "id": f"{each['id']}/busy"} for each in texts], persona="busy")
    times: list[float] = []
    while client.stats(persona="busy").pending:
        started = time.perf_counter()
        client.recall(f"{asked[len(times) % len(asked)]} {len(times)}")
        times.append((time.perf_counter() - started) * 1000)
    return "recall(), during full ingest", shown(summed(times)), "", ""


def memory_row(stack: Stack) -> tuple[str, str, str, str]:
    """What the processes of the stack hold in memory, in MB."""
    sizes = {each.name: psutil.Process(each.pid).memory_info().rss for each in stack.status().processes if each.pid}
    each = ", ".join(f"{name} {size >> 20}" for name, size in sizes.items())
    return "resident memory, MB", str(sum(sizes.values()) >> 20), each, ""


def compared(name: str, ours: Latency, raw: Latency, target: str) -> tuple[str, str, str, str]:
    return name, shown(ours), shown(raw), f"{ours.p50_ms / raw.p50_ms:.2f}× ({target})"


def show(rows: list[tuple[str, str, str, str]], options: argparse.Namespace) -> None:
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    day = datetime.now(UTC).date().isoformat()
    if options.json:
        fields = ("what", "ours", "raw", "ratio")
        report = {"date": day, "machine": machine, "rows": [dict(zip(fields, row, strict=True)) for row in rows]}
        json.dump(report, sys.stdout, ensure_ascii=False, indent=2)
        return
    table = Table("what", "p50 / p99", "raw, same run", "ratio (target)", title=f"{day}, {machine}")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == "__main__":
    sys.exit(main())
