"""Who may do what through a door."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.clients import Bench
from tests.unit.doors import Enter, Notebook, rows
from trinitas_tasks.errors import Forbidden, InvalidQuery, UnknownPersona
from trinitas_tasks.interfaces.book import Done
from trinitas_tasks.interfaces.door import Door
from trinitas_tasks.policy.access import EVERY_RIGHT, Right

NOBODYS = "0190d3c5-0000-7000-8000-000000000000"

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
def test_only_who_has_the_right_and_acts_for_the_persona_may(name: str, enter: Enter, ledger: Notebook) -> None:
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
def test_a_name_that_nobody_has_is_an_error_and_no_deed(name: str, enter: Enter, ledger: Notebook) -> None:
    for door in (enter("athena", "athene"), enter()):
        with pytest.raises(UnknownPersona, match="did you mean athena"):
            CALLS[name][1](door, "athene")
    assert rows(ledger) == []


@pytest.mark.parametrize("name", EVERYBODYS)
def test_what_concerns_everybody_is_for_who_acts_for_all(name: str, enter: Enter, ledger: Notebook) -> None:
    for personas in (("athena", "hestia"), ("hestia",)):
        if personas == ("hestia",) and name in ("analytics", "run"):
            continue  # they mean hestia
        with pytest.raises(Forbidden):
            EVERYBODYS[name](enter(*personas))
        assert rows(ledger)[-1][3] == "refused"


def test_a_sole_persona_need_not_be_named(enter: Enter) -> None:
    enter("hestia").remember("x y z")
    assert [hit.item.persona for hit in enter("hestia").recall("x y z")] == ["hestia"]
    assert list(enter("hestia").analytics()["personas"]) == ["hestia"]
    for door in (enter("hestia", "athena"), enter()):
        with pytest.raises(InvalidQuery, match="say whose memories are meant"):
            door.remember("x")


def test_everybody_is_searched_by_who_acts_for_all_where_the_settings_allow_it(enter: Enter, bench: Bench) -> None:
    open_to_all = bench.client(persona=None, TRINITAS_ALL_PERSONAS=True)
    enter("hestia").remember("x y z")
    assert len(enter(of=open_to_all).recall("x y z", persona="*")) == 1
    with pytest.raises(Forbidden, match="concerns all personas"):
        enter("athena", of=open_to_all).recall("x y z", persona="*")
    with pytest.raises(InvalidQuery, match="TRINITAS_ALL_PERSONAS"):
        enter().recall("x y z", persona="*")
