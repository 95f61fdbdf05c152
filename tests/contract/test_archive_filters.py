"""Whatever is filtered, an archive answers as if it had asked the filters about every memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.archives import KINDS, MODEL, made, opened, row, vectors_of
from tests.support import memory
from trinitas_tasks.errors import ArchiveError
from trinitas_tasks.model import Key, MemoryType
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.archive import filtering, reading
from trinitas_tasks.tiers.archive.interface import Archive, Row
from trinitas_tasks.tiers.archive.lives import Turn
from trinitas_tasks.tiers.archive.local import LocalArchive
from trinitas_tasks.tiers.archive.sql import SqlArchive

START = datetime(2023, 5, 8, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture(params=[*KINDS, "blind"])
def archive(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """Every archive in turn, the SQL one as it is read by its file alone, and as on a database that sees no JSON."""
    blind = request.param == "blind"
    if blind:
        monkeypatch.setattr(reading, "sees_json", lambda _: False)
    with made("sql" if blind else request.param, tmp_path) as archive:
        yield archive


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3)
TAGS = st.one_of(
    st.sampled_from(["a", "A", "a b", '"', "\\", "é", "e\u0301", "'", "\x01", "1", "🦊"]), TEXTS.filter(bool)
)
KEYS = st.one_of(
    st.sampled_from(["a", "A", "a.b", 'a"b', "a'b", "a\\b", "$", "", " ", "\n", "é", "0", "#", "[0]"]), TEXTS
)
TWINS = [
    None, True, False, 0, 1, -1, 0.0, -0.0, 1.0, 1.5, 0.1, 0.30000000000000004, 0.3, "", "1", "true", "null", "a", "A",
    [], {}, [1], [True], [1.0], {"a": 1}, {"a": True}, {"b": [None]}, 2**31, 2**53, 2**53 + 1, float(2**53), 2**63,
    2**64 + 1, 1e300, 5e-324, "[1]", "\u2028", "\x7f", "\ud7ff", '"', "\\",
]  # fmt: skip
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
VALUES = st.one_of(st.sampled_from(TWINS), NUMBERS, TEXTS, st.lists(st.sampled_from(TWINS), max_size=2))
METADATA = st.dictionaries(KEYS, VALUES, max_size=3)
TIMES = st.integers(min_value=-2, max_value=2).map(lambda n: START + n * MICROSECOND)
KINDS_OF = st.sampled_from(MemoryType)
IMPORTANCE = st.sampled_from([0.0, 0.1, 0.5, 0.30000000000000004, 1.0])
ITEMS = st.fixed_dictionaries(
    {
        "type": KINDS_OF,
        "timestamp": TIMES,
        "importance": IMPORTANCE,
        "tags": st.lists(TAGS, max_size=3).map(tuple),
        "metadata": METADATA,
    }
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "types": st.frozensets(KINDS_OF, max_size=2),
        "any_tags": st.frozensets(TAGS, max_size=2),
        "all_tags": st.frozensets(TAGS, max_size=2),
        "since": TIMES,
        "before": TIMES,
        "min_importance": IMPORTANCE,
        "include_archived": st.booleans(),
    },
)
LIMITS = st.sampled_from([0, 1, 2, 3, 100])
EVERY = Filters(include_archived=True)
examples = itertools.count()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), given_items=st.lists(ITEMS, min_size=1, max_size=6), limit=LIMITS)
def test_filters_decide_as_if_asked_about_every_memory(
    archive: Archive, data: st.DataObject, given_items: list[dict[str, Any]], limit: int
) -> None:
    persona = f"p{next(examples)}"
    rows = [
        row(f"word {'filler ' * (n % 3)}", id=f"m{n}", persona=persona, terms=["word"] + ["filler"] * (n % 3), **each)
        for n, each in enumerate(given_items)
    ]
    archive.store(rows)
    archive.store([row("word", id="theirs", persona=f"{persona}-b")])
    filters = data.draw(drawn_from(rows))
    items = {each.record.item.id: each.record.item for each in rows}
    cold = data.draw(st.frozensets(st.sampled_from(sorted(items)), max_size=2))
    archive.turn([Turn(Key(persona, id_), 1, cold=True) for id_ in cold])
    seen = [id_ for id_ in items if filters.include_archived or id_ not in cold]
    admitted = [id_ for id_ in seen if filters.admit(items[id_])]

    matches = archive.search_text(persona, ["word"], 100, filters=EVERY)
    expected = [match for match in matches if match.id in admitted][:limit]
    assert archive.search_text(persona, ["word"], limit, filters=filters) == expected

    asked = vectors_of(memory("asked"), 1)[0]
    near = [each for each in archive.nearest(persona, asked, MODEL, 100, filters=EVERY) if each.id in admitted][:limit]
    assert [each.id for each in archive.nearest(persona, asked, MODEL, limit, filters=filters)] == [
        each.id for each in near
    ]

    newest = sorted(admitted, key=lambda id_: (items[id_].timestamp, list(items).index(id_)), reverse=True)
    assert archive.matching(persona, filters, limit) == newest[:limit]


def drawn_from(rows: list[Row]) -> st.SearchStrategy[Filters]:
    """Filters that some of the memories may pass: their metadata is often that of one of them, or like it."""
    pairs = [pair for each in rows for pair in each.record.item.metadata.items()]
    known = st.lists(st.sampled_from(pairs), max_size=2).map(dict) if pairs else st.just({})
    keys = st.sampled_from([key for key, _ in pairs]) if pairs else KEYS
    metadata = st.one_of(known, st.dictionaries(keys, VALUES, max_size=2), METADATA)
    return st.tuples(FILTERS, metadata).map(lambda both: Filters(**both[0], metadata=both[1]))


@pytest.mark.parametrize(
    ("kept", "admits", "refuses"),
    [
        (1, [1, 1.0], [True, "1", [1], None, 2]),
        (True, [True], [1, 1.0, "true", False]),
        (0, [0, 0.0, -0.0], [False, None, "", "0"]),
        (None, [None], [False, 0, "", "null"]),
        ("1", ["1"], [1, "1 ", ["1"]]),
        ([1, True], [[1, True], [1.0, True]], [[True, 1], [1, 1], [1], {}]),
        ({"a": {"b": 1}}, [{"a": {"b": 1}}], [{"a": {"b": True}}, {"a": {}}, '{"a":{"b":1}}']),
        (2**53 + 1, [2**53 + 1], [2**53, float(2**53)]),
        (0.1, [0.1], [0.1 + 2**-56, "0.1"]),
    ],
)
def test_values_are_those_of_json(archive: Archive, kept: object, admits: list[object], refuses: list[object]) -> None:
    keys = {"plain": "plain", "quoted": 'od"d', "dotted": "a.b"}
    archive.store([row("word", id=id_, metadata={key: kept}) for id_, key in keys.items()])
    archive.store([row("word", id="without")])
    for id_, key in keys.items():
        for value in admits:
            assert archive.matching("athena", Filters(metadata={key: value}), 10) == [id_]
        for value in refuses:
            assert archive.matching("athena", Filters(metadata={key: value}), 10) == []


def test_a_key_that_is_missing_is_not_null(archive: Archive) -> None:
    archive.store([row(id="null", metadata={"a": None}), row(id="missing")])
    assert archive.matching("athena", Filters(metadata={"a": None}), 10) == ["null"]


def test_what_is_rare_is_found_below_many_others(archive: Archive) -> None:
    many = [row("word " * 3, id=f"m{n}", terms=["word"] * 3, timestamp=START, tags=("often",)) for n in range(3000)]
    few = [
        row(f"word {n}", id=f"few{n}", terms=["word", "x"], tags=("seldom",), metadata={"n": {"is": n}, "shared": [1]})
        for n in range(3)
    ]
    archive.store([*few, *many])
    for filters in (Filters(all_tags=frozenset({"seldom"})), Filters(metadata={"shared": [1]})):
        matches = archive.search_text("athena", ["word"], 2, filters=filters)
        assert [match.id for match in matches] == ["few0", "few1"]
        asked = few[1].vectors[0]
        assert archive.nearest("athena", asked, MODEL, 1, filters=filters)[0].id == "few1"
        assert len(archive.nearest("athena", asked, MODEL, 10, filters=filters)) == 3
        assert archive.matching("athena", filters, 2) == ["few2", "few1"]
    assert archive.matching("athena", Filters(), 1)[0] in {"few2", "m2999"}


def test_filters_are_never_syntax(archive: Archive) -> None:
    archive.store([row(terms=["word"])])
    for text in ("'", '"', "') OR 1=1 --", "$", ":x", "%", "\\", "];", "?", ":persona"):
        for filters in (
            Filters(any_tags=frozenset({text})), Filters(all_tags=frozenset({text})), Filters(metadata={text: text})
        ):  # fmt: skip
            assert archive.matching("athena", filters, 10) == []
            assert archive.search_text("athena", ["word"], 10, filters=filters) == []


def test_damaged_labels_are_named_not_skipped(sql: SqlArchive, database: Path) -> None:
    sql.store([row()])
    with opened(database) as other:
        other.execute("UPDATE memories SET metadata = '{oops'")
    with pytest.raises(ArchiveError, match="m1"):
        LocalArchive(database).matching("athena", Filters(metadata={"a": [1]}), 10)


def test_another_database_is_not_asked_about_json() -> None:
    labels = Filters(any_tags=frozenset({"a"}), metadata={"a": "b"})
    asked = filtering.matching("athena", labels.model_copy(update={"since": START}), 10, sees_json=False)
    assert "json" not in asked.statement
    assert asked.left == labels
