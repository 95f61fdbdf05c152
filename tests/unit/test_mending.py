"""Comparing, repairing and rebuilding as an operator drives them, over stubs."""

from __future__ import annotations

import pytest

from tests.support import memory
from tests.unit.clients import Bench, Workerless
from tests.unit.world import Away, Disturbed
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.interfaces import mending
from trinitas_tasks.model import Record
from trinitas_tasks.services.reconcile import ORPHAN, UNINDEXED, UNKNOWN


@pytest.fixture
def client(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> MemoryClient:
    monkeypatch.setattr(mending, "SETTLE_SECONDS", 0.0)
    return bench.client()


def ignore(_doing: str, _count: int) -> None:
    pass


def kinds(found: mending.Comparison) -> set[tuple[str, str]]:
    return {(each.kind, each.key.id) for each in found.differences}


def disturb(bench: Bench, client: MemoryClient) -> set[tuple[str, str]]:
    """Differences of three kinds."""
    lost, kept = client.remember("its vector is lost"), client.remember("never touched")
    bench.world.vectors.delete("athena", [lost])
    vector = bench.world.archive.vectors("athena", [kept], bench.world.embedder.name)[0]
    bench.world.vectors.upsert("athena", ["stray"], [vector], [1])
    bench.world.hot.refill([(Record(memory(id="copy"), 1), 1000)])
    return {(UNINDEXED, lost), (ORPHAN, "stray"), (UNKNOWN, "copy")}


def test_tiers_that_agree_have_no_difference(client: MemoryClient) -> None:
    client.remember_many({"content": f"memory {each}"} for each in range(20))
    told: list[tuple[str, int]] = []
    found = mending.compare(client, watch=lambda doing, count: told.append((doing, count)))
    assert not found.differences
    assert not found.skipped
    assert found.examined == {"archive": 20, "hot": 20, "vectors": 20}
    assert {doing for doing, _ in told} == {"comparing the archive", "comparing Redis", "comparing Chroma"}
    assert sum(count for _, count in told) == 60


def test_a_difference_that_ends_meanwhile_is_none(bench: Bench, client: MemoryClient) -> None:
    lost, world = client.remember("its vector is away for a moment"), bench.world
    [vector] = world.archive.vectors("athena", [lost], world.embedder.name)
    [version] = world.archive.versions("athena", [lost])
    world.vectors.delete("athena", [lost])
    tier = world.vectors  # its ids are listed at the end of a pass
    world.vectors = Disturbed(
        tier, "listed", after=True, event=lambda: tier.upsert("athena", [lost], [vector], [version])
    )
    assert not mending.compare(bench.client(), watch=ignore).differences
    assert world.vectors.happened


def test_a_repair_mends_what_a_comparison_finds(bench: Bench, client: MemoryClient) -> None:
    expected = disturb(bench, client)
    assert kinds(mending.compare(client, watch=ignore)) == expected
    mended, found = mending.repair(client, watch=ignore)
    assert mended == len(expected)
    assert not found.differences
    assert not mending.compare(client, watch=ignore).differences


def test_a_tier_that_is_away_is_told(bench: Bench, client: MemoryClient) -> None:
    client.remember("something to compare")
    bench.world.vectors = Away(bench.world.vectors, "versions", "listed")
    found = mending.compare(bench.client(), watch=ignore)
    assert found.skipped
    assert not found.differences
    bench.world.hot = Away(bench.world.hot, "standings")
    with pytest.raises(Unavailable):
        mending.compare(bench.client(), watch=ignore)


def test_a_rebuild_puts_all_vectors_back(bench: Bench, client: MemoryClient) -> None:
    ids = client.remember_many({"content": f"memory {each}"} for each in range(20))
    client.remember("of somebody else", persona="hera")
    bench.world.vectors.delete("athena", ids[:7])
    mending.rebuild(client, ["athena"], watch=ignore)
    assert bench.world.vectors.count("athena") == 20
    assert bench.world.vectors.count("hera") == 1
    assert mending.archived(client) == {"athena": 20, "hera": 1}


def test_a_rebuild_needs_an_ingest_worker(bench: Bench) -> None:
    with pytest.raises(Unavailable, match="no ingest worker"):
        mending.rebuild(bench.client(Workerless), None, watch=ignore)
