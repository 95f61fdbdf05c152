"""Full text over the archive: everything archived is found at once, whatever the index has of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.archives import row
from tests.unit.world import Away, Disturbed
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key, Position
from trinitas_tasks.policy.text import query_terms, terms
from trinitas_tasks.query import Filters
from trinitas_tasks.services import fulltext
from trinitas_tasks.services.fulltext import FullText
from trinitas_tasks.tiers.archive.memory import MemoryArchive
from trinitas_tasks.tiers.lexical.interface import LexicalTier, Wanted
from trinitas_tasks.tiers.lexical.memory import MemoryLexical
from trinitas_tasks.tiers.lexical.tantivy import TantivyLexical

T0 = datetime(2026, 5, 1, tzinfo=UTC)
versions = itertools.count(1)


class Bench:
    """An archive and the full text over it."""

    def __init__(self, lexical: LexicalTier) -> None:
        self.archive: Any = MemoryArchive()
        self.lexical: Any = lexical
        self.fulltext = FullText(self.archive, lexical)

    def store(self, content: str, **more: Any) -> None:
        self.archive.store([row(content, next(versions), **{"type": "semantic", **more})])

    def say(self, turn: int, content: str, session: str = "s") -> None:
        """A turn of a session."""
        self.store(content, id=f"t{turn}", timestamp=T0 + timedelta(minutes=turn), metadata={"session": session})

    def erase(self, memory_id: str) -> None:
        self.archive.erase([(Key("athena", memory_id), next(versions))])

    def found(self, text: str, limit: int = 10, **more: Any) -> list[str]:
        return [match.id for match in self.fulltext.search("athena", Wanted(query_terms(text), **more), limit)]


@pytest.fixture(params=["memory", "tantivy"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(MemoryLexical() if request.param == "memory" else TantivyLexical(tmp_path))
    yield made
    made.lexical.close()


def test_what_is_archived_is_found_before_the_index_has_it(bench: Bench) -> None:
    bench.store("green tea", id="tea")
    assert bench.found("tea") == ["tea"]
    assert bench.lexical.count() == 0
    assert bench.fulltext.lag().behind == 1
    assert bench.fulltext.tend() == 1
    assert (bench.found("tea"), bench.lexical.count(), bench.fulltext.lag().behind) == (["tea"], 1, 0)
    assert bench.fulltext.tend() == 0


def test_what_was_replaced_or_erased_is_not_found_before_the_index_knows(bench: Bench) -> None:
    for name in ("a", "b", "c"):
        bench.store(f"green tea {name}", id=name)
    bench.fulltext.tend()
    bench.store("black coffee", id="a")
    bench.erase("b")
    assert (bench.found("green tea"), bench.found("coffee")) == (["c"], ["a"])
    assert bench.found("tea", limit=1) == ["c"]
    bench.fulltext.tend()
    assert (bench.found("green tea"), bench.found("coffee"), bench.lexical.count()) == (["c"], ["a"], 2)


def test_filters_and_phrases_hold_for_what_is_new_too(bench: Bench) -> None:
    bench.store("green tea", id="old", tags=("x",))
    bench.fulltext.tend()
    bench.store("tea so green", id="new", tags=("x", "y"))
    bench.store("tea", id="other")
    assert set(bench.found("tea", filters=Filters(all_tags=frozenset("x")))) == {"old", "new"}
    assert bench.found("tea", filters=Filters(all_tags=frozenset("xy"))) == ["new"]
    assert bench.found("tea", phrases=(tuple(terms("so green")),)) == ["new"]


def test_what_is_in_no_archive_yet_is_scored_alike(bench: Bench) -> None:
    for number in range(20):
        bench.store(f"filler {number}", id=f"f{number}")
    bench.store("green tea in a cup", id="m")
    bench.fulltext.tend()
    wanted = Wanted(query_terms("a cup of green tea"))
    [indexed] = bench.fulltext.search("athena", wanted, 10)
    [alone] = bench.fulltext.score("athena", wanted, [row("green tea in a cup", id="m", type="semantic").record.item])
    assert alone.coverage == pytest.approx(indexed.coverage, rel=0.05)
    assert bench.fulltext.score("hera", wanted, [row("green tea", id="m").record.item]) == []


@pytest.mark.parametrize("tended", [True, False])
def test_what_is_lent_is_found_by_its_own_words_whatever_else_its_owner_remembers(bench: Bench, tended: bool) -> None:
    lent = ["t2", "alone", "cold"]

    def found(text: str, *, cold: bool = False, **more: Any) -> list[tuple[str, float]]:
        wanted = Wanted(query_terms(text), **more)
        return list(bench.fulltext.lent("hestia", "athena", wanted, frozenset(lent), 10, cold=cold))

    bench.store("the kettle is hot", id="k", persona="hestia")
    bench.fulltext.tend()
    bench.say(2, "I love teapots!")
    bench.store("Zoe teaches on Mondays", id="alone", tags=("x",))
    if tended:
        bench.fulltext.tend()
    questions = ("pottery", "Zoe", "teapot", "Zoe's teapots", "kettle", "mondays")
    before = {text: found(text) for text in questions}
    ids = [{id_ for id_, _ in its} for its in before.values()]
    assert ids == [set(), {"alone"}, {"t2"}, {"alone", "t2"}, set(), {"alone"}]
    bench.say(1, "How is the pottery class?")
    bench.say(3, "Zoe has a kettle and a teapot.")
    for number in range(20):
        bench.store(f"Zoe, Mondays, love and teapots {number}", id=f"f{number}")
    for _ in range(2):
        assert {text: found(text) for text in questions} == before
        assert set(bench.found("pottery")) == {"t1", "t2", "t3"}
        bench.fulltext.tend()
    tagged = found("Zoe's teapots", filters=Filters(any_tags=frozenset("x")))
    assert tagged == [each for each in before["Zoe's teapots"] if each[0] == "alone"]
    assert found("teapots", phrases=(tuple(terms("love teapots")),)) == before["teapot"]
    assert found("teapots", cold=True) == []
    lent.remove("alone")
    assert found("Zoe") == []


@pytest.mark.parametrize("tended", [True, False])
def test_what_is_lent_weighs_as_much_whether_the_index_has_it_or_not(bench: Bench, tended: bool) -> None:
    for number in range(9):
        bench.store(f"green filler {number}", id=f"f{number}", persona="hestia")
    bench.store("green tea in a cup of tea", id="m")
    if tended:
        bench.fulltext.tend()
    wanted = Wanted(query_terms("a cup of green tea and a biscuit"))
    [kept] = bench.fulltext.lent("hestia", "athena", wanted, frozenset("m"), 10)
    item = row("green tea in a cup of tea", id="m", type="semantic").record.item
    assert bench.fulltext.lent_newly("hestia", wanted, [item]) == [kept]
    assert 0.1 < kept.coverage < 0.6


@pytest.mark.parametrize("tended", [True, False])
def test_a_turn_is_found_by_what_was_said_around_it(bench: Bench, tended: bool) -> None:
    bench.say(1, "How is the pottery class?")
    bench.say(3, "I love it!")
    bench.say(9, "Bye!", session="other")
    if tended:
        bench.fulltext.tend()
    assert bench.found("pottery") == ["t1", "t3"]
    bench.say(2, "The teacher is Zoe.")
    assert set(bench.found("pottery")) == {"t1", "t2", "t3"}
    assert set(bench.found("Zoe")) == {"t1", "t2", "t3"}
    if tended:
        bench.fulltext.tend()
    bench.say(1, "How is the painting class?")
    bench.erase("t2")
    for _ in range(2):
        assert (bench.found("pottery"), bench.found("Zoe")) == ([], [])
        assert set(bench.found("painting")) == {"t1", "t3"}
        bench.fulltext.tend()


def test_an_index_far_behind_is_built_and_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FRESH", 10), ("BATCH", 4), ("COMMITTED", 7)):
        monkeypatch.setattr(fulltext, name, value)
    for number in range(40):
        bench.say(number, f"tea {number}")
    with pytest.raises(Unavailable, match="being built: 40 changes to go"):
        bench.found("tea")
    bench.fulltext.tend()
    assert len(bench.found("tea", limit=100)) == 40
    assert bench.lexical.position() == bench.archive.position()
    assert set(bench.found("17")) == {"t15", "t16", "t17", "t18", "t19"}


def test_another_archive_begins_another_index(bench: Bench) -> None:
    bench.store("green tea", id="tea")
    bench.store("coffee", id="coffee")
    bench.fulltext.tend()
    bench.archive = MemoryArchive()
    bench.store("black tea", id="other")
    bench.fulltext = FullText(bench.archive, bench.lexical)
    assert bench.found("tea coffee") == ["other"]
    bench.fulltext.tend()
    assert (bench.found("tea coffee"), bench.lexical.count()) == (["other"], 1)


def test_an_archive_that_went_back_begins_another_index(bench: Bench) -> None:
    bench.store("green tea", id="tea")
    bench.fulltext.tend()
    bench.lexical.apply([], [], Position(bench.archive.position().epoch, 99))
    assert bench.found("tea") == ["tea"]
    bench.fulltext.tend()
    assert bench.lexical.position() == bench.archive.position()


def test_an_index_that_lost_everything_is_noticed(bench: Bench) -> None:
    bench.store("green tea", id="one")
    bench.fulltext.tend()
    bench.store("black tea", id="two")
    assert set(bench.found("tea")) == {"one", "two"}
    bench.lexical.clear()  # as it does where it is broken
    assert set(bench.found("tea")) == {"one", "two"}


def test_what_comes_while_the_index_is_written_is_found(bench: Bench) -> None:
    bench.store("green tea", id="one")
    bench.fulltext.tend()
    bench.store("black tea", id="two")
    later = Disturbed(bench.lexical, "apply", after=True, event=lambda: bench.store("white tea", id="three"))
    bench.fulltext = FullText(bench.archive, later)
    bench.fulltext.tend()
    assert set(bench.found("tea")) == {"one", "two", "three"}
    bench.fulltext.tend()
    assert set(bench.found("tea")) == {"one", "two", "three"}


def test_without_the_archive_nobody_answers(bench: Bench) -> None:
    bench.fulltext = FullText(Away(bench.archive, "position"), bench.lexical)
    for call in (bench.fulltext.tend, bench.fulltext.lag, lambda: bench.found("tea")):
        with pytest.raises(Unavailable):
            call()


CONTENTS = st.sampled_from(["tea", "coffee", "tea cup", "grass"])
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("say"),
            st.integers(0, 6),
            CONTENTS,
            st.sampled_from("st"),
        ),
        st.tuples(st.just("erase"), st.integers(0, 6)),
        st.just(("tend",)),
        st.just(("again",)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_what_is_found_is_what_a_new_index_finds(steps: list[tuple[Any, ...]]) -> None:
    bench = Bench(MemoryLexical())
    for step in steps:
        match step:
            case ("say", turn, content, session):
                bench.say(turn, content, session)
            case ("erase", turn):
                bench.erase(f"t{turn}")
            case ("tend",):
                bench.fulltext.tend()
            case _:
                bench.fulltext = FullText(bench.archive, bench.lexical)
        new = FullText(bench.archive, MemoryLexical())
        new.tend()
        for text in ("tea", "coffee cup"):
            wanted = Wanted(query_terms(text))
            expected = {match.id for match in new.search("athena", wanted, 100)}
            assert {match.id for match in bench.fulltext.search("athena", wanted, 100)} == expected
