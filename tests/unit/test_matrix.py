"""Every way to memories, with one's own, shared, no longer shared and another's: nothing of the latter two is learned.

The ways of the client and of the door; test_matrix_mcp.py has the tools, over both transports, and tokens,
test_matrix_cli.py the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from operator import methodcaller
from typing import Any, NamedTuple

import pytest

from tests.unit.clients import Held, Workerless
from tests.unit.stage import (
    FOREIGN,
    HIDDEN,
    MISSING,
    OTHER,
    OWN,
    QUESTIONS,
    READER,
    REVOKED,
    SHARED,
    WORDS,
    Stage,
    leaks,
    rendered,
    told,
    unnamed,
)
from tests.unit.world import Away
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.interfaces.door import Door
from trinitas_tasks.policy.life import BY_PERSONA
from trinitas_tasks.query import Recall

NOW = datetime(2026, 2, 1, tzinfo=UTC)
MINE: Any = {"persona": READER}


class Way(NamedTuple):
    """By an id. ``shows`` what the memory says; ``shared``: also of what was shared with the reader."""

    call: Callable[[Any, str], object]
    shows: bool = False
    shared: bool = False


BY_ID: dict[str, Way] = {
    "get": Way(lambda way, id: way.get(id, **MINE), shows=True, shared=True),
    "get by owner": Way(lambda way, id: way.get(id, owner=OTHER, **MINE), shared=True),
    "shared_with": Way(lambda way, id: way.shared_with(id, **MINE)),
    "update": Way(lambda way, id: way.update(id, importance=0.9, **MINE), shows=True),
    "forget": Way(lambda way, id: way.forget(id, **MINE)),
    "feedback": Way(lambda way, id: way.feedback(id, useful=True, **MINE), shared=True),
    "feedback by owner": Way(lambda way, id: way.feedback(id, useful=True, owner=OTHER, **MINE), shared=True),
    "share": Way(lambda way, id: way.share(id, to=["seshat"], **MINE)),
    "unshare": Way(lambda way, id: way.unshare(id, **MINE)),
}
"""Those that the client and the door have alike."""
BY_ID_AT_THE_DOOR: dict[str, Way] = BY_ID | {
    "pin": Way(lambda door, id: door.pin(id, pinned=True, **MINE)),
    "why": Way(lambda door, id: door.why(id, **MINE)),
}
BY_ID_OF_A_CLIENT: dict[str, Way] = BY_ID | {
    "pin": Way(lambda client, id: client.pin(id, **MINE)),
    "unpin": Way(lambda client, id: client.unpin(id, **MINE)),
    "why": Way(lambda client, id: client.ask("why", READER, id)),
    "fetch": Way(lambda client, id: client.ask("fetch", READER, [id])),
}
OPEN: dict[str, Callable[[Any], object]] = {
    "timeline": lambda way: way.timeline(**MINE),
    "timeline of one": lambda way: way.timeline(limit=1, newest_first=False, **MINE),
    "stats": lambda door: door.stats(**MINE),
    "analytics": lambda door: door.analytics(**MINE),
    "health": lambda door: door.health(),
    "persona": lambda door: door.persona(READER),
    "personas": lambda door: [each for each in door.personas() if each == READER],
    "remember what another knows": lambda door: door.remember("quixotic marmalade behind the garden gate", **MINE),
    "replace what another has": lambda door: door.remember("mine", id=FOREIGN, **MINE),
    **{f"run {task}": methodcaller("run", task, dry_run=True, **MINE) for task in sorted(BY_PERSONA)},
}
"""Ways that name no memory."""
ASKED: dict[str, dict[str, Any]] = {
    "plainly": {},
    "with context": {"context": 3, "explain": True},
    "of all ages": {"include_archived": True, "collapse": False},
    "boosted": {"boosts": {"access": 1.0, "importance": 1.0, "recency": 1.0}},
    "filtered": {"filters": {"types": ["semantic"], "any_tags": ["plain", "secret"]}},
    "page by page": {"limit": 1},
}
TOGETHER = {"client", "principal", "ledger", "name", "clock", "recall", "administering", "undo"}
"""What the door has beside those above: recall is asked by ASKED, the others are for who acts for all."""


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.fixture(params=["client", "door"])
def ways(request: pytest.FixtureRequest) -> dict[str, Way]:
    return BY_ID_OF_A_CLIENT if request.param == "client" else BY_ID_AT_THE_DOOR


def entrance(stage: Stage, ways: dict[str, Way]) -> Door | MemoryClient:
    return stage.client if ways is BY_ID_OF_A_CLIENT else stage.door()


def test_every_way_of_the_door_has_a_row_here() -> None:
    functions = {name for name, each in vars(Door).items() if getattr(each, "__qualname__", "") == f"Door.{name}"}
    named = {name.partition(" ")[0] for name in (*BY_ID_AT_THE_DOOR, *OPEN)} | {"remember"}
    assert {name for name in functions if not name.startswith("_")} - TOGETHER == named - {"replace"}


def test_what_is_ones_own_or_shared_is_there(ways: dict[str, Way]) -> None:
    for name, way in ways.items():
        for memory_id in (OWN, SHARED):
            stage = Stage()
            answer = told(way.call, entrance(stage, ways), memory_id)
            stage.close()
            if memory_id == OWN and "by owner" not in name:
                assert "no memory" not in answer, name
                assert (WORDS[OWN] in answer) == way.shows, name
            if memory_id == SHARED and way.shared:
                assert "no memory" not in answer, name
                assert (WORDS[SHARED] in answer) == name.startswith("get"), name


@pytest.mark.parametrize("hidden", HIDDEN)
def test_what_is_anothers_is_as_if_it_were_not_there(ways: dict[str, Way], hidden: str) -> None:
    for name, way in ways.items():
        stage = Stage()
        before = stage.others()
        answers = [unnamed(told(way.call, entrance(stage, ways), each), each) for each in (hidden, MISSING)]
        assert answers[0] == answers[1], name
        assert not leaks(answers[0]), name
        assert stage.others() == before, name
        stage.close()


@pytest.mark.parametrize("name", ["update", "forget", "pin", "share", "unshare", "shared_with"])
def test_what_was_shared_is_still_its_owners(stage: Stage, name: str) -> None:
    before, way = stage.others(), BY_ID_AT_THE_DOOR[name]
    answers = [unnamed(told(way.call, stage.door(), each), each) for each in (SHARED, MISSING)]
    assert answers[0] == answers[1]
    assert stage.others() == before


def asked(way: Door | MemoryClient, how: dict[str, Any]) -> Iterator[tuple[str, Recall]]:
    """Every question: asked, asked again (from the cache), and for what follows."""
    for question in QUESTIONS:
        ask = partial(way.recall, question, now=NOW, **how, **MINE)
        yield question, (first := ask())
        yield f"{question} again", ask()
        if first.next:
            yield f"{question} on", ask(after=first.next)


@pytest.mark.parametrize("how", ASKED)
@pytest.mark.parametrize("near", ["with workers", "no index", "archive at hand", "busy workers", "no workers"])
def test_a_question_is_answered_as_if_others_had_no_secrets(how: str, near: str) -> None:
    dispatcher = {"busy workers": Held, "no workers": Workerless}.get(near)
    given: dict[str, Any] = {"near": "at hand" in near or "no workers" in near}
    given |= {"dispatcher": dispatcher} if dispatcher else {}
    answers = []
    for secrets in (True, False):
        stage = Stage(told=secrets, **given)
        if near == "no index":
            stage.bench.world.lexical = Away(stage.bench.world.lexical, "search", "among", "collections", "position")
            stage.client = stage.bench.client(persona=None)
        way = stage.client if how == "plainly" else stage.door()
        answers.append(list(asked(way, ASKED[how])))
        stage.close()
    for (question, with_secrets), (_, without) in zip(*answers, strict=True):
        assert rendered(with_secrets) == rendered(without), question
        assert not leaks(rendered(with_secrets.hits)), question
    assert any(WORDS[SHARED] in rendered(found) for _, found in answers[0])


@pytest.mark.parametrize("name", OPEN)
def test_a_way_that_names_no_memory_tells_nothing_of_others(name: str) -> None:
    stages = Stage(), Stage(told=False)
    answers = [told(OPEN[name], stage.door()) for stage in stages]
    for stage in stages:
        stage.close()
    assert answers[0] == answers[1]
    assert [each for each in leaks(answers[0]) if each not in name] in ([], ["foreign-"] if "replace" in name else [])


def test_a_cached_answer_ends_with_the_grant(stage: Stage) -> None:
    stage.all.share(REVOKED, to=[READER], persona=OTHER)
    door = stage.door()
    for question in QUESTIONS:
        door.recall(question, context=3, **MINE)
    assert leaks(told(door.recall, "zeppelin", **MINE))
    stage.all.unshare(REVOKED, persona=OTHER)
    for question in QUESTIONS:
        answer = told(door.recall, question, context=3, **MINE)
        assert not leaks(answer)
        assert '"cached": false' in answer


def test_remembering_what_another_remembers_is_a_memory_of_ones_own(stage: Stage) -> None:
    before = stage.others()
    said = stage.all.get(FOREIGN, persona=OTHER)
    assert said is not None
    kept = {name: getattr(said, name) for name in ("type", "metadata", "tags", "importance", "timestamp")}
    mine = stage.door().remember(said.content, **kept, **MINE)
    assert mine != FOREIGN
    assert stage.door().remember(said.content, **kept, **MINE) == mine
    assert stage.door().remember("mine now", id=FOREIGN, **MINE) == FOREIGN
    assert stage.door().get(FOREIGN, **MINE).content == "mine now"
    stage.door().forget(FOREIGN, **MINE)
    assert stage.others() == before


def test_a_refused_grantee_is_refused_alike_whatever_was_shared(stage: Stage) -> None:
    """Somebody else's persona cannot be named, whether it has the memory or not."""
    answers = {unnamed(told(stage.door().get, each, persona=OTHER), each) for each in (OWN, SHARED, *HIDDEN, MISSING)}
    assert answers == {"Forbidden: token x (1) does not act for hestia, only for athena"}


def test_nothing_is_told_while_redis_is_away(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable("redis is away")

    near = stage.bench.client(Workerless, persona=None, near=True)
    for name in ("read_scoped", "read", "lenders", "granted", "standings", "probe", "pending", "waiting", "roster"):
        monkeypatch.setattr(stage.bench.world.hot, name, away)
    stage.client = near
    for way in BY_ID_AT_THE_DOOR.values():
        answers = {unnamed(told(way.call, stage.door(), each), each) for each in (SHARED, *HIDDEN, MISSING)}
        assert len(answers) == 1
        assert not leaks(answers.pop())
    for question in QUESTIONS:
        assert not leaks(told(stage.door().recall, question, **MINE))
