"""Exports and backups of a running stack, and what a new home makes of them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import TRINITAS, Run
from tests.acceptance.journal import Journal
from tests.documented import differences
from tests.support import wait_until
from trinitas_tasks import MemoryClient, Settings, load_settings
from trinitas_tasks.local.stack import Stack

Site = tuple[Settings, MemoryClient]
RESTORED = frozenset({"file", "bytes", "archive", "aside"})
"""What a restore tells and a backup does not, or the other way about."""


def command(home: Path, *arguments: str | Path) -> dict[str, Any]:
    """What a command says as JSON, with another home than the run's."""
    done = subprocess.run(
        [TRINITAS, *arguments, "--home", home, "--json"],
        cwd=home.parent,
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    documented, own = ("backup", RESTORED) if arguments[0] == "restore" else (str(arguments[0]), frozenset[str]())
    assert differences(documented, found, without=own) == []
    return found


def killed_after(seconds: float, home: Path, *arguments: str | Path) -> None:
    """Begin a command, and kill it unless it ends before."""
    begun = [TRINITAS, *arguments, "--home", home]
    with subprocess.Popen(begun, cwd=home.parent, env={"PATH": os.environ["PATH"], "HOME": str(home)}) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()


@contextmanager
def running(home: Path, persona: str) -> Iterator[MemoryClient]:
    """A stack in this home, and a client of it."""
    stack = Stack(load_settings(folder=home.parent, overrides={"home": home, "lease_seconds": 10}))
    stack.up()
    try:
        reaching = {"home": home, "redis_timeout_ms": 5000, "deadline_ms": 20_000}
        with MemoryClient.connect(load_settings(folder=home.parent, overrides=reaching), persona=persona) as client:
            yield client
    finally:
        stack.down()


def settled(client: MemoryClient, count: int) -> None:
    wait_until(lambda: client.stats().pending == 0 and client.stats().vectors == count, 120)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A home that nobody uses yet."""
    return tmp_path / "other"


@pytest.mark.timeout(600)  # three starts of a stack
def test_everything_moves_to_an_empty_stack_and_a_backup_of_that_one_comes_back(
    trinitas: Run, client: MemoryClient, persona: str, other: Path, tmp_path: Path
) -> None:
    types = ("semantic", "episodic", "procedural", "working")
    ids = client.remember_many(
        {
            "content": {"n": each} if each % 5 == 4 else f"heron {each} 鷺 stands in field {each * 7}\n",
            "type": types[each % 4],
            "tags": ["a;b", "c"],
            "metadata": {"session": "s1", "n": each},
            "importance": each / 100,
        }
        for each in range(60)
    )
    client.pin(ids[3])
    client.feedback(ids[4], useful=True)
    client.share(ids[5], to=["hera", "zeus"])
    client.forget(ids[6])
    for _ in range(3):
        client.get(ids[7])
    files = [tmp_path / name for name in ("first.jsonl", "again.jsonl", "moved.jsonl")]
    for file in files[:2]:
        done = trinitas("export", file, "-p", persona, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["memories"] == 59
    assert files[0].read_bytes() == files[1].read_bytes()
    told = {each["id"]: each for each in map(json.loads, files[0].read_text("utf-8").split("\n")[1:-1])}
    assert ids[6] not in told
    assert (told[ids[3]]["pinned"], told[ids[4]]["useful"], told[ids[5]]["grants"]) == (True, 1, ["hera", "zeus"])
    assert told[ids[7]]["access_count"] >= 3
    with running(other, persona) as moved:
        report = command(other, "import", files[0])
        assert (report["format"], report["imported"], report["restored"]) == ("jsonl", 59, 59)
        assert command(other, "export", files[2])["memories"] == 59
        assert files[2].read_bytes() == files[0].read_bytes()
        assert moved.get(ids[5], persona="hera", owner=persona) is not None
        backup = Path(command(other, "backup")["file"])
        assert backup.parent == other / "backups"
        moved.remember("This came after the backup.", id="late")
    refused = trinitas("restore", backup)
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    refused = trinitas("restore", backup, "--yes")
    assert (refused.returncode, "trinitas down" in refused.stderr) == (1, True)
    for seconds in (0.6, 0.9, 1.3, 1.8):
        killed_after(seconds, other, "restore", backup, "--yes")
    restored = command(other, "restore", backup, "--yes")
    assert restored["aside"]
    assert {each.name.partition(".")[0] for each in other.glob("*.before-*")} >= {"archive", "valkey", "chroma"}
    with running(other, persona) as again:
        settled(again, 59)
        assert again.get("late") is None
        command(other, "verify")
        command(other, "export", files[1])
        told_again = {each["id"]: each for each in map(json.loads, files[1].read_text("utf-8").split("\n")[1:-1])}
        del told[ids[5]]["access_count"], told[ids[5]]["last_access"], told[ids[5]]["stability_days"]  # it was read
        assert told_again[ids[3]] == told[ids[3]]
        assert told_again[ids[5]] | told[ids[5]] | {"fades_at": None} == told_again[ids[5]] | {"fades_at": None}


@pytest.mark.timeout(480)
def test_a_backup_under_write_load_has_all_that_was_acknowledged(
    client: MemoryClient, persona: str, trinitas: Run, other: Path, tmp_path: Path
) -> None:
    journal, stop = Journal(), threading.Event()
    writer = threading.Thread(target=journal.write, args=(client, random.Random(6), stop))
    writer.start()
    try:
        wait_until(lambda: len(journal.at()) > 100, 60)
        before = journal.at()
        file = tmp_path / "b.tar.gz"
        done = trinitas("backup", file, "--json")
    finally:
        stop.set()
        writer.join()
    assert done.returncode == 0, done.stderr
    assert len(journal.at()) > len(before), "nothing was written meanwhile"
    torn = tmp_path / "torn.tar.gz"
    torn.write_bytes(file.read_bytes()[:-100])
    refused = trinitas("restore", torn, "--to", other)
    assert (refused.returncode, other.exists()) == (1, False)
    assert "Traceback" not in refused.stderr
    restored = trinitas("restore", file, "--to", other)
    assert restored.returncode == 0, restored.stderr
    with running(other, persona) as again:
        wait_until(lambda: not (other / "restored.jsonl").exists() and not again.stats().outbox, 120)
        wait_until(lambda: not again.stats().unindexed and not again.stats().spooled, 120)
        assert command(other, "verify")["differences"] == []
        for id_ in journal.states:
            item = again.get(id_)
            assert journal.may_be(id_, None if item is None else str(item.content), before), id_
        found = again.recall("crane 7 rests at once7", limit=3)
        assert not found.degraded
        assert "once7" in [hit.item.id for hit in found]
