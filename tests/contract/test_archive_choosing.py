"""Whatever lives are chosen, every archive chooses those that are meant, and by an index."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from tests.contract.archives import made, opened, row
from trinitas_tasks.model import Key, MemoryType
from trinitas_tasks.tiers.archive import choosing
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.lives import Choice, Life, Order, Settlement, Turn, Use
from trinitas_tasks.tiers.archive.memory import MemoryArchive

T0 = datetime(2026, 5, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
TIMES = st.integers(0, 4).map(lambda n: T0 + n * MICROSECOND)
PERSONAS = ("athena", "hera")
MEMORIES = st.fixed_dictionaries(
    {
        "persona": st.sampled_from(PERSONAS),
        "type": st.sampled_from(MemoryType),
        "timestamp": TIMES,
        "last_access": TIMES,
    }
)
LIVES = st.fixed_dictionaries(
    {},
    optional={
        "cold": st.booleans(),
        "pinned": st.booleans(),
        "score": st.sampled_from([0.0, 0.25, 0.5, 1.0]),
        "scored_at": TIMES,
        "fades_at": TIMES,
    },
)
CHOICES = st.builds(
    Choice,
    persona=st.sampled_from([None, *PERSONAS, "nobody"]),
    types=st.frozensets(st.sampled_from(MemoryType), max_size=2),
    cold=st.sampled_from([None, False, True]),
    pinned=st.sampled_from([None, False, True]),
    used_before=st.none() | TIMES,
    fading_by=st.none() | TIMES,
    scored_before=st.none() | TIMES,
    after=st.integers(0, 4),
    order=st.sampled_from(Order),
)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Archive]]:
    """A SQL archive that all examples share, and one in memory that is as it is."""
    with made("sql", tmp_path_factory.mktemp("chosen")) as sql:
        yield [sql, MemoryArchive()]


def meant(choice: Choice, life: Life) -> bool:
    item = life.record.item
    return (
        (choice.persona is None or item.persona == choice.persona)
        and (not choice.types or item.type in choice.types)
        and (choice.cold is None or life.cold == choice.cold)
        and (choice.pinned is None or life.pinned == choice.pinned)
        and (choice.used_before is None or max(item.timestamp, item.last_access) < choice.used_before)
        and (choice.fading_by is None or life.fades_at is None or life.fades_at <= choice.fading_by)
        and (choice.scored_before is None or life.scored_at is None or life.scored_at < choice.scored_before)
        and life.seq > choice.after
    )


def place(order: Order, life: Life) -> tuple[float, int]:
    """Lower comes first."""
    match order:
        case Order.USE:
            value = since(max(life.record.item.timestamp, life.record.item.last_access))
        case Order.RECENCY:
            value = -since(max(life.record.item.timestamp, life.record.item.last_access))
        case Order.FADING:
            value = since(life.fades_at)
        case Order.SCORING:
            value = since(life.scored_at)
        case Order.SCORE:
            value = 2.0 if life.score is None else -life.score
        case _:
            value = 0.0
    return value, life.seq


def since(time: datetime | None) -> float:
    return -math.inf if time is None else (time - T0) / MICROSECOND


examples = itertools.count()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kept=st.lists(st.tuples(MEMORIES, LIVES), max_size=7),
    choices=st.lists(CHOICES, min_size=1, max_size=4),
    limit=st.integers(0, 8),
)
def test_those_that_are_meant_are_chosen_in_their_order(
    archives: list[Archive], kept: list[tuple[dict[str, Any], dict[str, Any]]], choices: list[Choice], limit: int
) -> None:
    names = [f"{next(examples)}-{n}" for n in range(len(kept))]
    turns = [Turn(Key(fields["persona"], name), 1, **given) for name, (fields, given) in zip(names, kept, strict=True)]
    for archive in archives:
        archive.store([row(id=name, **fields) for name, (fields, _) in zip(names, kept, strict=True)])
        assert all(archive.turn(turns))
        everybody = [
            life for turn in turns for life in archive.lives(turn.key.persona, [turn.key.id]) if life is not None
        ]
        for choice in choices:
            shifted = replace(choice, after=choice.after + min((life.seq for life in everybody), default=1) - 1)
            expected = sorted((place(choice.order, life), life) for life in everybody if meant(shifted, life))
            assert archive.chosen(shifted, limit) == [life for _, life in expected[:limit]]
        archive.erase([(turn.key, 1) for turn in turns])


def plans_of(database: Path, choice: Choice) -> list[str]:
    """How SQLite answers each of a choice's questions."""
    given = {"of_persona": "athena", "of_type": "episodic", "of_cold": 0, "left": 10}
    with opened(database) as connection:
        plans = []
        for statement in choosing.statements(choice):
            compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named"))
            values = {**compiled.params, **given}
            found = connection.execute(f"EXPLAIN QUERY PLAN {compiled}", values).fetchall()
            plans += ["; ".join(line[3] for line in found)]
        return plans


@pytest.mark.parametrize(
    ("choice", "indexes"),
    [
        (Choice(), ["persona_type"]),
        (Choice(after=7), ["persona_type"]),
        (Choice(order=Order.USE), ["used"]),
        (Choice(order=Order.USE, used_before=T0), ["used"]),
        (Choice(order=Order.USE, used_before=T0, pinned=False, after=7), ["used"]),
        (Choice(order=Order.FADING), ["fading", "fading"]),
        (Choice(order=Order.FADING, fading_by=T0, pinned=False), ["fading", "fading"]),
        (Choice(order=Order.SCORING), ["scored", "scored"]),
        (Choice(order=Order.SCORING, scored_before=T0), ["scored", "scored"]),
        (Choice(order=Order.SCORE), ["score", "score"]),
    ],
)
def test_every_order_is_that_of_an_index(database: Path, choice: Choice, indexes: list[str]) -> None:
    for plan, index in zip(plans_of(database, choice), indexes, strict=True):
        assert f"INDEX memories_{index} (persona=? AND type=? AND cold=?" in plan
        assert plan.startswith("SEARCH memories")
        if choice.order is not Order.SCORE:  # where memories of one score are put in the order of their arrival
            assert "TEMP B-TREE" not in plan


def test_bounds_are_those_of_the_index(database: Path) -> None:
    for choice, bound in (
        (Choice(order=Order.USE, used_before=T0), "used_at<?"),
        (Choice(order=Order.FADING, fading_by=T0), "fades_at>? AND fades_at<?"),
        (Choice(order=Order.SCORING, scored_before=T0), "scored_at>? AND scored_at<?"),
    ):
        assert plans_of(database, choice)[-1].endswith(f"cold=? AND {bound})")


def test_what_is_used_moves_to_the_end(archives: list[Archive]) -> None:
    for archive in archives:
        archive.store([row(id=f"used-{n}", persona="zeus", timestamp=T0 + n * MICROSECOND) for n in range(3)])
        choice = Choice("zeus", order=Order.USE)
        assert [life.key.id for life in archive.chosen(choice, 2)] == ["used-0", "used-1"]
        used = Use(Key("zeus", "used-0"), 1, T0 + timedelta(days=1), 1.0, T0)
        archive.settle(Settlement(archive.settled() + 1, [used]))
        assert [life.key.id for life in archive.chosen(choice, 9)] == ["used-1", "used-2", "used-0"]
        archive.store([row("newer", 2, id="used-1", persona="zeus", timestamp=T0 + timedelta(days=2))])
        assert [life.key.id for life in archive.chosen(choice, 9)] == ["used-2", "used-0", "used-1"]
        assert [life.key.id for life in archive.chosen(Choice("zeus"), 9)] == ["used-0", "used-1", "used-2"]
        archive.erase([(Key("zeus", f"used-{n}"), 9) for n in range(3)])
