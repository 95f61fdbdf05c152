"""Whatever is done to lives, in whatever order, the archive in SQL and the one in memory tell the same."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.archives import MODEL, NAMING, found, row, url_of
from trinitas_tasks.model import Key
from trinitas_tasks.policy.prediction import Follower
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.lives import Consolidation, Feedback, Settlement, Turn, Use
from trinitas_tasks.tiers.archive.memory import MemoryArchive
from trinitas_tasks.tiers.archive.sql import SqlArchive

NOW = datetime(2026, 5, 6, tzinfo=UTC)
Call = Callable[[Archive], Any]
"""What is done to an archive; its answer is to be the same."""

KEYS = st.sampled_from([Key("athena", "a"), Key("athena", "b"), Key("hera", "a")])
ALL = [Key("athena", "a"), Key("athena", "b"), Key("hera", "a")]
VERSIONS = st.integers(1, 3)
NUMBERS = st.integers(1, 4)
TIMES = st.integers(0, 3).map(lambda n: NOW + n * timedelta(hours=1))
SCORES = st.sampled_from([0.0, 0.5, 1.0])
TURNS = st.lists(
    st.builds(
        Turn,
        KEYS,
        VERSIONS,
        cold=st.none() | st.booleans(),
        pinned=st.none() | st.booleans(),
        score=st.none() | SCORES,
        scored_at=st.none() | TIMES,
        fades_at=st.none() | TIMES,
        representative=st.sampled_from([None, "", "b"]),
    ),
    max_size=3,
)
FOLLOWERS = st.dictionaries(KEYS, st.lists(st.builds(Follower, KEYS, SCORES, TIMES), max_size=3), max_size=2)
SETTLEMENTS = st.builds(
    Settlement,
    st.integers(1, 9),
    st.lists(st.builds(Use, KEYS, st.integers(1, 3), TIMES, SCORES, TIMES), max_size=3),
    FOLLOWERS,
    st.dictionaries(KEYS, st.booleans(), max_size=2),
    st.lists(st.builds(Feedback, st.just(0), KEYS, st.just("zeus"), st.booleans(), TIMES), max_size=2),
)
DONE = st.lists(
    st.builds(
        Consolidation,
        st.just(0),
        st.sampled_from(["infer", "merge"]),
        KEYS,
        VERSIONS,
        TIMES,
        st.just({"type": "working"}),
        st.dictionaries(st.just("n"), st.integers(), max_size=1),
        st.just("why"),
    ),
    max_size=3,
)
NAMED = st.lists(st.tuples(KEYS, VERSIONS), max_size=2)
WEIGHTS = st.dictionaries(st.sampled_from(["athena", "hera"]), st.dictionaries(st.just("w"), SCORES), max_size=2)


def stored(rows: list[tuple[Key, int, str]]) -> Call:
    made = [row(word, version, id=key.id, persona=key.persona) for key, version, word in rows]
    return lambda archive: archive.store(made)


ROWS = st.tuples(KEYS, VERSIONS, st.sampled_from(["red", "green"]))
# of a memory twice in a batch one archive counts both as changes, the other the last
STORES = st.lists(ROWS, max_size=3, unique_by=lambda each: each[0]).map(stored)
CALLS: st.SearchStrategy[Call] = st.one_of(
    STORES,
    TURNS.map(lambda turns: lambda archive: archive.turn(turns)),
    SETTLEMENTS.map(lambda settlement: lambda archive: archive.settle(settlement)),
    NAMED.map(lambda keys: lambda archive: archive.erase(keys)),
    st.tuples(NAMED, st.booleans()).map(
        lambda both: lambda archive: archive.mark_indexed(both[0], MODEL, cold=both[1])
    ),
    st.tuples(DONE, TURNS).map(lambda both: lambda archive: archive.consolidate(*both)),
    st.tuples(NUMBERS, TIMES, TURNS).map(lambda three: lambda archive: archive.undo(*three)),
    st.tuples(TURNS, WEIGHTS, st.lists(NUMBERS, max_size=2)).map(lambda three: lambda archive: archive.learn(*three)),
)
examples = itertools.count()


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new archive's file, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "archive.db"
    archive = SqlArchive(url_of(path))
    archive.migrate()
    archive.close()
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=STORES, calls=st.lists(CALLS, max_size=15))
def test_archives_agree_on_lives(migrated: Path, tmp_path: Path, first: Call, calls: list[Call]) -> None:
    path = tmp_path / f"{next(examples)}.db"
    shutil.copy(migrated, path)
    sql, memory = SqlArchive(url_of(path)), MemoryArchive()
    try:
        for call in (first, *calls):
            assert call(sql) == call(memory)
            assert told(sql) == told(memory)
    finally:
        sql.close()


def answered(call: Call, archive: Archive) -> tuple[Any, int]:
    """What it answered, and how many changes came of it that can be read."""
    before = archive.position().change
    answer = call(archive)
    return answer, len(archive.changes(before, 100))


def told(archive: Archive) -> dict[str, Any]:
    """All that an archive says of these memories, but for its clock and the gaps in its numbers."""
    lives = [life for key in ALL for life in archive.lives(key.persona, [key.id])]
    return {
        "lives": [life and life._replace(archived_at=NOW, seq=0) for life in lives],
        "changes": [each._replace(change=0) for each in archive.changes(0, 100)],
        "unindexed": [(each.key, each.version, each.cold) for each in archive.unindexed(NAMING, 100)],
        "listed": [each._replace(seq=0) for each in archive.listed(0, 100, NAMING)],
        "found": {persona: set(found(archive, "red", "green", persona=persona)) for persona in ("athena", "hera")},
        "matching": [archive.matching("athena", Filters(include_archived=every), 9) for every in (False, True)],
        "active": [archive.active(persona) for persona in ("athena", "hera")],
        "settled": archive.settled(),
        "followers": archive.followers(ALL),
        "feedback": archive.feedback(100),
        "weights": [archive.weights(persona) for persona in ("athena", "hera")],
        "done": archive.consolidations(),
    }
