"""What users bet on, on real services."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from redis import Redis

from tests.support import wait_until
from trinitas_tasks import MemoryClient, Settings
from trinitas_tasks.errors import InvalidMemory, InvalidQuery
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.tiers.archive.sql import SqlArchive

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("no persona", {"persona": ""}, "persona"),
    ("a path for a persona", {"persona": "../x"}, "persona"),
    ("a long persona", {"persona": "a" * 300}, "persona"),
    ("NUL in the text", {"content": "a\0b"}, "NUL"),
    ("NUL deep inside", {"content": {"a": [{"b": "\0"}]}}, "NUL"),
    ("NUL in the metadata", {"metadata": {"k\0": 1}}, "NUL"),
    ("too important", {"importance": 1.5}, "importance"),
    ("importance that is no number", {"importance": float("nan")}, "importance"),
    ("not JSON", {"content": {1, 2}}, "not JSON"),
    ("keys that are not text", {"content": {1: 2}}, "keys"),
    ("infinity", {"content": [float("inf")]}, "JSON number"),
    ("nothing", {"content": ""}, "empty"),
    ("too large", {"content": "x" * 10_000_000}, "TRINITAS_MAX_CONTENT_KB"),
    ("an unknown type", {"type": "prophetic"}, "type"),
    ("a naive date", {"timestamp": datetime(2026, 1, 1)}, "timezone"),
    ("half a character", {"content": "\ud800"}, "surrogate"),
]


@pytest.mark.parametrize(("fields", "named"), [each[1:] for each in BAD], ids=[each[0] for each in BAD])
def test_what_cannot_be_stored_is_refused_and_nothing_is_stored(
    fields: dict[str, Any], named: str, client: MemoryClient
) -> None:
    with pytest.raises(InvalidMemory, match=named):
        client.remember(**{"content": "fine", **fields})
    with pytest.raises(InvalidMemory, match="memory 2: .*" + named):
        client.remember_many([{"content": "fine"}, {"content": "fine", **fields}])
    assert client.stats().pending == 0
    assert not client.recall("fine")


@pytest.mark.parametrize(
    "content",
    [
        "👩‍👩‍👧‍👦 family, 🏳️‍🌈 flag, 𠮷野家, 👍🏽",
        "שלום עולם, مرحبا بالعالم \u202eabc\u202c",
        "ｶﾞギ゙ 薔薇\u3000全角 e\u0301 é",
        {"nested": [1, 2.5, None, True, {"キー": "値", "": ""}], "big": 2**70, "small": 1e-300},
        "'); DROP TABLE memories; -- \" OR 1=1 NEAR(a b) * ^ : \\ %s {}",
        "x" * 900_000,
        " leading and trailing \r\n\t ",
    ],
    ids=["emoji", "rtl", "japanese", "json", "syntax", "large", "spaces"],
)
def test_content_survives_every_tier_byte_for_byte(
    content: Any, client: MemoryClient, persona: str, stack_settings: Settings
) -> None:
    given = client.remember(content, metadata={"speaker": "José 📎"}, tags=["タグ"])
    fresh = client.get(given)
    wait_until(lambda: client.stats().pending == 0, 60)
    with Redis.from_url(stack_settings.redis()) as raw:
        raw.delete(f"{stack_settings.namespace}:rec:{persona}:{given}")
    archived = client.get(given)
    assert fresh is not None
    assert archived is not None
    assert fresh.content == archived.content == content
    assert archived.metadata == {"speaker": "José 📎"}
    assert archived.tags == ("タグ",)
    assert archived.timestamp == fresh.timestamp


def test_one_reads_ones_own_writes_at_once(client: MemoryClient) -> None:
    for number in range(20):
        given = client.remember(f"The zebra of day {number} is called Fjord{number}.")
        assert client.get(given) is not None
        assert given in [hit.item.id for hit in client.recall(f"fjord{number}", limit=3)]


def test_a_time_to_live_is_armed_only_after_archiving(
    client: MemoryClient, persona: str, stack_settings: Settings
) -> None:
    given = client.remember("short", type="working")
    wait_until(lambda: client.stats().pending == 0, 60)
    with Redis.from_url(stack_settings.redis()) as raw:
        left = raw.pttl(f"{stack_settings.namespace}:rec:{persona}:{given}")
    assert 0 < left <= 3_600_000
    archive = SqlArchive(stack_settings.archive())
    assert archive.load(persona, [given])[0] is not None
    archive.close()


def test_what_is_forgotten_is_gone_from_every_tier(
    client: MemoryClient, persona: str, stack_settings: Settings
) -> None:
    given = client.remember("The launch code is walrus.", type="semantic")
    wait_until(lambda: client.stats().vectors == 1, 60)
    client.forget(given)
    assert client.get(given) is None
    assert not client.recall("launch code walrus")
    wait_until(lambda: client.stats().vectors == 0, 60)
    runtime = Runtime(stack_settings)
    assert runtime.archive.load(persona, [given]) == [None]
    assert runtime.archive.search_text(persona, ["walrus"], 10) == []
    runtime.close()


def test_no_persona_sees_what_another_remembers(client: MemoryClient, persona: str) -> None:
    given = client.remember("The treasure lies under the lighthouse.")
    wait_until(lambda: client.stats().vectors == 1, 60)
    other = f"{persona}-x"
    assert client.get(given, persona=other) is None
    assert not client.recall("treasure lighthouse", persona=other)
    client.forget(given, persona=other)
    assert client.get(given) is not None
    with pytest.raises(InvalidQuery):
        client.recall("treasure", persona="*")


def test_a_synchronous_write_is_archived_when_it_returns(stack_settings: Settings, persona: str) -> None:
    settings = stack_settings.model_copy(update={"async_writes": False})
    with MemoryClient.connect(settings, persona=persona) as client:
        given = client.remember("archived before it returns")
    archive = SqlArchive(settings.archive())
    assert archive.load(persona, [given])[0] is not None
    archive.close()


def test_a_killed_ingest_worker_loses_and_doubles_nothing(client: MemoryClient, stack_settings: Settings) -> None:
    number = 600
    texts = (f"Note {each}: the heron number {each} stands in field {each * 7}." for each in range(number))
    ids = client.remember_many({"content": text} for text in texts)
    stack = Stack(stack_settings)
    for left in (500, 200):
        wait_until(lambda left=left: client.stats().pending <= left, 120)  # type: ignore[misc] # bound per round
        before = pid_of(stack, "ingest")
        os.kill(before, signal.SIGKILL)
        wait_until(lambda before=before: pid_of(stack, "ingest") not in (0, before), 60)  # type: ignore[misc]
    wait_until(lambda: client.stats().pending == 0, 180)
    wait_until(lambda: client.stats().unindexed == 0, 60)
    counted = client.stats()
    assert len(set(ids)) == number
    assert sum((counted.by_type or {}).values()) == counted.vectors == number
    assert counted.dead_letters == 0
    for each in range(0, number, 60):
        found = client.recall(f"heron number {each}", limit=10)
        assert ids[each] in [hit.item.id for hit in found]
        assert len({hit.item.id for hit in found}) == len(found)


def pid_of(stack: Stack, name: str) -> int:
    running = {each.name: each.pid or 0 for each in stack.status().processes if each.state.lower() == "running"}
    return running.get(name, 0)


def test_health_names_every_part(client: MemoryClient) -> None:
    healthy: Callable[[], bool] = lambda: client.health().ok  # noqa: E731
    wait_until(healthy, 60)
    found = client.health()
    assert set(found.parts) == {
        "spool",
        "redis",
        "search worker",
        "ingest worker",
        "lifecycle worker",
        "archive",
        "chroma",
    }
    assert found.warnings == ()
