"""What a door lets somebody do, what it writes down, and what it tells nobody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.unit.clients import Bench, Held, Workerless, ids
from trinitas_tasks.errors import Forbidden, InvalidMemory, InvalidQuery, NotFound, Unavailable, UnknownPersona
from trinitas_tasks.interfaces.book import Done
from trinitas_tasks.interfaces.door import Door
from trinitas_tasks.policy.access import EVERY_RIGHT, Principal, Right
from trinitas_tasks.tiers.ledger.interface import Deed
from trinitas_tasks.tiers.ledger.memory import MemoryLedger

NOBODYS = "0190d3c5-0000-7000-8000-000000000000"
USER = Principal("user mika")


class Notebook(MemoryLedger):
    """A ledger whose disk can be full for some of its calls."""

    full: frozenset[str] = frozenset()

    def begin(self, who: str, door: str, action: str, persona: str | None, subject: str | None, now: datetime) -> int:
        self._find_room("begin")
        return super().begin(who, door, action, persona, subject, now)

    def end(self, number: int, outcome: str | None, *, subject: str | None = None, detail: str | None = None) -> None:
        self._find_room("end")
        super().end(number, outcome, subject=subject, detail=detail)

    def _find_room(self, call: str) -> None:
        if call in self.full:
            raise Unavailable("disk full")


@pytest.fixture
def ledger() -> Notebook:
    return Notebook()


@pytest.fixture
def enter(bench: Bench, ledger: Notebook) -> Callable[..., Door]:
    """A door of somebody."""
    client = bench.client(persona=None)

    def made(*personas: str, rights: frozenset[Right] = EVERY_RIGHT, of: Any = None) -> Door:
        who = Principal("token x (1)", rights, frozenset(personas)) if personas else USER
        return Door(of or client, who, ledger, "http", clock=bench.world.now)

    return made


def rows(ledger: Notebook) -> list[tuple[Any, ...]]:
    """The audit, oldest first, without numbers, times and who."""
    return [deed[4:] for deed in reversed(ledger.deeds(1000))]


# What is written down.


def test_what_is_done_is_written_down_with_what_came_of_it(enter: Callable[..., Door], ledger: Notebook) -> None:
    door = enter("athena", "hestia")
    made = door.remember("The staging database moved.", persona="athena")
    door.pin(made, pinned=True, persona="athena")
    door.pin(made, pinned=False, persona="athena")
    door.feedback(made, useful=True, persona="athena")
    assert door.share(made, to="hestia", persona="athena") == {"hestia"}
    assert door.unshare(made, to=["hestia"], persona="athena") == frozenset()
    assert door.unshare(made, persona="athena") == frozenset()
    door.forget(made, persona="athena")
    assert rows(ledger) == [
        ("remember", "athena", made, "done", None),
        ("pin", "athena", made, "done", None),
        ("unpin", "athena", made, "done", None),
        ("feedback", "athena", made, "done", "useful"),
        ("share", "athena", made, "done", "to hestia"),
        ("unshare", "athena", made, "done", "to hestia"),
        ("unshare", "athena", made, "done", "to all"),
        ("forget", "athena", made, "done", None),
    ]
    assert {(deed.who, deed.door) for deed in ledger.deeds(100)} == {("token x (1)", "http")}


def test_what_fails_is_written_down_and_what_may_have_happened_stays_open(
    enter: Callable[..., Door], bench: Bench, ledger: Notebook
) -> None:
    door = enter("athena")
    with pytest.raises(InvalidMemory):
        door.remember("")
    with pytest.raises(NotFound):
        door.forget(NOBODYS)
    bench.world.hot.ping = None
    away = enter("athena", of=bench.client(Workerless, persona=None))
    with pytest.raises(Unavailable):
        away.run("prune", dry_run=True)
    assert rows(ledger) == [
        ("remember", "athena", None, "failed", "InvalidMemory"),
        ("forget", "athena", NOBODYS, "failed", "NotFound"),
        ("run prune", "athena", None, None, "dry run: Unavailable"),
    ]


def test_reads_leave_no_rows(enter: Callable[..., Door], ledger: Notebook) -> None:
    door = enter("athena")
    made = door.remember("The staging database moved.")
    assert (door.get(made).id, ids(door.recall("staging"))) == (made, [made])
    door.stats(), door.health(), door.personas(), door.shared_with(made), door.analytics()
    assert len(rows(ledger)) == 1


def test_no_row_holds_what_a_memory_says(enter: Callable[..., Door], ledger: Notebook) -> None:
    door = enter("athena")
    calls: list[Callable[[Any], object]] = [
        door.forget,
        door.unshare,
        lambda wrong: door.share(wrong, to="hestia"),
        lambda wrong: door.pin(wrong, pinned=True),
        lambda wrong: door.feedback(wrong, useful=True),
    ]
    for wrong in ("the secret plan", {"secret": "plan"}, "x" * 200):
        with pytest.raises(InvalidMemory):
            door.remember("secret", id=wrong)
        for call in calls:
            with pytest.raises(InvalidQuery):
                call(wrong)
    with pytest.raises(InvalidQuery, match="there is no 'the secret task'"):
        door.run("the secret task", dry_run=True)
    assert "secret" not in str(rows(ledger))
    assert "xxx" not in str(rows(ledger))


def test_nothing_is_done_that_cannot_be_written_down(enter: Callable[..., Door], ledger: Notebook) -> None:
    door = enter("athena")
    made = door.remember("before")
    ledger.full = frozenset({"begin"})
    for call in (lambda: door.remember("after"), lambda: door.forget(made), lambda: door.share(made, to="hestia")):
        with pytest.raises(Unavailable, match="disk full"):
            call()
    assert door.get(made).content == "before"
    assert "after" not in [hit.item.content for hit in door.recall("after")]


def test_what_is_done_is_no_error_because_its_end_cannot_be_written_down(
    enter: Callable[..., Door], ledger: Notebook, caplog: pytest.LogCaptureFixture
) -> None:
    door = enter("athena")
    ledger.full = frozenset({"end"})
    made = door.remember("kept")
    assert door.get(made).content == "kept"
    with pytest.raises(NotFound):
        door.forget(NOBODYS)
    with pytest.raises(Forbidden):
        door.get(made, persona="hestia")
    assert [deed.outcome for deed in ledger.deeds(10)] == [None, None, None]
    assert caplog.text.count("could not be written down: disk full") == 3


def test_a_refusal_that_cannot_be_written_down_is_one(enter: Callable[..., Door], ledger: Notebook) -> None:
    ledger.full = frozenset({"begin"})
    with pytest.raises(Forbidden):
        enter("athena").remember("x", persona="hestia")


# Who may do what.

CALLS: dict[str, tuple[Right, Callable[[Door, str], object]]] = {
    "remember": (Right.WRITE, lambda door, whose: door.remember("x", persona=whose)),
    "forget": (Right.WRITE, lambda door, whose: door.forget(NOBODYS, persona=whose)),
    "update": (Right.WRITE, lambda door, whose: door.update(NOBODYS, persona=whose, content="x")),
    "pin": (Right.WRITE, lambda door, whose: door.pin(NOBODYS, pinned=True, persona=whose)),
    "feedback": (Right.WRITE, lambda door, whose: door.feedback(NOBODYS, useful=True, persona=whose)),
    "share": (Right.SHARE, lambda door, whose: door.share(NOBODYS, to="seshat", persona=whose)),
    "unshare": (Right.SHARE, lambda door, whose: door.unshare(NOBODYS, persona=whose)),
    "shared_with": (Right.READ, lambda door, whose: door.shared_with(NOBODYS, persona=whose)),
    "get": (Right.READ, lambda door, whose: door.get(NOBODYS, persona=whose)),
    "recall": (Right.READ, lambda door, whose: door.recall("x", persona=whose)),
    "recall of several": (Right.READ, lambda door, whose: door.recall("x", persona=["athena", whose])),
    "timeline": (Right.READ, lambda door, whose: door.timeline(persona=whose)),
    "stats": (Right.READ, lambda door, whose: door.stats(persona=whose)),
    "why": (Right.READ, lambda door, whose: door.why(NOBODYS, persona=whose)),
    "persona": (Right.READ, lambda door, whose: door.persona(whose)),
    "analytics": (Right.READ, lambda door, whose: door.analytics(persona=whose)),
    "run": (Right.ADMIN, lambda door, whose: door.run("prune", dry_run=True, persona=whose)),
}
"""Each method that names a persona, and the right that it takes."""
EVERYBODYS: dict[str, Callable[[Door], object]] = {
    "analytics": lambda door: door.analytics(),
    "run": lambda door: door.run("prune", dry_run=True),
    "backup": lambda door: door.run("backup", dry_run=True, persona="athena"),
    "undo": lambda door: door.undo(1),
    "administering": lambda door: _entered(door, None),
}
FREE = {"health", "personas", "administering", "undo"}
"""Methods that name no persona."""


def _entered(door: Door, persona: str | None) -> Done:
    with door.administering("token create", persona=persona) as done:
        return done


def test_every_method_has_a_row_here() -> None:
    functions = {name for name, each in vars(Door).items() if getattr(each, "__qualname__", "") == f"Door.{name}"}
    methods = {name for name in functions if not name.startswith("_")}
    assert methods == {name.partition(" ")[0] for name in CALLS} | FREE


@pytest.mark.parametrize("name", CALLS)
def test_only_who_has_the_right_and_acts_for_the_persona_may(
    name: str, enter: Callable[..., Door], ledger: Notebook
) -> None:
    right, call = CALLS[name]
    with pytest.raises(Forbidden, match=f"token x .1. may not {right}: its scope is "):
        call(enter("athena", rights=EVERY_RIGHT - {right}), "athena")
    for whose in ("hestia", "nobody-has-this-name"):
        with pytest.raises(Forbidden) as refused:
            call(enter("athena"), whose)
        assert str(refused.value) == f"token x (1) does not act for {whose}, only for athena"
    assert [row[3] for row in rows(ledger)] == ["refused"] * 3
    with pytest.raises(InvalidQuery):
        call(enter("athena"), "no persona's name")


@pytest.mark.parametrize("name", CALLS)
def test_a_name_that_nobody_has_is_an_error_and_no_deed(
    name: str, enter: Callable[..., Door], ledger: Notebook
) -> None:
    for door in (enter("athena", "athene"), enter()):
        with pytest.raises(UnknownPersona, match="did you mean athena"):
            CALLS[name][1](door, "athene")
    assert rows(ledger) == []


@pytest.mark.parametrize("name", EVERYBODYS)
def test_what_concerns_everybody_is_for_who_acts_for_all(
    name: str, enter: Callable[..., Door], ledger: Notebook
) -> None:
    for personas in (("athena", "hestia"), ("hestia",)):
        if personas == ("hestia",) and name in ("analytics", "run"):
            continue  # they mean hestia
        with pytest.raises(Forbidden):
            EVERYBODYS[name](enter(*personas))
        assert rows(ledger)[-1][3] == "refused"


def test_a_sole_persona_need_not_be_named(enter: Callable[..., Door]) -> None:
    enter("hestia").remember("x y z")
    assert [hit.item.persona for hit in enter("hestia").recall("x y z")] == ["hestia"]
    assert list(enter("hestia").analytics()["personas"]) == ["hestia"]
    for door in (enter("hestia", "athena"), enter()):
        with pytest.raises(InvalidQuery, match="say whose memories are meant"):
            door.remember("x")


def test_everybody_is_searched_by_who_acts_for_all_where_the_settings_allow_it(
    enter: Callable[..., Door], bench: Bench
) -> None:
    open_to_all = bench.client(persona=None, TRINITAS_ALL_PERSONAS=True)
    enter("hestia").remember("x y z")
    assert len(enter(of=open_to_all).recall("x y z", persona="*")) == 1
    with pytest.raises(Forbidden, match="concerns all personas"):
        enter("athena", of=open_to_all).recall("x y z", persona="*")
    with pytest.raises(InvalidQuery, match="TRINITAS_ALL_PERSONAS"):
        enter().recall("x y z", persona="*")


def test_forgetting_where_nobody_can_look_forgets(enter: Callable[..., Door], monkeypatch: pytest.MonkeyPatch) -> None:
    door = enter("athena")
    made = door.remember("x y z")

    def away(*_: object, **__: object) -> None:
        raise Unavailable("nobody can say")

    with monkeypatch.context() as patched:
        patched.setattr(door.client, "get", away)
        door.forget(made)
    with pytest.raises(NotFound):
        door.get(made)


# What is told.


def test_figures_tell_nothing_of_others(enter: Callable[..., Door], bench: Bench) -> None:
    few, all_of = enter("athena", "seshat"), enter(of=bench.client(Held, persona=None))
    before = [_figures(few, whose) for whose in ("athena", "seshat")]
    all_of.remember("hestia's own", persona="hestia")
    assert all_of.stats(persona="athena").outbox == 1
    assert [_figures(few, whose) for whose in ("athena", "seshat")] == before
    assert set(few.personas()) == {"athena", "seshat"}
    assert set(all_of.personas()) >= {"athena", "hestia"}
    assert all_of.analytics()["copies"]["count"] == 0
    assert few.analytics(persona="athena")["copies"] == {}


def _figures(door: Door, persona: str) -> tuple[object, ...]:
    told = door.analytics(persona=persona)
    return door.stats(persona=persona), {**told, "at": None}, door.personas(), door.health()


def test_why_names_no_memory_that_somebody_else_read_next(enter: Callable[..., Door]) -> None:
    athena, hestia = enter("athena"), enter("hestia")
    mine = [athena.remember(f"athena's page {number}") for number in range(2)]
    hers = [hestia.remember(f"hestia's page {number}") for number in range(2)]
    athena.share(mine[0], to=["hestia"])
    hestia.share(hers[0], to=["athena"])
    for _ in range(3):
        for memory_id in (mine[0], *hers):
            hestia.get(memory_id)
        for memory_id in (*mine, hers[0]):
            athena.get(memory_id)
    hestia.unshare(hers[0])
    known = athena.why(mine[0])
    assert [each["id"] for each in known["read_next"]] == [mine[1]]
    assert not any(each in str(known) for each in hers)


def test_what_is_wrong_is_told_to_who_administers_all(enter: Callable[..., Door], bench: Bench) -> None:
    def away() -> None:
        raise Unavailable("no answer from redis://10.0.0.7")

    bench.world.hot.ping = away
    assert enter().health().parts["redis"] == "no answer from redis://10.0.0.7"
    for door in (enter("athena"), enter("athena", "hestia", rights=frozenset())):
        assert not door.health().ok
        assert "10.0.0.7" not in str(door.health())


def test_a_block_of_administration_may_name_what_it_made(enter: Callable[..., Door], ledger: Notebook) -> None:
    with enter().administering("token create") as done:
        done.subject, done.detail = "0000000a", "for athena"
    with pytest.raises(KeyboardInterrupt), enter().administering("token create"):
        raise KeyboardInterrupt
    with enter("athena").administering("personas edit", persona="athena"):
        pass
    assert rows(ledger) == [
        ("token create", None, "0000000a", "done", "for athena"),
        ("token create", None, None, None, "KeyboardInterrupt"),
        ("personas edit", "athena", None, "done", None),
    ]
    assert isinstance(ledger.deeds(1)[0], Deed)
    assert isinstance(ledger.deeds(1)[0].at, datetime)
