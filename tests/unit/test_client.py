"""What the client remembers, and what it refuses to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.clients import Bench, Held, got, ids
from trinitas_tasks.client import PIPELINE, MemoryClient
from trinitas_tasks.errors import InvalidMemory, InvalidQuery
from trinitas_tasks.model import MemoryType


@pytest.fixture
def client(bench: Bench) -> MemoryClient:
    return bench.client()


# Remembering and getting.


def test_what_is_remembered_can_be_got(client: MemoryClient) -> None:
    before = datetime.now(UTC)
    memory_id = client.remember("東京🦊")
    item = got(client, memory_id)
    assert (item.content, item.persona, item.type) == ("東京🦊", "athena", MemoryType.EPISODIC)
    assert (item.importance, item.ttl, item.metadata, item.tags) == (0.5, None, {}, ())
    assert before - timedelta(milliseconds=1) <= item.timestamp <= datetime.now(UTC)
    assert [got(client, memory_id).access_count for _ in range(2)] == [2, 3]


def test_every_field_is_kept(client: MemoryClient) -> None:
    fields: dict[str, Any] = {
        "type": "procedural", "timestamp": datetime(2020, 1, 1, tzinfo=UTC), "importance": 0.9, "ttl": 60,
        "metadata": {"a": [1, None]}, "tags": ("x", "y"), "id": "D1:3",
    }  # fmt: skip
    assert client.remember({"any": ["json"]}, **fields) == "D1:3"
    item = got(client, "D1:3")
    assert {name: getattr(item, name) for name in fields} == fields
    assert item.content == {"any": ["json"]}


def test_the_same_call_again_is_the_same_memory(client: MemoryClient) -> None:
    first = client.remember("Thanks!", metadata={"speaker": "Ann"})
    assert client.remember("Thanks!", metadata={"speaker": "Ann"}) == first
    others = [
        client.remember("Thanks!"),
        client.remember("Thanks!", metadata={"speaker": "Bob"}),
        client.remember("Thanks!", metadata={"speaker": "Ann"}, type="semantic"),
        client.remember("Thanks!", metadata={"speaker": "Ann"}, tags=["t"]),
        client.remember("Thanks!", metadata={"speaker": "Ann"}, timestamp=datetime(2020, 1, 1, tzinfo=UTC)),
        client.remember("Thanks!", metadata={"speaker": "Ann"}, persona="hera"),
    ]
    assert len({first, *others}) == 7


def test_a_window_of_nothing_keeps_everything_apart(bench: Bench) -> None:
    client = bench.client(TRINITAS_DEDUP_SECONDS=0)
    assert client.remember("again") != client.remember("again")


def test_with_an_id_a_memory_is_replaced(client: MemoryClient) -> None:
    client.remember("old", id="x")
    client.remember("new", id="x")
    assert got(client, "x").content == "new"
    assert ids(client.recall("new")) == ["x"]


def test_many_are_remembered_in_order(client: MemoryClient) -> None:
    number = 2 * PIPELINE + 50
    made = client.remember_many({"content": f"note {each}", "tags": [str(each)]} for each in range(number))
    assert len(set(made)) == number
    assert [got(client, made[each]).tags for each in (0, PIPELINE, number - 1)] == [
        ("0",),
        (str(PIPELINE),),
        (str(number - 1),),
    ]
    assert client.remember_many([]) == []


def test_many_may_name_their_own_personas(client: MemoryClient) -> None:
    one, two = client.remember_many([{"content": "a", "persona": "hera"}, {"content": "a"}], persona="zeus")
    assert got(client, one, persona="hera").content == got(client, two, persona="zeus").content == "a"


def test_a_synchronous_write_returns_when_the_archive_has_it(bench: Bench) -> None:
    client = bench.client(ASYNC_WRITES=False)
    memory_id = client.remember("now")
    assert bench.world.archive.load("athena", [memory_id])[0].item.content == "now"


# What cannot be remembered leaves nothing behind.

BAD = {
    "empty persona": ({"persona": ""}, "persona"),
    "path as persona": ({"persona": "../x"}, "persona"),
    "long persona": ({"persona": "p" * 300}, "persona"),
    "NUL": ({"content": "a\0b"}, "content"),
    "importance": ({"importance": 1.5}, "importance"),
    "NaN": ({"importance": float("nan")}, "importance"),
    "not JSON": ({"content": {1, 2}}, "content"),
    "10 MB": ({"content": "x" * 10_000_000}, "content: .*TRINITAS_MAX_CONTENT_KB"),
    "unknown type": ({"type": "dream"}, "type"),
    "naive date": ({"timestamp": datetime(2026, 1, 1)}, "timestamp"),
    "nothing": ({"content": None}, "content"),
    "unknown argument": ({"colour": "red"}, "colour"),
}


@pytest.mark.parametrize(("fields", "named"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_by_name_before_anything_is_stored(
    bench: Bench, fields: dict[str, Any], named: str
) -> None:
    client = bench.client(Held)
    good = {"content": "good"}
    with pytest.raises(InvalidMemory, match=f"^memory 3: {named}"):
        client.remember_many([good, good, {**good, **fields}, good])
    if "colour" not in fields:
        with pytest.raises(InvalidMemory, match=f"^{named}"):
            client.remember(**{**good, **fields})
    assert bench.world.hot.stats("athena").outbox == 0
    assert not bench.world.hot.due()


def test_how_large_a_memory_may_be_is_a_setting(bench: Bench) -> None:
    small = bench.client(TRINITAS_MAX_CONTENT_KB=1)
    small.remember("x" * 700)
    with pytest.raises(InvalidMemory, match="1 KB allowed"):
        small.remember("x" * 1100)
    with pytest.raises(InvalidMemory, match="1 KB allowed"):
        small.remember("漢" * 400)


def test_a_memory_belongs_to_somebody(bench: Bench) -> None:
    client = bench.client(persona=None)
    with pytest.raises(InvalidMemory, match="persona"):
        client.remember("x")
    questions: list[Callable[[], object]] = [
        lambda: client.get("x"), lambda: client.recall("x"), lambda: client.forget("x"), client.stats,
        lambda: client.get("x", persona="../y"), lambda: client.recall("x", persona=""),
    ]  # fmt: skip
    for ask in questions:
        with pytest.raises(InvalidQuery, match="persona"):
            ask()
    with pytest.raises(InvalidQuery, match="persona"):
        bench.client(persona="../x")
