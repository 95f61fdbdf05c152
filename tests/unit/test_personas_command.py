"""`trinitas personas`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.clients import Bench, Workerless
from tests.unit.commands import CommandLine
from trinitas_tasks.embedding.interface import Embedder
from trinitas_tasks.embedding.models import Chosen, Shelf
from trinitas_tasks.errors import ModelError
from trinitas_tasks.policy.personas import FIVE, Persona
from trinitas_tasks.tasks.inline import InlineDispatcher


@pytest.fixture
def trinitas(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    made = CommandLine(bench, monkeypatch)
    dispatcher = made.client._dispatcher
    assert isinstance(dispatcher, InlineDispatcher)
    dispatcher._runtime.shelf = Shelf(missing)
    return made


def missing(chosen: Chosen) -> Embedder:
    """No model is there but the usual one."""
    raise ModelError(f"{chosen.model} cannot be loaded")


def test_all_personas_are_listed_with_what_they_care_for_and_have(trinitas: CommandLine) -> None:
    trinitas.client.remember("The harbour is closed.", persona="nyx")
    trinitas("personas", "add", "iris", "--focus", "couriers", "--focus", "routes")
    listed = trinitas("personas").out.splitlines()
    assert [line.split()[0] for line in listed] == ["name", *sorted([*FIVE, "iris", "nyx"])]
    assert ["iris", "0", "couriers,", "routes"] in [line.split() for line in listed]
    assert listed[-2].split() == ["nyx", "1"]
    told = {each["name"]: each for each in trinitas("personas", "--json").told}
    assert told["iris"] == {
        "name": "iris", "about": "", "focus": ["couriers", "routes"], "routing": {}, "rules": None, "model": None,
        "model_sha256": None, "memories": 0,
    }  # fmt: skip
    assert told["nyx"]["memories"] == 1


def test_without_workers_they_are_listed_without_counts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.client().define(Persona(name="iris"))
    trinitas = CommandLine(bench, monkeypatch)
    trinitas.client = bench.client(Workerless, persona=None)
    done = trinitas("personas", "--json")
    assert {each["name"]: each["memories"] for each in done.told} == dict.fromkeys([*FIVE, "iris"])
    assert "nobody counts the memories just now" in done.err


def test_a_persona_is_added_whole(trinitas: CommandLine) -> None:
    added = trinitas(
        "personas", "add", "iris", "--about", "Carries messages.", "--route", "episodic=chromadb", "--route",
        "semantic=redis", "--rules", '{"archive_days": 30}', "--json",
    )  # fmt: skip
    expected = {
        "name": "iris", "about": "Carries messages.", "routing": {"episodic": "chromadb", "semantic": "redis"},
        "rules": {"archive_days": 30},
    }  # fmt: skip
    assert added.told == expected
    assert trinitas.client.personas()["iris"].to_dict() == expected
    assert trinitas.rows() == [("personas add", None, "iris", "done")]
    shown = trinitas("personas", "show", "iris", "--json").told
    assert shown["in_force"]["routing"] == {
        "working": "redis", "episodic": "chromadb", "semantic": "redis", "procedural": "chromadb",
    }  # fmt: skip
    assert (shown["in_force"]["rules"]["archive_days"], shown["in_force"]["rules"]["keep_reads"]) == (30, 3)
    assert "about: Carries messages." in trinitas("personas", "show", "iris").out


def test_a_folder_is_meant_by_its_whole_path(
    trinitas: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "e5").mkdir()
    monkeypatch.chdir(tmp_path)
    done = trinitas("personas", "add", "iris", "--model", "e5")
    assert (done.code, f"{tmp_path / 'e5'} cannot be loaded" in done.err) == (1, True)


def test_who_is_there_is_not_added_again(trinitas: CommandLine) -> None:
    for name in ("athena", "iris"):
        trinitas("personas", "add", name, "--about", "First.")
        done = trinitas("personas", "add", name, "--about", "Second.")
        assert (done.code, f"`trinitas personas edit {name}` changes it" in done.err) == (1, True)
    assert trinitas.client.personas()["iris"].about == "First."
    trinitas.client.remember("The harbour is closed.", persona="nyx")
    assert trinitas("personas", "add", "nyx", "--about", "Night.").code == 0, "of her nothing was said before"


def test_only_what_is_given_changes(trinitas: CommandLine) -> None:
    trinitas(
        "personas", "add", "iris", "--about", "Carries.", "--focus", "routes", "--route", "episodic=chromadb",
        "--route", "working=chromadb", "--rules", '{"archive_days": 30, "keep_reads": 9}',
    )  # fmt: skip
    edited = trinitas(
        "personas", "edit", "iris", "--route", "episodic=", "--route", "semantic=redis", "--rules",
        '{"archive_days": null, "keep_score": 0.2}', "--json",
    )  # fmt: skip
    assert edited.told == {
        "name": "iris", "about": "Carries.", "focus": ["routes"],
        "routing": {"working": "chromadb", "semantic": "redis"}, "rules": {"keep_reads": 9, "keep_score": 0.2},
    }  # fmt: skip
    assert trinitas("personas", "edit", "iris", "--about", "", "--focus", "", "--rules", "null", "--json").told == {
        "name": "iris", "routing": {"working": "chromadb", "semantic": "redis"},
    }  # fmt: skip


def test_the_five_are_edited_too(trinitas: CommandLine) -> None:
    trinitas("personas", "edit", "athena", "--focus", "cost")
    assert trinitas.client.personas()["athena"] == FIVE["athena"].model_copy(update={"focus": ("cost",)})


@pytest.mark.parametrize("command", [("show", "irs"), ("edit", "irs", "--about", "x")])
def test_an_unknown_name_is_answered_with_the_nearest(trinitas: CommandLine, command: tuple[str, ...]) -> None:
    trinitas("personas", "add", "iris")
    done = trinitas("personas", *command)
    assert (done.code, "did you mean iris?" in done.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("add", "no name"), 1, "name:"),
        (("add", "iris", "--route", "episodic"), 2, "is not TYPE=TIER"),
        (("add", "iris", "--route", "episodic=sql"), 1, "routing.episodic"),
        (("add", "iris", "--rules", "{"), 2, "is not JSON"),
        (("add", "iris", "--rules", "[]"), 2, "is not a JSON object"),
        (("add", "iris", "--rules", '{"forget_below": 2}'), 1, "rules.forget_below"),
        (("add", "iris", "--model", "gpt"), 1, "gpt cannot be loaded"),
        (("edit", "athena"), 2, "say what is to be changed"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_changed(
    trinitas: CommandLine, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = trinitas("personas", *arguments)
    assert (done.code, said in done.err) == (code, True), done.err
    assert trinitas.client.personas() == dict(sorted(FIVE.items()))


def test_a_user_who_acts_for_one_persona_sees_that_one_and_adds_none(
    trinitas: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRINITAS_PERSONA", "athena")
    assert [each["name"] for each in trinitas("personas", "--json").told] == ["athena"]
    assert trinitas("personas", "show", "athena").code == 0
    assert "does not act for hestia" in trinitas("personas", "show", "hestia").err
    for command in (("add", "iris"), ("edit", "athena", "--about", "x")):
        assert "this concerns all personas" in trinitas("personas", *command).err
    assert trinitas.rows()[-1] == ("personas edit", None, "athena", "refused")
