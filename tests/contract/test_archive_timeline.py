"""Whatever is asked of a timeline, every archive answers what a list would, and by an index."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.archives import KINDS, key, made, opened, row
from trinitas_tasks.model import Key, MemoryItem, MemoryType
from trinitas_tasks.policy.chronology import BEGINNING, END, Place, Span, Stretch
from trinitas_tasks.policy.micros import to_micros
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.archive import timeline
from trinitas_tasks.tiers.archive.interface import EVERYTHING, Archive, Row
from trinitas_tasks.tiers.archive.lives import Turn

T0 = datetime(2026, 5, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
PERSONAS = ("athena", "hera", "artemis")
ALL = Span()
KEPT = st.fixed_dictionaries(
    {
        "persona": st.sampled_from(PERSONAS),
        "type": st.sampled_from(MemoryType),
        "timestamp": st.integers(0, 3).map(lambda n: T0 + n * MICROSECOND),
        "importance": st.sampled_from([0.0, 0.5, 1.0]),
        "tags": st.sampled_from([(), ("a",), ("a", "b")]),
        "metadata": st.sampled_from([{}, {"n": 1}, {"n": True}, {"n": 0.1}]),
    }
)
PLACES = st.sampled_from([BEGINNING, END]) | st.builds(
    Place,
    st.integers(-1, 4).map(lambda n: to_micros(T0) + n),
    st.sampled_from(["", *PERSONAS, "zeus"]),
    st.sampled_from(["", "0-0", "1-3", "z"]),
)
FILTERS = st.fixed_dictionaries(
    {"include_archived": st.booleans()},
    optional={
        "types": st.frozensets(st.sampled_from(MemoryType), max_size=2),
        "any_tags": st.frozensets(st.sampled_from(["a", "b"]), max_size=1),
        "all_tags": st.frozensets(st.sampled_from(["a", "b"]), max_size=2),
        "since": st.integers(0, 3).map(lambda n: T0 + n * MICROSECOND),
        "before": st.integers(0, 3).map(lambda n: T0 + n * MICROSECOND),
        "min_importance": st.sampled_from([0.0, 0.5, 1.0]),
        "metadata": st.sampled_from([{}, {"n": 1}, {"n": 0.1}]),
    },
).map(lambda fields: Filters(**fields))


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Archive]]:
    """One of every kind, which all examples share."""
    with ExitStack() as opened:
        yield [opened.enter_context(made(kind, tmp_path_factory.mktemp(kind))) for kind in KINDS]


@pytest.fixture(params=KINDS)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    """Every archive in turn, and the SQL one as it is read by its file alone."""
    with made(request.param, tmp_path) as archive:
        yield archive


examples = itertools.count()


def whole(archive: Archive, span: Span, limit: int, **asked: Any) -> list[MemoryItem]:
    """Stretch after stretch, to the end."""
    found: list[MemoryItem] = []
    while True:
        part = archive.timeline("athena", span, limit, **asked)
        assert len(part.records) <= limit
        assert all(span.reaches(Place.of(record.item), part.end) for record in part.records)
        found += [record.item for record in part.records]
        if part.end is None:
            return found
        span = span.beyond(part.end)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kept=st.lists(st.tuples(KEPT, st.booleans(), st.booleans()), max_size=9),
    ends=st.tuples(PLACES, PLACES),
    newest_first=st.booleans(),
    filters=FILTERS,
    limit=st.integers(1, 4),
)
def test_a_timeline_is_a_sorted_list(
    archives: list[Archive],
    kept: Sequence[tuple[Mapping[str, Any], bool, bool]],
    ends: tuple[Place, Place],
    newest_first: bool,
    filters: Filters,
    limit: int,
) -> None:
    example = next(examples)
    rows = [row(id=f"{n % 3}-{example}-{n}", **fields) for n, (fields, _, _) in enumerate(kept)]
    cold = {key(each) for each, (_, is_cold, _) in zip(rows, kept, strict=True) if is_cold}
    shared = [
        key(each) for each, (_, _, lent) in zip(rows, kept, strict=True) if lent and key(each).persona != "athena"
    ]
    span = Span(*ends, newest_first)
    expected = sorted(
        (
            item
            for item in (each.record.item for each in rows)
            if (item.persona == "athena" or Key(item.persona, item.id) in shared)
            and (filters.include_archived or Key(item.persona, item.id) not in cold)
            and filters.admit(item)
            and span.low < Place.of(item) < span.high
        ),
        key=Place.of,
        reverse=newest_first,
    )
    since_and_before = Span.of(filters, newest_first=newest_first)
    span = Span(max(span.low, since_and_before.low), min(span.high, since_and_before.high), newest_first)
    for archive in archives:
        archive.store(rows)
        archive.turn([Turn(each, 1, cold=True) for each in cold])
        asked = {"filters": filters, "shared": [*shared, Key("hera", "nothing")]}
        assert whole(archive, span, limit, **asked) == expected
        archive.erase([(key(each), 1) for each in rows])


def test_it_ends_where_nothing_follows(archive: Archive) -> None:
    archive.store([row(id=f"m{n}", timestamp=T0 + n * MICROSECOND) for n in range(3)])
    assert archive.timeline("athena", ALL, 4).end is None
    part = archive.timeline("athena", ALL, 2)
    assert ([each.item.id for each in part.records], part.end) == (
        ["m2", "m1"],
        Place(to_micros(T0) + 1, "athena", "m1"),
    )
    assert archive.timeline("zeus", ALL, 2) == Stretch([])


def test_many_shared_memories_of_several_owners_are_merged(archive: Archive) -> None:
    rows = [row(id=f"m{n}", persona=PERSONAS[n % 3], timestamp=T0 + n % 7 * MICROSECOND) for n in range(3 * 700)]
    archive.store(rows)
    shared = [key(each) for each in rows if key(each).persona != "athena"]
    part = archive.timeline("athena", ALL, 1000, shared=shared)
    expected = sorted((Place.of(each.record.item) for each in rows), reverse=True)
    assert [Place.of(record.item) for record in part.records] == expected[:1000]


def test_where_few_are_admitted_it_ends_early(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "STEP", 5)
    monkeypatch.setattr(timeline, "SCANNED", 20)
    archive.store([row(id=f"m{n:02}", timestamp=T0 + n * MICROSECOND, tags=("rare",) * (n == 2)) for n in range(50)])
    rare = Filters(any_tags={"rare"}, include_archived=True)
    steps = 0
    span, part = ALL, Stretch([], END)
    while part.end is not None:
        part = archive.timeline("athena", span, 3, filters=rare)
        span = span.beyond(part.end or BEGINNING)
        steps += 1
    assert [record.item.id for record in part.records] == ["m02"]
    assert steps == (1 if type(archive).__name__ == "MemoryArchive" else 3)


def plans(database: Path, filters: Filters, shared: Sequence[Key]) -> Iterator[tuple[str, str]]:
    """Every question that is asked, and how SQLite answers it."""
    with opened(database) as connection:

        def explained(statement: str, values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
            found = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
            told.append((statement, "; ".join(line[3] for line in found)))
            return []

        told: list[tuple[str, str]] = []
        timeline.stretch(explained, "athena", ALL, 10, filters=filters, shared=shared, sees_json=True)
        yield from told


def many(database: Path) -> None:
    """Enough for the planner to have a choice."""
    rows: list[Row] = []
    with made("sql", database.parent) as archive:
        for n in range(500):
            rows.append(row(id=f"m{n}", timestamp=T0 + n * MICROSECOND))
        archive.store(rows)


def test_every_question_goes_by_an_index(database: Path) -> None:
    many(database)
    narrow = Filters(types={MemoryType.SEMANTIC}, any_tags={"a"}, min_importance=0.5, metadata={"n": 1})
    asked = {"own": 0, "shared": 0}
    for filters in (EVERYTHING, narrow):
        for statement, plan in plans(database, filters, [Key("hera", f"m{n}") for n in range(600)]):
            if "id IN" in statement:
                asked["shared"] += 1
                assert "SEARCH memories USING INDEX sqlite_autoindex_memories_1 (persona=? AND id=?)" in plan
            else:
                asked["own"] += 1
                assert "INDEX memories_times (persona=? AND type=? AND cold=? AND (timestamp,tie)>(?,?) AND " in plan
                assert "(timestamp,tie)<(?,?)" in plan
                assert "TEMP B-TREE" not in plan
    assert asked == {"own": 9, "shared": 4}


def test_the_new_index_takes_no_question_from_the_others(database: Path) -> None:
    many(database)
    with opened(database) as connection:
        for statement, index in (
            ("SELECT content FROM memories WHERE persona = 'athena'", "memories_persona_type"),
            ("SELECT content FROM memories WHERE persona = 'athena' AND cold = 0", "memories_persona_type"),
        ):
            [found] = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            assert index in found[3]
