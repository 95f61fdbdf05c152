"""The managers of v3.5 over a client of stubs: what they remember, recall and share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.unit.clients import Bench
from tests.unit.compats import run
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.compat import (
    Context,
    EnhancedMemoryManager,
    MemoryType,
    TrinitasMemoryManager,
)
from trinitas_tasks.errors import InvalidMemory, NotFound

pytestmark = pytest.mark.filterwarnings("ignore:.*Trinitas v3.5:DeprecationWarning")


@pytest.fixture
def client(bench: Bench) -> MemoryClient:
    return bench.client(persona=None)


@pytest.fixture
def manager(client: MemoryClient, tmp_path: Path) -> Iterator[TrinitasMemoryManager]:
    made = TrinitasMemoryManager(str(tmp_path), client=client)
    yield made
    made._memories.close()


@pytest.fixture
def enhanced(client: MemoryClient) -> Iterator[EnhancedMemoryManager]:
    made = EnhancedMemoryManager("Athena", client=client)
    yield made
    made.backend.memories.close()


def test_the_manager_knows_five_personas_and_no_other(manager: TrinitasMemoryManager) -> None:
    assert sorted(manager.personas) == ["artemis", "athena", "bellona", "hestia", "seshat"]
    for call in (
        manager.remember("zeus", "x"),
        manager.recall("zeus", "x"),
        manager.share_memory("zeus", "athena", "x"),
        manager.share_memory("athena", "zeus", "x"),
    ):
        with pytest.raises(ValueError, match=r"^Unknown persona: zeus$"):
            run(call)


@pytest.mark.parametrize(
    ("content", "trinitas", "enhanced"),
    [
        ("The Algorithm of the sort", MemoryType.PROCEDURAL, MemoryType.PROCEDURAL),
        ({"name": "x", "steps": []}, MemoryType.PROCEDURAL, MemoryType.PROCEDURAL),
        ("Standard procedure", MemoryType.EPISODIC, MemoryType.PROCEDURAL),
        ("Definition of done", MemoryType.SEMANTIC, MemoryType.SEMANTIC),
        ("Redesigned", MemoryType.EPISODIC, MemoryType.SEMANTIC),
        ("It happened again", MemoryType.EPISODIC, MemoryType.EPISODIC),
        ("東京", MemoryType.EPISODIC, MemoryType.WORKING),
    ],
)
def test_a_type_is_inferred_as_each_manager_did(
    content: Any, trinitas: MemoryType, enhanced: MemoryType, manager: TrinitasMemoryManager, client: MemoryClient
) -> None:
    assert run(manager.remember("athena", content)).type is trinitas
    other = run(EnhancedMemoryManager(client=client).remember("athena", content))
    assert other is not None
    assert other.type is enhanced
    given = run(manager.remember("athena", content, memory_type=MemoryType.WORKING))
    assert given.type is MemoryType.WORKING


def test_recall_sees_what_was_just_remembered(manager: TrinitasMemoryManager, client: MemoryClient) -> None:
    made = run(manager.remember("athena", {"decision": "Use microservices"}, importance=0.9, tags=["b", "a"]))
    found = run(manager.recall("athena", "microservices", Context("design"), limit=3))
    assert found == [made]
    assert found[0].access_count >= 1
    assert run(manager.recall("hestia", "microservices")) == []
    assert client.get(made.id, persona="athena") is not None


def test_an_empty_text_recalls_all_page_by_page(
    manager: TrinitasMemoryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trinitas_tasks.compat.memories.PAGE", 7)
    made = {run(manager.remember("athena", f"memory {number}")).id for number in range(20)}
    assert {each.id for each in run(manager.recall("athena", "", limit=10_000))} == made
    assert len(run(manager.recall("athena", "", limit=9))) == 9


def test_two_equal_memories_are_two(manager: TrinitasMemoryManager) -> None:
    assert run(manager.remember("athena", "Thanks!")).id != run(manager.remember("athena", "Thanks!")).id


def test_the_manager_tells_what_cannot_be_remembered(manager: TrinitasMemoryManager) -> None:
    with pytest.raises(InvalidMemory, match="importance"):
        run(manager.remember("athena", "x", importance=2.0))


def test_a_shared_memory_is_the_others_from_then_on(manager: TrinitasMemoryManager, client: MemoryClient) -> None:
    made = run(manager.remember("hestia", "A SQL injection was blocked", importance=1.0))
    assert run(manager.recall("athena", "injection")) == []
    run(manager.share_memory("hestia", "athena", made.id))
    found = run(manager.recall("athena", "injection"))
    assert [(each.id, each.persona, each.metadata) for each in found] == [
        (made.id, "athena", {"shared_from": "hestia"})
    ]
    assert run(manager.recall("hestia", "injection")) == [made]
    run(manager.share_memory("athena", "seshat", made.id))  # what was shared can be shared on
    assert client.shared_with(made.id, persona="hestia") == {"athena", "seshat"}


def test_a_missing_memory_to_share_is_only_warned_about(
    manager: TrinitasMemoryManager, caplog: pytest.LogCaptureFixture
) -> None:
    run(manager.share_memory("hestia", "athena", "0123456789abcdef"))
    assert "0123456789abcdef not found in hestia" in caplog.text


def test_a_memory_forgotten_while_it_is_shared_is_missing(
    manager: TrinitasMemoryManager,
    client: MemoryClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = run(manager.remember("hestia", "x"))

    def gone(*_: object, **__: object) -> None:
        raise NotFound("hestia has no memory")

    monkeypatch.setattr(client, "share", gone)
    run(manager.share_memory("hestia", "athena", made.id))
    assert "not found in hestia" in caplog.text


def test_the_managers_statistics_have_the_keys_of_v35(manager: TrinitasMemoryManager) -> None:
    run(manager.remember("athena", "x", MemoryType.WORKING))
    told = manager.get_statistics()
    assert set(told) == set(manager.personas)
    assert told["athena"] == {"working_memory_size": 1, "working_memory_capacity": 9}


def test_the_files_of_v35_are_not_read_and_that_is_said(
    tmp_path: Path, client: MemoryClient, caplog: pytest.LogCaptureFixture
) -> None:
    TrinitasMemoryManager(str(tmp_path / "empty"), client=client)
    assert not caplog.text
    (tmp_path / "athena").mkdir()
    (tmp_path / "athena" / "episodes.db").touch()
    TrinitasMemoryManager(str(tmp_path), client=client)
    assert "trinitas migrate legacy" in caplog.text


def test_semantic_search_asks_all_personas_and_orders_by_importance(enhanced: EnhancedMemoryManager) -> None:
    async def check() -> None:
        await enhanced.remember("athena", "alpha one", importance=0.2, tags=["t"], metadata={"k": 1})
        await enhanced.remember("hestia", "alpha two", importance=0.9)
        await enhanced.remember("stranger", "alpha three", importance=1.0)
        found = await enhanced.semantic_search("alpha")
        assert [(each["persona"], each["content"]) for each in found] == [
            ("hestia", "alpha two"),
            ("athena", "alpha one"),
        ]
        assert set(found[0]) == {"persona", "content", "type", "importance", "timestamp", "tags"}
        assert datetime.fromisoformat(found[0]["timestamp"]).tzinfo is None
        assert len(await enhanced.semantic_search("alpha", ["athena", "hestia", "stranger"], limit=2)) == 2

    run(check())


def test_the_enhanced_manager_recalls_shares_and_counts(enhanced: EnhancedMemoryManager) -> None:
    async def check() -> None:
        assert await enhanced.initialize() is True
        made = await enhanced.remember("athena", "alpha concept", metadata={"k": 1})
        assert await enhanced.recall("athena", "alpha") == [made]
        assert await enhanced.recall("athena", "alpha", use_semantic=False) == []  # it is no experience
        assert await enhanced.cross_persona_share("athena", "bellona", "alpha") == 1
        assert [each.metadata for each in await enhanced.recall("bellona", "alpha")] == [
            {"k": 1, "shared_from": "athena"}
        ]
        told = await enhanced.get_statistics()
        assert (told["manager"]["total_stores"], told["manager"]["total_recalls"]) == (1, 4)
        assert (told["backend"]["backend"], told["cache_hit_rate"]) == ("hybrid", 0)
        health = await enhanced.health_check()
        assert health["status"] == "healthy"
        assert health["backends"] == {"redis": "healthy", "chromadb": "healthy", "sqlite": "healthy"}
        await enhanced.cleanup()

    run(check())
    assert enhanced.persona == "athena"
