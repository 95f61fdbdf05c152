"""`trinitas migrate legacy` as users run it, on the real stack."""

from __future__ import annotations

import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Run
from tests.documented import differences
from tests.executioner import CHROMA, COMMAND, VALKEY, WORKER, Executioner
from tests.legacy import Store, made, timeless
from tests.legacy_more import with_everything
from tests.support import wait_until
from tests.unit.test_legacy import state
from trinitas_tasks import MemoryClient, Settings
from trinitas_tasks.interfaces.migrating import named
from trinitas_tasks.local.stack import Stack

SIZE = 2000
DECK = [(COMMAND,), (COMMAND, WORKER), (VALKEY,), (COMMAND,), (CHROMA,), (COMMAND,)]
"""`python -m benchmarks.migration --kills 20` has more."""


def personas_of(store: Store) -> list[str]:
    return sorted({persona for persona, _ in store.there})


def settled(client: MemoryClient, store: Store) -> None:
    """All of it is indexed, and the tiers agree."""
    for persona in personas_of(store):
        wait_until(partial(_indexed, client, persona), 60)


def _indexed(client: MemoryClient, persona: str) -> bool:
    return not client.stats(persona=persona).unindexed


def progress(home: Path, store: Store) -> int:
    """How far the migration came."""
    try:
        told: dict[str, Any] = json.loads((home / "migrations" / named(store.base) / "state.json").read_text())
    except FileNotFoundError:
        return 0
    return int((told.get("counts") or {}).get("read", 0))


def exported(trinitas: Run, store: Store, file: Path) -> bytes:
    """Everything that the home has of the store's personas."""
    named_ones = [part for persona in personas_of(store) for part in ("-p", persona)]
    assert trinitas("run", "flush_access").returncode == 0
    done = trinitas("export", file, *named_ones)
    assert done.returncode == 0, done.stderr
    return file.read_bytes()


def lived(client: MemoryClient, store: Store) -> None:
    """Memories of the same personas, some under ids that the store has, too; read, pinned, shared, forgotten."""
    for persona in personas_of(store):
        client.remember(f"{persona} was here before.", persona=persona)
    taken = [id_ for persona, id_ in sorted(store.there) if persona == "athena"]
    mine = client.remember_many(
        [{"content": f"heron {n} stands at home", "id": taken[n], "tags": ["mine"]} for n in range(3)]
        + [{"content": f"crane {n} was here before"} for n in range(5)],
        persona="athena",
    )
    client.pin(mine[0], persona="athena")
    client.share(mine[1], to=["hestia", "seshat"], persona="athena")
    client.forget(mine[2], persona="athena")
    client.feedback(mine[3], useful=True, persona="athena")
    for each in (mine[3], mine[4], mine[0], mine[4]):
        client.get(each, persona="athena")


def test_a_store_is_migrated_through_kills_verified_and_taken_back(
    trinitas: Run, home: Path, tmp_path: Path, client: MemoryClient, stack_settings: Settings
) -> None:
    store = with_everything(tmp_path / "store", SIZE)
    lived(client, store)
    wait_until(lambda: not client.stats().outbox, 60)
    files, before = state(store.base), exported(trinitas, store, tmp_path / "before.jsonl")
    arguments: tuple[str | Path, ...] = ("migrate", "legacy", store.base, "--zone", "Asia/Tokyo", "--json", "--yes")
    everybody = Executioner(
        Stack(stack_settings), [*arguments, "--home", home], partial(progress, home, store), random.Random(6)
    )
    code, said = everybody.run(DECK)
    assert len(everybody.kills) == len(DECK), f"too little was left to interrupt: {everybody.kills}"
    assert code == 1  # what cannot be read
    report = json.loads(said)
    assert differences("migrate legacy", report) == []
    survey, verified = report["survey"], report["verified"]
    assert (survey["memories"], survey["unreadable"], verified["differing"]) == (store.good, store.bad, 0)
    assert verified["same"] + verified["twice"] == store.good - 3
    assert (verified["changed"], verified["forgotten"]) == (2, 1), "what is here stays"
    assert verified["noted"] == len(store.there) - 3
    aside = Path(report["unreadable_file"]).read_text().splitlines()
    assert len(aside) == store.bad
    assert all(json.loads(line)["reason"] for line in aside)
    assert state(store.base) == files
    manifest = json.loads((Path(report["backup"]) / "manifest.json").read_text())
    assert {name: each["sha256"] for name, each in manifest.items()} == {
        name: digest for name, (_, digest) in files.items() if digest
    }
    settled(client, store)
    assert trinitas("verify").returncode == 0

    client.get(next(id_ for persona, id_ in sorted(store.there) if persona == "bellona"), persona="bellona")
    back = trinitas(*arguments, "--rollback")
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["rolled_back"] == {"removed": len(store.there) - 3, "kept": 0}
    assert exported(trinitas, store, tmp_path / "after.jsonl") == before
    assert trinitas("verify").returncode == 0

    undisturbed = trinitas(*arguments)
    assert timeless(json.loads(undisturbed.stdout)) == timeless(report)
    assert trinitas(*arguments, "--rollback").returncode == 0


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
