"""What can be remembered, what cannot, and that nothing of it changes on the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import memory
from trinitas_tasks.errors import InvalidMemory, InvalidQuery
from trinitas_tasks.model import MAX_DEPTH, MemoryItem, MemoryType, check_id, check_persona, new_id
from trinitas_tasks.query import Query

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def cyclic() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


BAD_FIELDS = {
    "no persona": ("persona", ""),
    "a path as persona": ("persona", "../x"),
    "a 300-character persona": ("persona", "p" * 300),
    "a 65-character persona": ("persona", "p" * 65),
    "a newline after the persona": ("persona", "athena\n"),
    "a persona with a colon": ("persona", "a:b"),
    "a Cyrillic persona": ("persona", "аthena"),
    "a persona that is no string": ("persona", 7),
    "NUL in text": ("content", "a\0b"),
    "NUL deep inside": ("content", {"a": [{"b": "\0"}]}),
    "NUL in a key": ("content", {"\0": 1}),
    "NUL in metadata": ("metadata", {"a": "\0"}),
    "NUL in a tag": ("tags", ["\0"]),
    "a lone surrogate": ("content", "\ud800"),
    "importance above 1": ("importance", 1.5),
    "importance below 0": ("importance", -0.1),
    "importance that is not a number": ("importance", float("nan")),
    "infinite importance": ("importance", float("inf")),
    "enormous importance": ("importance", 10**5000),
    "an object": ("content", object()),
    "bytes": ("content", b"bytes"),
    "a set": ("content", {1}),
    "a date": ("content", NOON),
    "a decimal": ("content", Decimal(1)),
    "a tuple": ("content", (1, 2)),
    "NaN inside": ("content", [float("nan")]),
    "infinity inside": ("content", {"a": float("-inf")}),
    "keys that are no strings": ("content", {1: 2}),
    "something enormous beside something bad": ("content", [10**5000, "\0"]),
    "too deep": ("content", nested(MAX_DEPTH + 1)),
    "far too deep": ("content", nested(100_000)),
    "a cycle": ("content", cyclic()),
    "nothing": ("content", None),
    "empty text": ("content", ""),
    "blank text": ("content", " \n"),
    "an unknown type": ("type", "dream"),
    "a type in capitals": ("type", "EPISODIC"),
    "a naive date": ("timestamp", datetime(2026, 1, 1)),
    "a naive date as text": ("timestamp", "2026-01-01T00:00:00"),
    "no date": ("timestamp", "yesterday"),
    "a date before the year 1": ("timestamp", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9)))),
    "a date after the year 9999": ("timestamp", datetime.max.replace(tzinfo=timezone(-timedelta(hours=9)))),
    "no id": ("id", ""),
    "an id with a space": ("id", "a b"),
    "an id that is a path": ("id", "../x"),
    "a long id": ("id", "i" * 129),
    "no time to live": ("ttl", 0),
    "a time to live of ages": ("ttl", 11 * 365 * 86400),
    "a time to live as text": ("ttl", "60"),
    "metadata that are a list": ("metadata", [1]),
    "metadata that are not JSON": ("metadata", {"a": {1, 2}}),
    "tags that are one string": ("tags", "abc"),
    "an empty tag": ("tags", [""]),
    "too many tags": ("tags", ["t"] * 65),
    "an unknown field": ("colour", "red"),
}


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS.values(), ids=BAD_FIELDS)
def test_what_cannot_be_remembered_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(InvalidMemory) as caught:
        memory(**{field: value})
    assert str(caught.value).startswith(field)
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


def test_the_message_says_what_is_wrong_and_what_was_given() -> None:
    with pytest.raises(InvalidMemory, match=r"importance: .*less than or equal to 1 \(got 1\.5\)"):
        memory(importance=1.5)
    with pytest.raises(InvalidMemory, match=r"type: .*'working', 'episodic', 'semantic' or 'procedural'"):
        memory(type="dream")
    with pytest.raises(InvalidMemory, match=r"timestamp: .*timezone"):
        memory(timestamp="2026-01-01T00:00:00")


def test_every_bad_field_is_named() -> None:
    with pytest.raises(InvalidMemory) as caught:
        memory(importance=2, type="dream")
    assert {part.split(":")[0] for part in str(caught.value).split("; ")} == {"importance", "type"}


@pytest.mark.parametrize("persona", ["a", "a-b", "a_b", "A9", "p" * 64])
def test_a_persona_is_a_plain_name(persona: str) -> None:
    assert memory(persona=persona).persona == check_persona(persona)


@pytest.mark.parametrize("persona", ["", "-a", "a-", "a b", "a/b", "p" * 65, "a\n", None, 7, b"a"])
def test_a_question_names_a_persona(persona: object) -> None:
    with pytest.raises(InvalidQuery, match="persona"):
        check_persona(persona)


@pytest.mark.parametrize("memory_id", ["", ":a", "a b", "i" * 129, "a\n", None, 7])
def test_a_bad_id_cannot_be_asked_for(memory_id: object) -> None:
    with pytest.raises(InvalidQuery, match="id"):
        check_id(memory_id)


@pytest.mark.parametrize("memory_id", ["D1:3", "conv-26/7", "a@b+c", "i" * 128])
def test_ids_of_other_systems_are_kept(memory_id: str) -> None:
    assert memory(id=memory_id).id == check_id(memory_id)


@pytest.mark.parametrize("depth", [1, MAX_DEPTH])
def test_content_may_be_nested(depth: int) -> None:
    assert MemoryItem.from_json(memory(nested(depth)).to_json()).content == nested(depth)


def test_an_integer_of_more_digits_than_python_prints_is_refused() -> None:
    with pytest.raises(InvalidMemory, match="content"):
        memory(10**5000).to_json()


# Times.


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 7, 20, 20, 17, 40, 999_999, UTC),
        datetime.max.replace(tzinfo=UTC),
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    ],
)
def test_times_are_kept_to_the_microsecond_in_utc(moment: datetime) -> None:
    item = MemoryItem.from_json(memory(timestamp=moment).to_json())
    assert item.timestamp == moment.astimezone(UTC)
    assert item.timestamp.utcoffset() == timedelta(0)
    assert item.last_access == item.timestamp


def test_a_time_can_be_given_as_text() -> None:
    assert memory(timestamp="2026-01-02T21:00:00+09:00").timestamp == NOON


# There and back.

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)


def exactly(value: Any) -> str:
    """Distinguishes 1, 1.0 and True, 0.0 and -0.0."""
    return repr(value)


@given(
    content=JSON.filter(lambda value: value is not None and not (isinstance(value, str) and not value.strip())),
    metadata=st.dictionaries(TEXT, JSON, max_size=3),
    tags=st.lists(TEXT.filter(lambda tag: 0 < len(tag) <= 256), max_size=3),
    timestamp=st.datetimes(timezones=st.just(UTC)),
    importance=st.floats(0, 1),
    ttl=st.none() | st.integers(1, 1000),
    kind=st.sampled_from(MemoryType),
)
def test_any_memory_comes_back_the_same(kind: MemoryType, **fields: Any) -> None:
    item = memory(type=kind, **fields)
    back = MemoryItem.from_json(item.to_json())
    assert back == item
    assert exactly((back.content, back.metadata)) == exactly((fields["content"], fields["metadata"]))
    assert back.to_json() == item.to_json()


def test_access_counts_travel_beside_the_bytes() -> None:
    item = memory(access_count=3, last_access=NOON)
    assert b"access" not in item.to_json()
    assert MemoryItem.from_json(item.to_json(), access_count=3, last_access=NOON) == item


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"7", b"null", b"{}", b'{"id":1', b"[" * 100_000])
def test_bytes_that_are_no_memory_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidMemory, match="unreadable record") as caught:
        MemoryItem.from_json(body)
    assert "\n" not in str(caught.value)


def test_a_field_this_version_does_not_know_is_refused() -> None:
    fields = {**json.loads(memory().to_json()), "colour": "red"}
    with pytest.raises(InvalidMemory, match="colour"):
        MemoryItem.from_json(json.dumps(fields).encode())


# Ids.


def test_ids_are_uuids_of_version_7() -> None:
    made = UUID(new_id(NOON))
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == int(NOON.timestamp() * 1000)


def test_ids_sort_by_the_time_of_their_making() -> None:
    made = [new_id(NOON + timedelta(milliseconds=each)) for each in range(1000)]
    assert sorted(made) == made


def test_ids_of_one_moment_differ() -> None:
    assert len({new_id(NOON) for _ in range(10_000)}) == 10_000


# Questions.


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", None), ("text", "a\0b"), ("text", "\ud800"), ("persona", "../x"), ("limit", 0), ("limit", 1001),
        ("limit", "7"), ("limit", True), ("filters", {"types": ["dream"]}), ("colour", "red"),
    ],
)  # fmt: skip
def test_a_bad_question_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(InvalidQuery, match="^types" if field == "filters" else f"^{field}"):
        Query.build(**{"text": "where?", "persona": "athena", field: value})


def test_a_question_survives_json() -> None:
    query = Query.build(text="東京🦊", persona="athena", limit=3, filters={"types": {"semantic", "working"}})
    assert Query.build(**json.loads(json.dumps(query.model_dump(mode="json")))) == query
