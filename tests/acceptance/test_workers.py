"""Workers, beat and Redis end and come back while memories are written: nothing is lost, nothing is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.acceptance.test_promises import pid_of
from tests.support import wait_until
from trinitas_tasks import MemoryClient, Settings
from trinitas_tasks.errors import Transient
from trinitas_tasks.local.environment import environment
from trinitas_tasks.local.layout import Home
from trinitas_tasks.local.records import Record
from trinitas_tasks.local.stack import Stack


@contextmanager
def celery(settings: Settings, home: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """One more process beside those of the stack."""
    record = Record.read(Home.at(home))
    assert record is not None
    command = [sys.executable, "-m", "celery", "-A", "trinitas_tasks.tasks.worker", *arguments]
    process = subprocess.Popen(
        command,
        cwd=home,
        env=environment(settings, Home.at(home), record),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield process
    process.terminate()
    process.wait(60)


def settled(client: MemoryClient, count: int) -> None:
    """All are archived and indexed, each once."""

    def done() -> bool:
        with suppress(Transient):
            stats = client.stats()
            return not stats.degraded and (stats.pending, stats.spooled, stats.unindexed) == (0, 0, 0)
        return False

    wait_until(done, 180)
    stats = client.stats()
    assert sum((stats.by_type or {}).values()) == stats.vectors == count
    assert stats.dead_letters == 0


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_redis_ends_under_load_and_the_workers_resume_by_themselves(
    sign: signal.Signals, client: MemoryClient, stack_settings: Settings
) -> None:
    stack = Stack(stack_settings)
    ids: list[str] = []
    enough = threading.Event()

    def write() -> None:
        while not enough.is_set():
            ids.append(client.remember(f"note {len(ids)} of the {sign.name} heron"))

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: len(ids) > 50, 60)
    before = pid_of(stack, "valkey")
    os.kill(before, sign)
    wait_until(lambda: pid_of(stack, "valkey") not in (0, before), 60)
    seen = len(ids)
    wait_until(lambda: len(ids) > seen + 50, 60)
    enough.set()
    writer.join()
    settled(client, len(ids))
    found = client.recall(f"note 7 of the {sign.name} heron")
    assert found.degraded == ()
    assert ids[7] in [hit.item.id for hit in found]


def test_an_ingest_worker_that_is_asked_to_end_finishes_its_batch_or_gives_it_back(
    client: MemoryClient, stack_settings: Settings
) -> None:
    stack = Stack(stack_settings)
    count = len(client.remember_many({"content": f"note {each} of the patient heron"} for each in range(500)))
    wait_until(lambda: client.stats().pending < count, 60)
    before = pid_of(stack, "ingest")
    os.kill(before, signal.SIGTERM)
    wait_until(lambda: pid_of(stack, "ingest") not in (0, before), 60)
    settled(client, count)


def test_two_beats_and_two_ingest_workers_do_nothing_twice(
    client: MemoryClient, stack_settings: Settings, home: Path, tmp_path: Path
) -> None:
    beat = ("beat", "--schedule", str(tmp_path / "schedule"), "--pidfile=")
    worker = ("worker", "-Q", "ingest", "-n", "second@%h", "--pool=threads", "--concurrency=1")
    with celery(stack_settings, home, *beat), celery(stack_settings, home, *worker):
        dispatcher = client._dispatcher
        wait_until(lambda: len(dispatcher.workers().get("ingest", [])) == 2, 60)
        ids = client.remember_many({"content": f"note {each} of two herons"} for each in range(900))
        settled(client, len(ids))
    assert len(set(ids)) == 900


def test_without_beat_everything_is_archived_all_the_same(client: MemoryClient, stack_settings: Settings) -> None:
    stack = Stack(stack_settings)
    os.kill(pid_of(stack, "beat"), signal.SIGSTOP)
    try:
        given = client.remember("no beat came for a while")
        settled(client, 1)
        client.forget(given)
        wait_until(lambda: client.stats().vectors == 0, 60)
    finally:
        os.kill(pid_of(stack, "beat"), signal.SIGCONT)
