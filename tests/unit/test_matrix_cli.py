"""The matrix of test_matrix.py for the command line of a user whom TRINITAS_PERSONA keeps to one persona."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from tests.unit.commands import CommandLine
from tests.unit.stage import (
    FOREIGN,
    HIDDEN,
    MISSING,
    OTHER,
    OWN,
    QUESTIONS,
    READER,
    SHARED,
    WORDS,
    Stage,
    leaks,
    steady,
    unnamed,
)
from trinitas_tasks.interfaces.cli.app import app
from trinitas_tasks.policy.life import BY_PERSONA

Enter = Callable[[Stage], CommandLine]

BY_ID: dict[str, tuple[str, ...]] = {
    "get": (),
    "edit": ("--importance", "0.9"),
    "forget": ("--yes",),
    "share": ("--to", "seshat"),
    "unshare": (),
    "shared": (),
    "why": (),
    "pin": (),
    "unpin": (),
    "feedback": ("--useful",),
    "dead-letters show": (),
    "dead-letters retry": (),
    "dead-letters drop": ("--yes",),
}
"""Commands that name a memory, and what they take besides."""
READABLE = {"get", "feedback"}
"""Those of them that are for what was shared, too."""
OPEN: dict[str, list[tuple[str, ...]]] = {
    "remember": [("quixotic marmalade behind the garden gate", "-t", "semantic")],
    "recall": [
        *((question, "--context", "2", "--explain") for question in QUESTIONS if question),
        ("zeppelin", "--include-archived", "-n", "1"),
    ],
    "list": [(), ("-n", "1"), ("--tag", "secret"), ("--since", "2026-01-01")],
    "timeline": [(), ("--on", "2026-01-02")],
    "stats": [()],
    "health": [()],
    "analytics": [()],
    "run": [(task, "--dry-run") for task in sorted(BY_PERSONA)],
    "consolidations": [()],
    "dead-letters list": [()],
    "reindex": [()],
    "export": [("-",), ("-", "--format", "csv"), ("-", "-t", "semantic")],
    "import": [("mine.jsonl",)],
    "personas show": [(READER,)],
}
"""Commands that name no memory."""
EVERYBODYS: dict[str, tuple[str, ...]] = {
    "run": ("backup",),
    "runs": (),
    "undo": ("1",),
    "verify": (),
    "top": ("--once",),
    "backup": ("b.tar.gz",),
    "restore": ("mine.jsonl", "--yes"),
    "migrate legacy": (".", "--yes"),
    "audit": (),
    "personas add": ("somebody", "--about", "new"),
    "personas edit": (READER, "--about", "changed"),
    "token create": ("-p", READER),
    "token list": (),
    "token revoke": ("0000000a", "--yes"),
}
"""Commands that concern everybody."""
APART = {"config", "up", "down", "status", "logs", "doctor", "eval", "shell-completion", "mcp install"}
"""Commands that touch no memories, but the processes of this machine, settings, or a stack of their own."""


@pytest.fixture
def enter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Enter]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRINITAS_HOME", str(tmp_path))
    monkeypatch.setenv("TRINITAS_PERSONA", READER)
    line = {"content": "mine", "id": "imported-1", "timestamp": "2026-01-02T00:00:00Z"}
    Path("mine.jsonl").write_text(json.dumps(line))
    stages: list[Stage] = []

    def made(stage: Stage) -> CommandLine:
        stages.append(stage)
        line = CommandLine(stage.bench, monkeypatch)
        line.client, line.ledger = stage.client, stage.ledger
        return line

    yield made
    for stage in stages:
        stage.close()


def said(trinitas: CommandLine, command: str, *arguments: str) -> str:
    """All that a command prints, and its exit code."""
    done = trinitas(*command.split(), *arguments)
    return steady(f"{done.code}\n{done.out}\n{done.err}")


def commands(group: TyperGroup, before: str = "") -> Iterator[tuple[str, set[str]]]:
    """Every command with the names of its options and arguments."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", {each.name or "" for each in command.params}


def test_every_command_has_a_row_here() -> None:
    top = typer.main.get_command(app)
    assert isinstance(top, TyperGroup)
    known = dict(commands(top))
    assert known.keys() == BY_ID.keys() | OPEN.keys() | EVERYBODYS.keys() | APART
    assert {name for name, its in known.items() if {"id", "persona"} <= its} == BY_ID.keys()


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("command", BY_ID)
def test_what_is_anothers_is_as_if_it_were_not_there(command: str, as_json: tuple[str, ...], enter: Enter) -> None:
    if as_json and command in ("pin", "unpin", "feedback", "dead-letters retry", "dead-letters drop"):
        return
    stage = Stage()
    trinitas, before = enter(stage), stage.others()
    asked = (*HIDDEN, MISSING, *(() if command in READABLE else (SHARED,)))
    for owner in ((), ("--owner", OTHER)) if command == "get" else ((),):
        answers = {unnamed(said(trinitas, command, each, *BY_ID[command], *as_json, *owner), each) for each in asked}
        assert len(answers) == 1
        assert not leaks(answers.pop())
    named = {
        unnamed(said(trinitas, command, each, "-p", OTHER, *BY_ID[command], *as_json), each)
        for each in (OWN, SHARED, *HIDDEN, MISSING)
    }
    assert len(named) == 1
    assert "does not act for hestia" in named.pop()
    assert stage.others() == before


def test_what_is_ones_own_or_shared_is_there(enter: Enter) -> None:
    trinitas = enter(Stage())
    for command in ("get", "shared", "why", "pin", "unpin", "feedback", "share", "unshare", "edit", "forget"):
        if command in READABLE:
            shared = said(trinitas, command, SHARED, *BY_ID[command])
            assert shared.startswith("0\n")
            assert (WORDS[SHARED] in shared) == (command == "get")
        assert said(trinitas, command, OWN, *BY_ID[command]).startswith("0\n"), command


@pytest.mark.parametrize("command", OPEN)
def test_a_command_that_names_no_memory_tells_nothing_of_others(command: str, enter: Enter) -> None:
    answers = []
    for secrets in (True, False):
        trinitas = enter(Stage(told=secrets))
        answers.append([said(trinitas, command, *asked) for asked in (*OPEN[command], *OPEN[command])])
        if command not in ("health", "personas show"):
            assert "does not act for hestia" in said(trinitas, command, *OPEN[command][0], "-p", OTHER)
    assert answers[0] == answers[1]
    assert all(answer.startswith("0\n") and not leaks(answer) for answer in answers[0]), answers[0]


def test_an_export_holds_what_is_ones_own(enter: Enter) -> None:
    trinitas = enter(Stage())
    whole = trinitas("export", "-")
    assert WORDS[OWN] in whole.out
    assert SHARED not in whole.out
    both = trinitas("export", "both.jsonl", "-p", READER, "-p", OTHER)
    assert (both.code, Path("both.jsonl").exists()) == (1, False)


def test_an_import_brings_nothing_to_others(enter: Enter) -> None:
    stage = Stage()
    trinitas, before = enter(stage), stage.others()
    Path("theirs.jsonl").write_text(json.dumps({"content": "planted", "persona": OTHER, "id": FOREIGN}))
    done = trinitas("import", "theirs.jsonl")
    assert done.code == 1
    assert stage.others() == before


@pytest.mark.parametrize("command", EVERYBODYS)
def test_what_concerns_everybody_is_refused(command: str, enter: Enter) -> None:
    stage = Stage()
    trinitas, before = enter(stage), stage.others()
    done = trinitas(*command.split(), *EVERYBODYS[command])
    assert (done.code, done.out) == (1, "")
    assert "this concerns all personas, and " in done.err
    assert not leaks(done.err)
    assert stage.others() == before
