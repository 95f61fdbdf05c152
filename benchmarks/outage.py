"""What calls cost while Redis is stopped: the first one of a client, and those after it."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.measure import latencies, shown, summed
from trinitas_tasks import MemoryClient, Settings
from trinitas_tasks.local.stack import Stack

CLIENTS = 20
CALLS = 500
Row = tuple[str, str, str, str]


def outage_rows(stack: Stack, settings: Settings, *, persona: str, question: str) -> list[Row]:
    """Beside the raw limit of a spooled write: a SQLite commit that is as durable."""
    with MemoryClient.connect(settings, persona=persona) as client:
        known = client.recall(question)[0].item.id
        with redis_stopped(stack):
            firsts = [first_failure(settings, persona, call) for call in range(CLIENTS)]
            client.remember("the first call of this client")
            with closing(commits(settings.home)) as raw:
                spooled, plain = latencies(CALLS, lambda n: client.remember(f"spooled {n}"), lambda _: next(raw))
            [got] = latencies(CALLS, lambda _: client.get(known))
            [recalled] = latencies(CALLS // 5, lambda n: client.recall(f"{question} {n}"))
    return [
        ("Redis stopped: first call of a client", shown(summed(firsts)), "", "< 200 ms"),
        ("… remember() after it", shown(spooled), f"a commit {shown(plain)}", "< 2 ms"),
        ("… get() after it, from the archive", shown(got), "", "< 2 ms"),
        ("… recall() after it, by words", shown(recalled), "", ""),
    ]


@contextmanager
def redis_stopped(stack: Stack) -> Iterator[None]:
    """The stack's Redis takes connections and answers nothing."""
    pid = next(each.pid for each in stack.status().processes if each.name == "valkey")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def first_failure(settings: Settings, persona: str, number: int) -> float:
    """Milliseconds of the call in which a new client finds out."""
    with MemoryClient.connect(settings, persona=persona) as client:
        call: Callable[[], object] = lambda: client.remember(f"found out {number}")  # noqa: E731
        started = time.perf_counter()
        call()
        return (time.perf_counter() - started) * 1000


def commits(folder: Path) -> Generator[None]:
    """One fsynced row for each step."""
    with closing(sqlite3.connect(folder / "raw.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE entries (number INTEGER PRIMARY KEY, body BLOB)")
        while True:
            connection.execute("INSERT INTO entries (body) VALUES (?)", (b"x" * 300,))
            yield
