"""Personas whose memories are embedded by a model of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support import memory
from tests.unit.lives import made
from tests.unit.workers import Workers
from tests.unit.world import Away, World
from trinitas_tasks.embedding.interface import Embedder
from trinitas_tasks.embedding.models import AGAIN_SECONDS, Chosen, Shelf
from trinitas_tasks.embedding.stub import HashEmbedder
from trinitas_tasks.errors import InvalidQuery, ModelError
from trinitas_tasks.model import Key, MemoryItem
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.query import Query
from trinitas_tasks.services import reconcile
from trinitas_tasks.services.answer import Answer
from trinitas_tasks.services.leaving import LEFT
from trinitas_tasks.services.lists import Lists
from trinitas_tasks.tiers.vectors.memory import MemoryVectors

USUAL = "hash-64"
LEFT_SECONDS = int(LEFT.total_seconds()) + 1
ITEMS = [
    memory(f"Note {n} of the harbour.", id=f"m{n}", persona=persona) for persona in ("athena", "zoe") for n in range(5)
]
OF_ZOE = [item for item in ITEMS if item.persona == "zoe"]


class Counting(HashEmbedder):
    """Knows how many texts each call was about."""

    def __init__(self, dimension: int = 64) -> None:
        super().__init__(dimension)
        self.calls: list[int] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls.append(len(texts))
        return super().encode(texts)


class Models(Workers):
    """Workers that can load any model called hash-DIMENSION, unless it is missing."""

    def __init__(self, world: World | None = None, **settings: Any) -> None:
        super().__init__(world or World(), **settings)
        self.use("embedder", Counting())
        self.seconds = 0.0
        self.missing: set[str] = set()
        self.loaded: dict[str, Counting] = {}
        self.runtime.shelf = Shelf(self.load, lambda: self.seconds)

    def load(self, chosen: Chosen) -> Embedder:
        if chosen.name in self.missing or not chosen.name.startswith("hash-"):
            raise ModelError(f"{chosen.model} cannot be loaded")
        return self.loaded.setdefault(chosen.name, Counting(int(chosen.name.removeprefix("hash-"))))

    def define(self, name: str = "zoe", **fields: Any) -> None:
        self.jobs.define({"name": name, **fields})

    def remember(self, *items: MemoryItem) -> None:
        self.world.remember(*items)
        self.jobs.ingest()

    def ask(self, text: str, persona: str = "athena", **asked: Any) -> Answer:
        self.jobs.tend()
        query = Query.build(text=text, persona=persona, **asked).model_dump(mode="json")
        return Answer.from_json(self.jobs.search(query).encode())

    def found(self, text: str, persona: str = "athena", **asked: Any) -> set[tuple[str, str]]:
        return {(each.owner, each.id) for each in self.ask(text, persona, **asked).found}

    def models_of(self, persona: str) -> dict[str, int]:
        """How many of a persona's memories have vectors of which model in the archive."""
        ids = [f"m{n}" for n in range(10)]
        names = (USUAL, "hash-32", "hash-16")
        counts = {name: sum(each is not None for each in self.archived(persona, ids, name)) for name in names}
        return {name: count for name, count in counts.items() if count}

    def archived(self, persona: str, ids: Sequence[str], model: str) -> list[NDArray[np.float32] | None]:
        return list(self.world.archive.vectors(persona, ids, model))

    def spaces_of(self, persona: str) -> dict[str, int]:
        """The same of the vector tier."""
        tier = self.world.vectors
        counts = {USUAL: tier.count(persona)} | {name: tier.at(name).count(persona) for name in ("hash-32", "hash-16")}
        return {name: count for name, count in counts.items() if count}


@pytest.fixture
def workers() -> Models:
    return Models()


@pytest.fixture
def mixed(workers: Models) -> Models:
    """Zoe has a model of her own; everything is archived and indexed."""
    workers.define(model="hash-32")
    workers.remember(*ITEMS)
    return workers


# Writing.


def test_without_models_of_their_own_a_batch_is_encoded_at_once_and_no_model_is_loaded(workers: Models) -> None:
    workers.define(about="Has the usual one.")
    workers.remember(*ITEMS)
    assert workers.world.embedder.calls == [len(ITEMS)]
    assert workers.loaded == {}


def test_each_model_encodes_its_own_of_a_batch_at_once(mixed: Models) -> None:
    assert mixed.world.embedder.calls == [5]
    assert mixed.loaded["hash-32"].calls == [5]
    assert (mixed.models_of("athena"), mixed.models_of("zoe")) == ({USUAL: 5}, {"hash-32": 5})
    assert (mixed.spaces_of("athena"), mixed.spaces_of("zoe")) == ({USUAL: 5}, {"hash-32": 5})
    assert mixed.compared() == set()
    assert mixed.jobs.count("zoe")["vectors"] == 5


def test_what_was_not_indexed_finds_its_own_space(mixed: Models) -> None:
    [version] = mixed.world.archive.versions("zoe", ["m1"])
    mixed.world.archive.mark_unindexed([(Key("zoe", "m1"), version)], "hash-32")
    mixed.world.vectors.at("hash-32").drop("zoe")
    mixed.reconcile()
    assert (mixed.spaces_of("athena"), mixed.spaces_of("zoe")) == ({USUAL: 5}, {"hash-32": 5})
    assert mixed.compared() == set()


def test_a_rebuild_fills_the_spaces_of_every_model(mixed: Models) -> None:
    for tier in (mixed.world.vectors, mixed.world.vectors.at("hash-32")):
        for persona in ("athena", "zoe"):
            tier.clear(persona)
    place: int | None = 0
    while place is not None:
        place = mixed.jobs.rebuild(None, place)
    assert (mixed.spaces_of("athena"), mixed.spaces_of("zoe")) == ({USUAL: 5}, {"hash-32": 5})
    assert mixed.compared() == set()


def test_what_is_forgotten_leaves_the_space_it_is_in(mixed: Models) -> None:
    mixed.world.forget(OF_ZOE[0])
    mixed.jobs.forget()
    assert mixed.spaces_of("zoe") == {"hash-32": 4}


def test_what_becomes_cold_leaves_the_space_it_is_in_and_comes_back(workers: Models) -> None:
    workers.define(model="hash-32", rules={"archive_days": 1})
    item = made(workers.world, "An old walk by the river", id="m1", persona="zoe", age_days=2)
    workers.remember(item)
    assert workers.jobs.archive_old()["changed"] == 1
    assert workers.spaces_of("zoe") == {}
    assert workers.world.archive.stats("zoe").unindexed == 0
    assert workers.compared() == set()
    workers.jobs.fetch("zoe", ["m1"])
    workers.world.hot.read("zoe", ["m1"], touch=True)
    workers.jobs.flush_access()
    workers.jobs.ingest()
    assert workers.spaces_of("zoe") == {"hash-32": 1}


def test_near_duplicates_are_looked_for_in_the_persona_s_own_space(workers: Models) -> None:
    workers.define(model="hash-32")
    texts = ("The red bicycle stands in the yard.", "The red bicycle stands in the yard!")
    workers.remember(*(memory(text, id=f"m{n}", persona="zoe") for n, text in enumerate(texts)))
    assert workers.jobs.consolidate()["link"] == 1


def test_vectors_are_exported_with_the_model_that_made_them(mixed: Models) -> None:
    step = mixed.jobs.export_step(["", ""], 100, {"vectors": True})
    lines = [json.loads(line) for line in step["lines"]]
    following = mixed.jobs.export_step(step["after"], 100, {"vectors": True})
    lines += [json.loads(line) for line in following["lines"]]
    assert step["model"] == USUAL
    assert {(each["persona"], each.get("model"), len(each["vectors"])) for each in lines} == {
        ("athena", None, 1), ("zoe", "hash-32", 1),
    }  # fmt: skip


# Searching.


def test_a_search_asks_with_the_model_of_whose_memories_it_searches(mixed: Models) -> None:
    for persona in ("athena", "zoe"):
        answer = mixed.ask("Note 3 of the harbour.", persona, ranking="dense")
        assert answer.found[0].id == "m3"
        assert {"archive", "chroma"} <= set(answer.answered)
        assert answer.degraded == ()
    assert mixed.world.embedder.calls[1:] == [1]
    assert mixed.loaded["hash-32"].calls[1:] == [1]


def test_a_question_is_embedded_once_by_each_model_and_kept(mixed: Models) -> None:
    for _ in range(2):
        mixed.ask("harbour", among=["athena", "zoe"])
        mixed.world.hot.changed(["athena"])
    assert mixed.world.embedder.calls[1:] == mixed.loaded["hash-32"].calls[1:] == [1]


def test_among_several_personas_what_each_model_finds_is_fused(mixed: Models) -> None:
    both = {(persona, "m3") for persona in ("athena", "zoe")}
    for ranking in ("dense", "fused"):
        asked: dict[str, Any] = {"among": ["athena", "zoe"], "ranking": ranking, "limit": 2, "collapse": False}
        assert mixed.found("Note 3 of the harbour.", **asked) == both


def test_what_was_shared_is_found_by_the_model_of_its_owner(mixed: Models) -> None:
    mixed.world.hot.share(Key("zoe", "m3"), ["athena"])
    assert ("zoe", "m3") in mixed.found("Note 3 of the harbour.", ranking="dense", collapse=False)
    assert ("zoe", "m2") not in mixed.found("Note 2 of the harbour.", ranking="dense", limit=100, collapse=False)


def test_what_one_model_says_of_a_question_is_not_said_of_another_s_memories() -> None:
    near, far, unseen = Key("athena", "near"), Key("athena", "far"), Key("athena", "unseen")
    other, silent = Key("zoe", "other"), Key("nyx", "silent")
    naming = Naming("a", {"zoe": "b", "nyx": "c"})
    coverages = {unseen: 0.5, Key("zoe", "unseen"): 0.5, silent: 0.5}
    lists = Lists(coverages, {near: 0.9, far: 0.4, other: 0.8}, {"a": 0.7, "b": 0.2}, naming, more=False)
    said = {key: (each.cosine, each.trust) for key, each in lists.evidence().items()}
    assert [said[key] for key in (near, far, unseen)] == [(0.9, 0.7), (0.4, 0.7), (0.4, 0.7)]
    assert [its for key, its in said.items() if key.persona == "zoe"] == [(0.8, 0.2)] * 2
    assert said[silent] == (0.0, 0.0)


def test_a_search_worker_that_cannot_read_definitions_searches_with_the_usual_model(mixed: Models) -> None:
    other = Models(mixed.world)
    other.use("archive", Away(mixed.world.archive, "defined"))
    other.world.hot = type(mixed.world.hot)(clock=mixed.world.now)
    other.use("hot", other.world.hot)
    assert ("athena", "m3") in other.found("Note 3 of the harbour.", ranking="dense")
    assert other.found("Note 3 of the harbour.", "zoe", ranking="dense") == set()
    assert ("zoe", "m3") in other.found("Note 3 of the harbour.", "zoe")


# Changing.


def changed(workers: Models, model: str | None) -> None:
    workers.define(model=model)
    assert workers.nudged[-1] == "reconcile"


def test_with_another_model_vectors_are_made_anew_and_the_old_ones_go_in_the_end(workers: Models) -> None:
    workers.remember(*ITEMS)
    changed(workers, "hash-32")
    workers.reconcile()
    assert workers.loaded["hash-32"].calls[0] == 5
    assert workers.models_of("zoe") == workers.spaces_of("zoe") == {USUAL: 5, "hash-32": 5}
    assert workers.compared() == set()
    workers.world.advance(LEFT_SECONDS)
    workers.jobs.reconcile()
    assert workers.models_of("zoe") == workers.spaces_of("zoe") == {"hash-32": 5}
    assert workers.models_of("athena") == workers.spaces_of("athena") == {USUAL: 5}
    assert workers.world.archive.abandoned() == []
    assert workers.compared() == set()


def test_meanwhile_searches_go_on_by_words_and_nothing_old_is_compared_with_a_new_question(workers: Models) -> None:
    workers.remember(*ITEMS)
    workers.ask("Note 3 of the harbour.", "zoe")
    changed(workers, "hash-32")
    assert workers.found("Note 3 of the harbour.", "zoe", ranking="dense") == set()
    answer = workers.ask("Note 3 of the harbour.", "zoe")
    assert (answer.found[0].id, answer.degraded) == ("m3", ())
    workers.remember(memory("Note 9 of the harbour.", id="m9", persona="zoe"))
    assert workers.found("Note 3 of the harbour.", "zoe", ranking="dense") == {("zoe", "m9")}
    workers.reconcile()
    assert workers.ask("Note 3 of the harbour.", "zoe", ranking="dense").found[0].id == "m3"


def test_answers_that_were_found_with_the_model_before_are_not_given_again(workers: Models) -> None:
    workers.remember(*ITEMS)
    workers.ask("Note 3 of the harbour.", "zoe")
    assert workers.world.cached("Note 3 of the harbour.", persona="zoe")
    changed(workers, "hash-32")
    assert not workers.world.cached("Note 3 of the harbour.", persona="zoe")
    workers.ask("Note 3 of the harbour.", "zoe")
    workers.define(model="hash-32", about="Nothing that a search depends on.")
    assert workers.world.cached("Note 3 of the harbour.", persona="zoe")


def test_a_comparison_that_is_under_way_begins_anew(workers: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trinitas_tasks.tasks.mending.COMPARED", 7)
    monkeypatch.setattr("trinitas_tasks.tasks.mending.COMPARE_SECONDS", -1.0)
    workers.remember(*ITEMS)
    workers.jobs.reconcile()
    changed(workers, "hash-32")
    for _ in range(2):
        workers.jobs.reconcile()
    assert workers.models_of("zoe")["hash-32"] == 5


def test_whoever_comes_back_in_time_finds_the_vectors_where_they_were(workers: Models) -> None:
    workers.remember(*ITEMS)
    changed(workers, "hash-32")
    workers.reconcile()
    calls = list(workers.world.embedder.calls)
    changed(workers, None)
    assert workers.found("Note 3 of the harbour.", "zoe", ranking="dense", limit=1) == {("zoe", "m3")}
    workers.world.advance(LEFT_SECONDS)
    workers.reconcile()
    assert workers.models_of("zoe") == workers.spaces_of("zoe") == {USUAL: 5}
    assert workers.world.embedder.calls == [*calls, 1], "but for the question"


def test_what_is_forgotten_meanwhile_leaves_the_old_space_too(workers: Models) -> None:
    workers.remember(*ITEMS)
    changed(workers, "hash-32")
    workers.world.forget(OF_ZOE[0])
    workers.jobs.forget()
    assert workers.spaces_of("zoe") == {USUAL: 4}


def test_many_old_vectors_go_step_by_step(workers: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trinitas_tasks.tasks.mending.COMPARED", 2)
    workers.remember(*ITEMS)
    changed(workers, "hash-32")
    workers.reconcile()
    workers.world.advance(LEFT_SECONDS)
    monkeypatch.setattr("trinitas_tasks.tasks.mending.COMPARE_SECONDS", -1.0)
    left = []
    for _ in range(3):
        workers.jobs.reconcile()
        left.append(workers.models_of("zoe").get(USUAL, 0))
    assert left == [3, 1, 0]
    assert workers.world.archive.abandoned() == []


def test_where_the_vector_tier_is_away_old_vectors_wait(workers: Models) -> None:
    workers.remember(*ITEMS)
    changed(workers, "hash-32")
    workers.reconcile()
    changed(workers, "hash-16")
    workers.reconcile()
    workers.world.advance(LEFT_SECONDS)
    vectors = workers.use("vectors", Away(workers.world.vectors, "drop"))._tier
    workers.jobs.reconcile()
    assert workers.models_of("zoe") == workers.spaces_of("zoe") == {USUAL: 5, "hash-16": 5}
    assert [each.model for each in workers.world.archive.abandoned()] == [USUAL]
    workers.use("vectors", vectors)
    workers.jobs.reconcile()
    assert workers.models_of("zoe") == workers.spaces_of("zoe") == {"hash-16": 5}


def test_vectors_of_a_model_that_the_settings_come_back_to_stay(workers: Models) -> None:
    workers.remember(*ITEMS)
    changed(workers, "hash-32")
    workers.reconcile()
    changed(workers, None)
    other = Models(workers.world)
    other.use("embedder", Counting(32))
    other.use("vectors", MemoryVectors())
    other.world.advance(LEFT_SECONDS)
    other.jobs.reconcile()
    assert other.world.embedder.calls == [5], "of athena's memories alone"
    assert other.models_of("zoe")["hash-32"] == 5
    assert other.world.archive.abandoned() == []


# A model that cannot be loaded.


def test_a_model_that_cannot_be_loaded_is_not_defined(workers: Models) -> None:
    workers.define(about="Before.")
    for model in ("nowhere", "hash-8"):
        workers.missing = {"hash-8"}
        with pytest.raises(ModelError, match=f"{model} cannot be loaded"):
            workers.define(model=model)
    assert workers.world.archive.defined()["zoe"].to_dict() == {"name": "zoe", "about": "Before."}
    workers.missing = set()
    workers.define(model="hash-8")


def test_a_change_of_something_else_does_not_load_the_model(workers: Models) -> None:
    workers.define(model="hash-32")
    other = Models(workers.world)
    other.define(model="hash-32", about="Says more now.")
    assert other.loaded == {}
    assert other.nudged == []


def test_a_twin_is_refused(workers: Models) -> None:
    workers.define(model="/one/hash-32")
    with pytest.raises(InvalidQuery, match="has the name of /one/hash-32"):
        workers.define("nyx", model="/other/hash-32")


def later(workers: Models) -> None:
    workers.seconds += AGAIN_SECONDS + 1
    workers.reconcile()


def test_memories_of_a_model_that_went_away_are_archived_and_others_go_on(workers: Models) -> None:
    workers.define(model="hash-32")
    restarted = Models(workers.world)
    restarted.missing = {"hash-32"}
    restarted.remember(*ITEMS)
    assert not restarted.world.hot.due()
    assert restarted.world.archive.dead(10) == []
    assert (restarted.models_of("athena"), restarted.models_of("zoe")) == ({USUAL: 5}, {})
    assert {each.kind for each in restarted.compared()} == {reconcile.UNEMBEDDED}
    answer = restarted.ask("Note 3 of the harbour.", "zoe")
    assert answer.found[0].id == "m3"
    assert answer.degraded == ("model: hash-32 cannot be loaded",)
    restarted.reconcile()
    assert restarted.models_of("zoe") == {}
    restarted.missing = set()
    later(restarted)
    assert restarted.models_of("zoe") == restarted.spaces_of("zoe") == {"hash-32": 5}
    assert restarted.compared() == set()


def test_a_search_among_several_goes_on_without_the_model_of_one(mixed: Models) -> None:
    restarted = Models(mixed.world)
    restarted.missing = {"hash-32"}
    answer = restarted.ask("Note 3 of the harbour.", among=["athena", "zoe"], ranking="dense", limit=1)
    assert [(each.owner, each.id) for each in answer.found] == [("athena", "m3")]
    assert answer.degraded == ("model: hash-32 cannot be loaded",)


def test_a_doctor_is_told_of_every_model(mixed: Models) -> None:
    told = mixed.jobs.facts()
    assert told["model"] == f"{USUAL}, hash-32 of zoe"
    restarted = Models(mixed.world)
    restarted.missing = {"hash-32"}
    assert restarted.jobs.facts()["model_error"] == "of a persona: hash-32 cannot be loaded"


CHANGES: dict[str, Callable[[Models], object]] = {
    "to another model": lambda workers: changed(workers, "hash-16"),
    "to the usual one": lambda workers: changed(workers, None),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_a_late_batch_brings_by_the_old_model_is_made_anew(
    mixed: Models, change: Callable[[Models], object]
) -> None:
    """Another ingest worker has not heard of the change yet."""
    late = Models(mixed.world)
    late.runtime.personas.all()
    change(mixed)
    late.remember(memory("Note 8 of the harbour.", id="m8", persona="zoe"))
    assert late.models_of("zoe")["hash-32"] == 6
    mixed.reconcile()
    assert mixed.models_of("zoe")[mixed.runtime.naming.of("zoe")] == 6
    mixed.world.advance(LEFT_SECONDS)
    mixed.reconcile()
    assert list(mixed.models_of("zoe")) == list(mixed.spaces_of("zoe")) == [mixed.runtime.naming.of("zoe")]
    assert mixed.compared() == set()
