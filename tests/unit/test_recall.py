"""Finding memories: what is seen, what never is, and what is said when a tier is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support import memory
from tests.unit.world import CACHE_SECONDS, Away, Disturbed, World
from trinitas_tasks.embedding.stub import HashEmbedder
from trinitas_tasks.errors import ModelError, Unavailable
from trinitas_tasks.services.answer import Answer
from trinitas_tasks.tiers.hot.interface import Write
from trinitas_tasks.tiers.vectors.interface import Near
from trinitas_tasks.tiers.vectors.memory import MemoryVectors

PORT = memory("The staging database moved to port 5433.", id="port", type="semantic")
TEA = memory("Ann drinks green tea.", id="tea")
TOKYO = memory("東京都庁の展望台は夜も開いている。", id="tokyo")
DEPLOY = memory("To deploy the database, run make.", id="deploy", type="procedural")
EVERYTHING = [PORT, TEA, TOKYO, DEPLOY]


@pytest.fixture
def world() -> World:
    made = World()  # everything is archived and indexed
    made.remember(*EVERYTHING)
    made.settle()
    return made


class Leaky(MemoryVectors):
    """Answers with ids that are not the persona's, as a damaged index might."""

    def query(self, persona: str, vector: NDArray[np.float32], limit: int) -> list[Near]:  # noqa: ARG002
        return [Near(item.id, 1.0) for item in EVERYTHING]


class Speechless(HashEmbedder):
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:  # noqa: ARG002
        raise ModelError("no words")


# What is found.


def test_a_memory_is_found_by_its_words_and_by_its_vector(world: World) -> None:
    answer = world.recall("Which port has the staging database?")
    assert answer.found[0].id == "port"
    assert {"dense_rank", "fulltext_rank", "similarity"} <= answer.found[0].why.keys()
    assert set(answer.answered) == {"chroma", "fulltext", "archive"}
    assert answer.degraded == ()
    assert [each.score for each in answer.found] == sorted((each.score for each in answer.found), reverse=True)


@pytest.mark.parametrize("text", ["東京都庁は夜に開いていますか", "展望台", "庁"])
def test_a_japanese_memory_is_found_by_its_words(world: World, text: str) -> None:
    assert world.found(text)[0] == "tokyo"


def test_everybody_reads_their_own_writes_before_they_are_archived() -> None:
    world = World()
    world.remember(*EVERYTHING)
    answer = world.recall("Where did the staging database go?")
    assert answer.found[0].id == "port"
    assert "similarity" not in answer.found[0].why
    assert world.found("展望台") == ["tokyo"]


@pytest.mark.parametrize(
    ("part", "method"),
    [
        ("hot", "probe"),
        ("vectors", "query"),
        ("lexical", "search"),
        ("archive", "position"),
        ("hot", "pending"),
    ],
)
@pytest.mark.parametrize("after", [False, True])
def test_a_memory_archived_while_it_is_looked_for_is_found(part: str, method: str, after: bool) -> None:
    world = World()
    world.remember(PORT)
    disturbed = Disturbed(getattr(world, part), method, after=after, event=world.settle)
    setattr(world, part, disturbed)
    assert world.found("staging database") == ["port"]
    assert disturbed.happened


def test_a_replaced_memory_is_found_by_what_it_says_now(world: World) -> None:
    world.remember(memory("Ann drinks coffee.", id="tea"))
    assert world.found("coffee")[0] == "tea"
    world.settle()
    assert world.found("coffee")[0] == "tea"


def test_a_forgotten_memory_is_not_found_although_the_tiers_below_still_hold_it(world: World) -> None:
    world.forget(PORT)
    assert world.archived(PORT) == PORT
    assert "port" not in world.found("staging database port")


def test_what_left_the_hot_tier_is_found_and_brought_back(world: World) -> None:
    world.advance(2000)
    assert world.standing(PORT) is None
    answer = world.recall("staging database")
    assert (answer.found[0].id, answer.found[0].tier) == ("port", "archive")
    assert world.standing(PORT) is not None
    world.hot.changed(["athena"])
    assert world.recall("staging database").found[0].tier == "redis"


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "🦊", "!?"])
def test_text_without_words_is_no_failure(world: World, text: str) -> None:
    assert world.recall(text).degraded == ()
    assert world.found(text) == [] or text.strip()


def test_text_is_never_syntax(world: World) -> None:
    for text in ('"', "a OR b*", "NEAR(", "port:5433", "'; DROP TABLE memories; --", "^port", "-port"):
        assert world.recall(text).degraded == ()


# Limits and types.


def test_no_more_is_found_than_asked_for() -> None:
    world = World()
    world.remember(*(memory(f"database {number}", id=f"m{number}") for number in range(130)))
    world.settle()
    for limit in (1, 25, 130):
        found = world.found("database", limit=limit)
        assert (len(found), len(set(found))) == (limit, limit)


@pytest.mark.parametrize("settled", [True, False])
def test_only_the_types_asked_for_are_found(settled: bool) -> None:
    world = World()
    world.remember(*(memory(f"database {number}", id=f"m{number}") for number in range(90)), PORT, DEPLOY)
    if settled:
        world.settle()
    assert world.found("database", filters={"types": {"semantic"}}) == ["port"]
    assert set(world.found("database", filters={"types": {"semantic", "procedural"}})) == {"port", "deploy"}
    assert world.found("database", filters={"types": {"working"}}) == []
    assert len(world.found("database")) == 10


# Scope.


@pytest.mark.parametrize("settled", [True, False])
def test_nobody_finds_what_another_persona_remembers(settled: bool) -> None:
    world = World()
    names = ("a", "a-b", "A", "b")
    world.remember(*(memory("The same words.", id=f"of-{name}", persona=name) for name in names))
    if settled:
        world.settle()
    for name in names:
        assert world.found("The same words.", persona=name) == [f"of-{name}"]
    assert world.found("The same words.", persona="nobody") == []


def test_equal_ids_of_two_personas_are_two_memories(world: World) -> None:
    hers = memory("Hera keeps bees.", id="port", persona="hera")
    world.remember(hers)
    world.settle()
    assert world.found("bees", persona="hera") == ["port"]
    assert world.recall("bees").found[0].why.get("fulltext_rank") is None
    world.forget(hers)
    world.settle()
    assert world.found("bees", persona="hera") == []
    assert world.found("staging")[0] == "port"


def test_ids_that_an_index_gives_out_of_scope_are_dropped(world: World) -> None:
    world.vectors = Leaky()
    assert world.found("staging database", persona="hera") == []
    world.advance(2000)
    assert world.found("staging database", persona="hera") == []


def test_an_answer_is_not_cached_for_somebody_else(world: World) -> None:
    world.recall("staging database")
    assert world.cached("staging database")
    assert not world.cached("staging database", persona="hera")


# Tiers away.


def test_without_the_vector_tier_full_text_answers(world: World) -> None:
    world.vectors = Away(world.vectors, "query")
    answer = world.recall("staging database")
    assert answer.found[0].id == "port"
    assert set(answer.answered) == {"archive", "fulltext"}
    assert [each.split(":")[0] for each in answer.degraded] == ["chroma"]


def test_without_the_vector_tier_what_the_filters_admit_is_not_hidden_by_the_rest(world: World) -> None:
    world.remember(memory("It lives elsewhere now.", id="rare", metadata={"team": ["blue"]}))
    world.remember(*(memory(f"The staging database moved, part {n}.", id=f"m{n}") for n in range(450)))
    world.settle()
    world.vectors = Away(world.vectors, "query")
    answer = world.recall("staging database moved", filters={"metadata": {"team": ["blue"]}})
    assert [each.id for each in answer.found] == ["rare"]


def test_without_a_model_full_text_answers(world: World) -> None:
    world.embedder = Speechless()
    answer = world.recall("staging database")
    assert answer.found[0].id == "port"
    assert "no words" in answer.degraded[0]


def test_without_full_text_the_archives_own_answers(world: World) -> None:
    world.lexical = Away(world.lexical, "search")
    answer = world.recall("staging database")
    assert answer.found[0].id == "port"
    assert "fulltext_rank" in answer.found[0].why
    assert set(answer.answered) == {"chroma", "archive"}
    assert [each.split(":")[0] for each in answer.degraded] == ["fulltext"]


def test_without_any_full_text_vectors_answer(world: World) -> None:
    world.lexical = Away(world.lexical, "search")
    world.archive = Away(world.archive, "search_text")
    answer = world.recall("staging database")
    assert answer.found[0].id == "port"
    assert "fulltext_rank" not in answer.found[0].why
    assert [each.split(":")[0] for each in answer.degraded] == ["archive", "fulltext"]


def test_without_the_archive_what_is_hot_is_still_found(world: World) -> None:
    world.advance(2000)
    world.remember(memory("The staging database moved again.", id="again"))
    world.settle()
    world.archive = Away(world.archive, "position", "search_text", "load")
    answer = world.recall("staging database")
    assert [each.id for each in answer.found] == ["again"]
    assert {each.split(":")[0] for each in answer.degraded} == {"archive", "fulltext"}


def test_with_nobody_to_search_it_is_a_failure_and_not_empty(world: World) -> None:
    world.vectors = Away(world.vectors, "query")
    world.archive = Away(world.archive, "position", "search_text", "nearest")
    with pytest.raises(Unavailable, match=r"archive: .*chroma: .*fulltext: "):
        world.recall("staging database")


def test_without_the_hot_tier_it_is_a_failure(world: World) -> None:
    world.hot = Away(world.hot, "probe")
    with pytest.raises(Unavailable):
        world.recall("staging database")


# An index that lost vectors.


def test_a_lost_index_is_answered_for_by_an_exact_scan(world: World) -> None:
    expected = [(each.id, each.score, each.why) for each in world.recall("staging database").found]
    for lost in (["port"], ["port", "tea"], [item.id for item in EVERYTHING]):
        world.vectors.delete("athena", lost)
        world.hot.changed(["athena"])
        answer = world.recall("staging database")
        assert [(each.id, each.score, each.why) for each in answer.found] == expected
        assert world.recall("staging database", filters={"types": {"procedural"}}).found[0].id == "deploy"
    assert (set(answer.answered), [each.split(":")[0] for each in answer.degraded]) == (
        {"archive", "fulltext"},
        ["chroma"],
    )
    assert not world.cached("staging database")
    assert world.recall("staging database", persona="hera") == Answer((), ("archive", "chroma", "fulltext"), ())


# One list alone.


def test_one_list_alone_is_that_list_in_its_order(world: World) -> None:
    text = "staging database"
    ranks = {each.id: each.why for each in world.recall(text).found}
    for ranking, name in (("dense", "dense_rank"), ("fulltext", "fulltext_rank")):
        alone = world.recall(text, ranking=ranking)
        listed = {each: int(why[name]) for each, why in ranks.items() if name in why}
        assert [each.id for each in alone.found] == sorted(listed, key=listed.__getitem__)
        assert {name} <= alone.found[0].why.keys() <= {name, "similarity", "coverage", "trust"}
    assert len(world.found(text, ranking="dense")) > len(world.found(text, ranking="fulltext")) > 0


def test_answers_of_one_list_are_not_those_of_both(world: World) -> None:
    both = world.recall("staging database")
    assert world.recall("staging database", ranking="fulltext") != both
    assert world.recall("staging database") == both


def test_vectors_on_their_way_into_the_index_are_not_lost(world: World) -> None:
    world.vectors = Away(world.vectors, "upsert")
    world.remember(*(memory(f"The database has table {number}.", id=f"new{number}") for number in range(20)))
    world.ingest()
    answer = world.recall("Which tables has the database?", limit=20)
    assert answer.degraded == ()
    assert {each.id for each in answer.found} >= {f"new{number}" for number in range(5)}


# Cached answers.


def test_an_answer_is_cached_for_a_while(world: World) -> None:
    answer = world.recall("staging database")
    assert world.cached("staging database")
    assert not world.cached("staging")
    assert Answer.from_json(answer.to_json()) == answer
    world.advance(CACHE_SECONDS + 1)
    assert not world.cached("staging database")


def test_a_degraded_answer_is_not_cached(world: World) -> None:
    world.vectors = Away(world.vectors, "query")
    world.recall("staging database")
    assert not world.cached("staging database")


CHANGES: dict[str, Callable[[World], object]] = {
    "write": lambda world: world.remember(memory("new", id="new")),
    "replace": lambda world: world.remember(memory("new", id="tea")),
    "forget": lambda world: world.forget(TEA),
    "finish": lambda world: world.ingest(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_ends_cached_answers(world: World, change: Callable[[World], object]) -> None:
    world.remember(memory("waiting", id="waiting"))
    world.recall("staging database")
    assert world.cached("staging database")
    change(world)
    assert not world.cached("staging database")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_answer_overtaken_by_a_change_is_not_cached(world: World, change: Callable[[World], object]) -> None:
    world.remember(memory("waiting", id="waiting"))
    hot = world.hot
    world.vectors = Disturbed(world.vectors, "query", after=True, event=lambda: change(world))
    world.recall("staging database")
    assert world.hot is hot
    assert not world.cached("staging database")


def test_a_query_is_embedded_once(world: World) -> None:
    world.recall("staging database")
    world.hot.write([Write(memory("new", id="new"))])
    world.embedder = Speechless()
    world.embedder.name = HashEmbedder().name
    assert world.recall("staging database").degraded == ()
