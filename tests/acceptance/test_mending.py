"""`trinitas verify`, `reindex`, `dead-letters` and `doctor` as operators run them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.acceptance.conftest import TRINITAS, Run
from tests.acceptance.test_promises import pid_of
from tests.support import Valkey, memory, wait_until
from trinitas_tasks import MemoryClient, Settings
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.model import Key, utc_now
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.services.doctor import CHECKS
from trinitas_tasks.services.reconcile import UNINDEXED
from trinitas_tasks.tiers.archive.interface import DeadLetter


@pytest.fixture
def runtime(stack_settings: Settings) -> Iterator[Runtime]:
    """The tiers themselves, to disturb them."""
    made = Runtime(stack_settings)
    yield made
    made.close()


def archived(client: MemoryClient, count: int) -> list[str]:
    """The ids of so many memories, of which every tier has heard."""
    ids = client.remember_many({"content": f"heron {each} stands in field {each * 7}"} for each in range(count))
    wait_until(lambda: (client.stats().pending, client.stats().vectors) == (0, count), 120)
    return ids


def outcome(done: subprocess.CompletedProcess[str]) -> Any:
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


# verify and reindex.


def test_what_differs_is_told_and_mended(trinitas: Run, client: MemoryClient, persona: str, runtime: Runtime) -> None:
    ids = archived(client, 8)
    for _ in range(2):  # beat may send somebody who mends it first
        runtime.vectors.delete(persona, ids[:6])
        found = trinitas("verify")
        if UNINDEXED in found.stdout:
            break
    assert found.returncode == 1
    assert f"6 × {UNINDEXED}" in found.stdout
    assert "… and 1 more" in found.stdout
    assert "--repair" in found.stderr
    mended = trinitas("verify", "--repair", "--json")
    assert mended.returncode == 0, mended.stderr
    report = outcome(mended)
    assert report["mended"] >= 6
    assert (report["differences"], report["skipped"]) == ([], [])
    assert min(report["examined"].values()) >= 8
    assert client.stats().vectors == 8
    again = trinitas("verify")
    assert again.returncode == 0, again.stdout
    assert "no difference" in again.stdout


def test_an_index_is_rebuilt(trinitas: Run, client: MemoryClient, persona: str, runtime: Runtime) -> None:
    ids = archived(client, 5)
    runtime.vectors.delete(persona, ids)
    done = trinitas("reindex", "-p", persona, "--json")
    assert done.returncode == 0, done.stderr
    assert outcome(done)["memories"] == 5
    assert client.stats().vectors == 5
    assert client.recall("heron 3", limit=1)[0].item.id == ids[3]
    everybody = trinitas("reindex")
    assert everybody.returncode == 0, everybody.stderr
    assert "memories of all personas were indexed anew" in everybody.stdout
    assert client.stats().vectors == 5


@pytest.mark.parametrize(("command", "said"), [("verify", "nothing was changed"), ("reindex", "begins anew")])
def test_breaking_off_says_what_is_left(command: str, said: str, home: Path, stack_settings: Settings) -> None:
    with stopped_worker(stack_settings, "search"), Redis.from_url(stack_settings.redis()) as redis:
        before = set(redis.pubsub_channels())
        with subprocess.Popen(
            [TRINITAS, command, "--home", home], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=home
        ) as process:
            wait_until(lambda: set(redis.pubsub_channels()) - before, 60)  # where it awaits its answer
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said in error.decode()
    assert b"Traceback" not in error


@contextmanager
def stopped_worker(settings: Settings, name: str) -> Iterator[None]:
    pid = pid_of(Stack(settings), name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


# dead-letters.


@pytest.fixture
def bury(runtime: Runtime, persona: str) -> Callable[[str, bytes], None]:
    def kept(memory_id: str, body: bytes) -> None:
        letter = DeadLetter(Key(persona, memory_id), time.time_ns() // 1000, body, "it was too much", utc_now())
        runtime.archive.bury_dead([letter])

    return kept


def test_dead_letters_are_listed_shown_and_dropped(
    trinitas: Run, persona: str, bury: Callable[[str, bytes], None]
) -> None:
    assert "no dead letters" in trinitas("dead-letters", "list", "-p", persona).stderr
    bury("m1", b"{torn")
    listed = trinitas("dead-letters", "list", "-p", persona)
    assert listed.returncode == 0
    assert all(each in listed.stdout for each in ("time", persona, "m1", "it was too much"))
    assert persona in trinitas("dead-letters", "list").stdout
    assert "body: {torn" in trinitas("dead-letters", "show", "m1", "-p", persona).stdout
    assert trinitas("dead-letters", "retry", "m1", "-p", persona).returncode == 1  # it is no memory
    unasked = trinitas("dead-letters", "drop", "m1", "-p", persona)
    assert (unasked.returncode, "--yes" in unasked.stderr) == (2, True)
    assert trinitas("dead-letters", "drop", "m1", "-p", persona, "--yes").returncode == 0
    assert outcome(trinitas("dead-letters", "list", "-p", persona, "--json")) == []
    for command in (["show"], ["retry"], ["drop", "--yes"]):
        gone = trinitas("dead-letters", *command, "m1", "-p", persona)
        assert gone.returncode == 1
        assert "no dead letter m1" in gone.stderr


def test_a_dead_letter_is_tried_again(
    trinitas: Run, persona: str, client: MemoryClient, bury: Callable[[str, bytes], None]
) -> None:
    bury("m1", memory("It fits now.", persona=persona).to_json())
    done = trinitas("dead-letters", "retry", "m1", "-p", persona)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: client.stats().vectors == 1, 60)
    found = client.get("m1")
    assert found is not None
    assert found.content == "It fits now."
    assert outcome(trinitas("dead-letters", "list", "-p", persona, "--json")) == []


# doctor.


def levels(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    report = outcome(done)
    assert report["ok"] == (done.returncode == 0)
    return {each["name"]: each["level"] for each in report["findings"]}


def test_a_running_stack_has_no_problem(trinitas: Run, client: MemoryClient) -> None:
    archived(client, 1)
    done = trinitas("doctor", "--json")
    assert done.returncode == 0, done.stdout
    found = levels(done)
    assert set(found) == set(CHECKS)
    for name in ("redis", "append-only file", "eviction", "role", "password", "clock", "writers", "chroma", "model"):
        assert found[name] == "ok", done.stdout
    shown = trinitas("doctor")
    assert shown.returncode == 0
    assert "ok       append-only file: appendfsync always" in shown.stdout.splitlines()


def test_what_is_wrong_with_redis_is_found_without_workers(tmp_path: Path) -> None:
    options = ("--appendfsync", "everysec", "--maxmemory-policy", "allkeys-lru")
    server = Valkey(tmp_path, options)
    server.start()
    try:
        found = levels(doctor(tmp_path, REDIS_URL=server.url))
    finally:
        server.stop()
    assert (found["append-only file"], found["eviction"]) == ("warning", "problem")
    assert (found["search worker"], found["ingest worker"]) == ("problem", "problem")
    assert (found["redis"], found["password"], found["clock"]) == ("ok", "ok", "ok")


@pytest.mark.parametrize("given", [{}, {"REDIS_URL": "redis://127.0.0.1:1/0"}], ids=["nothing", "no Redis"])
def test_a_doctor_has_no_need_of_anything(given: dict[str, str], tmp_path: Path) -> None:
    done = doctor(tmp_path, **given)
    assert done.returncode == 1
    found = levels(done)
    assert found["redis"] == "problem"
    assert found["not checked"] == "warning"


def doctor(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TRINITAS, "doctor", "--json", "--home", folder / "home"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
