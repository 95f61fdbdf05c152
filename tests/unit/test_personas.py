"""Personas as data."""

from __future__ import annotations

import pytest

from trinitas_tasks.errors import InvalidQuery
from trinitas_tasks.policy.personas import FIVE, Persona, Roster, unknown


def test_a_persona_says_no_more_than_it_was_told() -> None:
    zoe = Persona.build(name="zoe", rules={"forget_below": 0.2}, routing={"episodic": "chromadb"})
    assert zoe.to_dict() == {"name": "zoe", "rules": {"forget_below": 0.2}, "routing": {"episodic": "chromadb"}}
    assert Persona.build(**zoe.to_dict()) == zoe


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"name": "no name"}, "name"),
        ({"name": "zoe", "about": "x" * 1001}, "about"),
        ({"name": "zoe", "about": "a\0b"}, "about"),
        ({"name": "zoe", "focus": [""]}, "focus"),
        ({"name": "zoe", "focus": ["x"] * 33}, "focus"),
        ({"name": "zoe", "routing": {"episodic": "sql"}}, "routing.episodic"),
        ({"name": "zoe", "rules": {"forget_below": 2}}, "rules.forget_below"),
        ({"name": "zoe", "wings": 2}, "wings"),
        ({}, "name"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidQuery, match=rf"^{complaint}"):
        Persona.build(**fields)


def test_a_roster_goes_there_and_back() -> None:
    roster = Roster({"zoe": Persona(name="zoe", about="日本語")}, frozenset({"hera"}))
    assert Roster.from_json(roster.to_json()) == roster
    assert set(roster.known()) == {*FIVE, "zoe", "hera"}


def test_the_same_personas_are_the_same_text() -> None:
    zoe, nyx = Persona(name="zoe"), Persona(name="nyx")
    one = Roster({"zoe": zoe, "nyx": nyx}, frozenset({"a", "b"}))
    other = Roster({"nyx": nyx, "zoe": zoe}, frozenset({"b", "a"}))
    assert one.to_json() == other.to_json()


def test_a_name_like_none_is_answered_with_those_there_are() -> None:
    assert "did you mean hestia?" in str(unknown("HESTIA", FIVE))
    assert "there are artemis, athena, bellona, hestia, seshat" in str(unknown("q", FIVE))
