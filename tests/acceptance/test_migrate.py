"""`trinitas migrate legacy` as users run it, on the real stack."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import TRINITAS, Run
from tests.acceptance.test_promises import pid_of
from tests.documented import differences
from tests.legacy import Store, made
from tests.support import wait_until
from tests.unit.test_legacy import state
from trinitas_tasks import MemoryClient, Settings
from trinitas_tasks.interfaces.migrating import named
from trinitas_tasks.local.stack import Stack

SIZE = 2000
KILLS = 3
"""A step copies four of some 21 parts: so few leave some to interrupt. The benchmark kills twenty times."""


def settled(client: MemoryClient, store: Store) -> None:
    """All of it is indexed, and the tiers agree."""
    for persona in {persona for persona, _ in store.there}:
        wait_until(partial(_indexed, client, persona), 60)


def _indexed(client: MemoryClient, persona: str) -> bool:
    return not client.stats(persona=persona).unindexed


def counted(client: MemoryClient, store: Store) -> int:
    found = [client.stats(persona=persona) for persona in {persona for persona, _ in store.there}]
    return sum(sum((each.by_type or {}).values()) for each in found)


def progress(home: Path, store: Store) -> int:
    """How far the migration came."""
    try:
        told: dict[str, Any] = json.loads((home / "migrations" / named(store.base) / "state.json").read_text())
    except FileNotFoundError:
        return 0
    return int((told.get("counts") or {}).get("read", 0))


def _came(home: Path, store: Store, far: int) -> bool:
    return progress(home, store) >= far


def kill_worker(stack: Stack, client: MemoryClient) -> None:
    """And wait until the next one is ready."""
    before = pid_of(stack, "ingest")
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: pid_of(stack, "ingest") not in (0, before), 60)
    wait_until(lambda: "ingest" in client._dispatcher.workers(), 60)


def test_a_store_is_migrated_through_kills_verified_and_taken_back(
    trinitas: Run, home: Path, tmp_path: Path, client: MemoryClient, stack_settings: Settings
) -> None:
    store = made(tmp_path / "store", SIZE)
    before, others = state(store.base), counted(client, store)  # other tests remember for the same personas
    arguments: tuple[str | Path, ...] = ("migrate", "legacy", store.base, "--zone", "Asia/Tokyo", "--json")
    chance = random.Random(5)
    for kill in range(KILLS):
        command = [TRINITAS, *arguments, "--yes", "--home", home]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=home) as process:
            enough = progress(home, store) + chance.randint(1, 200)
            wait_until(partial(_came, home, store, enough), 120)
            if kill == 1:  # the command waits for the next worker and goes on
                kill_worker(Stack(stack_settings), client)
                wait_until(partial(_came, home, store, progress(home, store) + 1), 120)
            process.kill()
        assert progress(home, store) < store.good, "nothing was left to interrupt"
    done = trinitas(*arguments, "--yes")
    report = json.loads(done.stdout)
    assert differences("migrate legacy", report) == []
    assert done.returncode == 1  # what cannot be read
    assert report["survey"]["memories"] == report["verified"]["same"] == report["verified"]["noted"] == store.good
    assert report["verified"]["differing"] == 0
    assert report["survey"]["unreadable"] == store.bad
    aside = Path(report["unreadable_file"]).read_text().splitlines()
    assert len(aside) == store.bad
    assert all(json.loads(line)["reason"] for line in aside)
    assert state(store.base) == before
    manifest = json.loads((Path(report["backup"]) / "manifest.json").read_text())
    assert {name: each["sha256"] for name, each in manifest.items()} == {
        name: digest for name, (_, digest) in before.items() if digest
    }
    settled(client, store)
    assert counted(client, store) == others + store.good
    assert trinitas("verify").returncode == 0

    again = json.loads(trinitas(*arguments, "--yes", "--no-backup").stdout)
    assert again["copied"]["copied"] == 0
    assert again["verified"]["same"] == store.good
    back = trinitas(*arguments, "--rollback", "--yes")
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["rolled_back"] == {"removed": store.good, "kept": 0}
    assert counted(client, store) == others
    assert trinitas("verify").returncode == 0


def test_a_whole_store_is_found_by_meaning_and_by_id(trinitas: Run, tmp_path: Path, client: MemoryClient) -> None:
    store = made(tmp_path / "whole", 60, seed=11, defects=False)
    done = trinitas("migrate", "legacy", store.base, "--yes", "--zone", "Asia/Tokyo")
    assert done.returncode == 0, done.stderr
    assert "no difference" in done.stdout
    for persona, memory_id in sorted(store.there)[:20]:
        item = client.get(memory_id, persona=persona)
        assert item is not None
        hits = client.recall(json.dumps(item.content, ensure_ascii=False)[:200], persona=persona, include_archived=True)
        assert memory_id in [hit.item.id for hit in hits]
    assert trinitas("migrate", "legacy", store.base, "--rollback", "--yes").returncode == 0


def test_a_dry_run_changes_nothing(trinitas: Run, home: Path, tmp_path: Path) -> None:
    store = made(tmp_path / "dry", 60)
    done = trinitas("migrate", "legacy", store.base, "--dry-run")
    assert done.returncode == 1
    assert f"{store.good} memories" in done.stdout
    assert f"{store.bad} cannot be read" in done.stderr
    assert not (home / "migrations" / named(store.base)).exists()


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ((), 2, "--yes"),
        (("--yes", "--zone", "Nowhere"), 1, "time zone"),
        (("--yes",), 1, "no store of version 3.5"),
        (("--yes", "--dry-run", "--rollback"), 2, "at a time"),
    ],
)
def test_what_cannot_be_done_is_told(
    trinitas: Run, tmp_path: Path, more: tuple[str, ...], code: int, said: str
) -> None:
    done = trinitas("migrate", "legacy", tmp_path, *more)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
