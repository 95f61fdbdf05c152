"""The names of v3.5: what they warn of, what their configuration comes to, and one of each for a process."""

from __future__ import annotations

import asyncio
import inspect
import re
import threading
import warnings
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.clients import Bench
from trinitas_tasks import compat
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.compat import (
    Context,
    EnhancedMemoryManager,
    HybridConfig,
    HybridMemoryBackend,
    MemoryItem,
    MemoryType,
    Query,
    TrinitasMemoryManager,
    create_hybrid_backend,
    deprecation,
    enhanced,
    get_enhanced_memory_manager,
    get_memory_manager,
    initialize_memory_manager,
    trinitas,
)
from trinitas_tasks.errors import SettingsError

IGNORED = pytest.mark.filterwarnings("ignore:.*Trinitas v3.5:DeprecationWarning")
Warned = list[warnings.WarningMessage]


@pytest.fixture(autouse=True)
def _as_a_new_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(deprecation, "_said", set())
    monkeypatch.setattr(trinitas, "_manager", None)
    monkeypatch.setattr(enhanced, "_manager", None)
    monkeypatch.setenv("TRINITAS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@contextmanager
def recorded() -> Iterator[Warned]:
    """What is warned of."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield warned


def named(warned: Warned) -> list[str]:
    return [str(each.message).partition(" is of")[0] for each in warned]


# Deprecation.


def test_each_name_warns_once_where_it_is_used(bench: Bench) -> None:
    client = bench.client(persona=None)

    async def old_code() -> None:
        manager = TrinitasMemoryManager(client=client)
        for _ in range(3):
            await manager.remember("athena", "x")
            await manager.recall("athena", "x")
        await manager.start_background_tasks()

    with recorded() as warned:
        asyncio.run(old_code())
        asyncio.run(old_code())
    expected = ["", ".remember", ".recall", ".start_background_tasks"]
    assert named(warned) == [f"TrinitasMemoryManager{name}" for name in expected]
    lines = inspect.getsourcelines(old_code)
    assert {each.filename for each in warned} == {__file__}
    assert all(lines[1] <= each.lineno < lines[1] + len(lines[0]) for each in warned)
    assert "use MemoryClient.remember()" in str(warned[1].message)
    assert "Celery beat" in str(warned[3].message)


def test_a_coroutine_in_a_task_points_to_who_started_the_loop(bench: Bench) -> None:
    with recorded():
        backend = create_hybrid_backend(client=bench.client(persona=None))
        item = MemoryItem("", "x", MemoryType.SEMANTIC, "athena")

    async def stores() -> None:
        await asyncio.gather(*(backend.store(item) for _ in range(3)))

    with recorded() as warned:
        asyncio.run(stores())
    assert named(warned) == ["HybridMemoryBackend.store"]
    assert warned[0].filename == __file__


def test_a_loop_in_a_thread_is_warned_about_too(bench: Bench) -> None:
    with recorded():
        backend = create_hybrid_backend(client=bench.client(persona=None))

    async def asks() -> None:
        await asyncio.gather(backend.retrieve("a1"))

    with recorded() as warned:
        thread = threading.Thread(target=asyncio.run, args=(asks(),))
        thread.start()
        thread.join()
    assert named(warned) == ["HybridMemoryBackend.retrieve"]


def test_what_the_names_do_among_themselves_is_not_warned_about(bench: Bench) -> None:
    with recorded() as warned:
        manager = EnhancedMemoryManager(client=bench.client(persona=None))
        asyncio.run(manager.remember("athena", "x"))
        asyncio.run(manager.semantic_search("x"))
    names = ["", ".remember", ".semantic_search"]
    assert named(warned) == [f"EnhancedMemoryManager{name}" for name in names]
    with recorded() as warned:
        Query("x", Context("y"))
        HybridConfig()
    assert named(warned) == ["Context", "Query", "HybridConfig"]


def test_every_public_coroutine_is_one_for_whoever_looks() -> None:
    for owner in (TrinitasMemoryManager, EnhancedMemoryManager, HybridMemoryBackend):
        for name, member in vars(owner).items():
            synchronous = (owner, name) == (TrinitasMemoryManager, "get_statistics")
            if inspect.isfunction(member) and not name.startswith("_"):
                assert inspect.iscoroutinefunction(member) != synchronous, name


NAMES = {
    "MemoryType": "WORKING EPISODIC SEMANTIC PROCEDURAL",
    "MemoryPriority": "CRITICAL HIGH MEDIUM LOW MINIMAL",
    "MemoryItem": "",
    "Query": "",
    "Context": "",
    "TrinitasMemoryManager": "remember recall share_memory get_statistics start_background_tasks stop_background_tasks",
    "EnhancedMemoryManager": (
        "initialize remember recall semantic_search cross_persona_share get_statistics health_check cleanup"
    ),
    "HybridConfig": "",
    "HybridMemoryBackend": "initialize store retrieve search delete get_stats",
    "create_hybrid_backend": "",
    "initialize_memory_manager": "",
    "get_memory_manager": "",
}
"""What code of v3.5 calls."""


def test_every_name_is_there() -> None:
    assert set(NAMES) <= set(compat.__all__) <= set(dir(compat))
    for name, members in NAMES.items():
        assert [each for each in members.split() if not hasattr(getattr(compat, name), each)] == [], name


def test_every_warning_names_a_call_that_there_is() -> None:
    """As they stand in the source: each name of v3.5 with its successor."""
    folder = Path(compat.__file__).parent
    source = "".join(each.read_text() for each in sorted(folder.glob("*.py")))
    told = dict(re.findall(r'deprecated\("([\w.]+)", "([^"]+)"\)', source))
    called = {name for name, members in NAMES.items() if name not in ("MemoryType", "MemoryPriority")}
    called |= {f"{name}.{each}" for name, members in NAMES.items() for each in members.split() if each.islower()}
    assert called <= set(told), called - set(told)
    for old, new in told.items():
        calls = re.findall(r"MemoryClient\.(\w+)", new)
        assert [each for each in calls if not callable(getattr(MemoryClient, each, None))] == [], old
        assert calls or "Celery beat" in new or "load_settings" in new, old


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (TrinitasMemoryManager.remember, "self, persona, content, memory_type=None, importance=0.5, tags=None"),
        (TrinitasMemoryManager.recall, "self, persona, query_text, context=None, limit=5"),
        (TrinitasMemoryManager.share_memory, "self, from_persona, to_persona, memory_id"),
        (
            EnhancedMemoryManager.remember,
            "self, persona, content, memory_type=None, importance=0.5, tags=None, metadata=None",
        ),
        (EnhancedMemoryManager.recall, "self, persona, query_text, context=None, limit=5, use_semantic=True"),
        (EnhancedMemoryManager.semantic_search, "self, query_text, personas=None, limit=10, min_similarity=0.5"),
        (EnhancedMemoryManager.cross_persona_share, "self, from_persona, to_persona, query_text, limit=5"),
        (EnhancedMemoryManager.initialize, "self"),
        (EnhancedMemoryManager.get_statistics, "self"),
        (EnhancedMemoryManager.health_check, "self"),
        (EnhancedMemoryManager.cleanup, "self"),
        (TrinitasMemoryManager.get_statistics, "self"),
        (HybridMemoryBackend.initialize, "self"),
        (HybridMemoryBackend.store, "self, item"),
        (HybridMemoryBackend.retrieve, "self, item_id"),
        (HybridMemoryBackend.search, "self, query, persona"),
        (HybridMemoryBackend.delete, "self, item_id"),
        (HybridMemoryBackend.get_stats, "self"),
        (create_hybrid_backend, "config=None, persona='shared', client=None"),
        (
            Query,
            "text, context=None, needs_experience=False, needs_knowledge=False, needs_procedure=False, limit=5, "
            "threshold=0.7",
        ),
        (get_memory_manager, ""),
        (get_enhanced_memory_manager, "persona='shared'"),
        (initialize_memory_manager, "storage_base=None"),
    ],
)
def test_the_signatures_are_those_of_v35(call: Any, expected: str) -> None:
    parameters = inspect.signature(call).parameters.values()
    shown = [
        each.name if each.default is inspect.Parameter.empty else f"{each.name}={each.default!r}" for each in parameters
    ]
    assert ", ".join(shown) == expected


# Configuration.


@IGNORED
def test_what_is_left_at_its_default_overrides_nothing() -> None:
    assert HybridConfig(redis_enabled=True, chromadb_enabled=True).overrides() == {}


@IGNORED
def test_where_redis_is_and_what_a_client_decides_are_settings(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere:1/0")
    backend = create_hybrid_backend({"redis_host": "memory.example", "redis_ttl_cache": 7, "async_writes": False})
    settings = backend.memories.settings()
    assert settings.redis() == "redis://memory.example:6379/0"
    assert (settings.redis_ttl_cache, settings.async_writes) == (7, False)
    assert not caplog.text
    assert create_hybrid_backend().memories.settings().redis() == "redis://elsewhere:1/0"


@IGNORED
def test_what_means_nothing_any_more_is_noted_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    backend = create_hybrid_backend({"chromadb_path": "/data/old", "sqlite_path": "/data/old.db", "replicas": 3})
    assert backend.config.overrides() == {}
    for said in (
        "chromadb_path='/data/old' is ignored",
        "sqlite_path='/data/old.db' is ignored",
        "replicas is ignored",
    ):
        assert said in caplog.text


@IGNORED
def test_a_backend_of_no_redis_says_what_to_do() -> None:
    backend = create_hybrid_backend()
    calls: list[Coroutine[Any, Any, Any]] = [
        backend.initialize(),
        backend.store(MemoryItem("", "x", MemoryType.SEMANTIC, "athena")),
        backend.search(Query("x"), "athena"),
    ]
    for call in calls:
        with pytest.raises(SettingsError, match="trinitas up"):
            asyncio.run(call)


# One for a process.


@IGNORED
def test_a_process_has_one_manager_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")

    async def check() -> None:
        manager = await initialize_memory_manager("/tmp/elsewhere")
        assert await get_memory_manager() is manager
        assert await initialize_memory_manager() is manager
        assert manager.storage_base == Path("/tmp/elsewhere")
        other = await get_enhanced_memory_manager("Athena")
        assert await get_enhanced_memory_manager() is other
        assert other.persona == "athena"
        await other.cleanup()

    asyncio.run(check())
