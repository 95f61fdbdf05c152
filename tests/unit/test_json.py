"""What `--json` prints is what docs/json.md says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.documented import differences, examples
from tests.unit.clients import Workerless
from tests.unit.commands import CommandLine
from trinitas_tasks.interfaces.cli.reference import named
from trinitas_tasks.local.stack import ProcessStatus, Status
from trinitas_tasks.model import Key
from trinitas_tasks.tiers.archive.interface import DeadLetter

OF_ATHENA = ("-p", "athena")
SILENT = frozenset(
    {"pin", "unpin", "feedback", "logs", "shell-completion", "token revoke", "mcp install"}
    | {f"dead-letters {each}" for each in ("retry", "drop")}
)
"""They print what they have to say, if anything, as text."""


@pytest.fixture
def given(trinitas: CommandLine) -> str:
    """A memory that was read, found, shared and consolidated, beside another that says the same."""
    memory_id = trinitas("remember", "The staging database moved.", *OF_ATHENA, "--meta", "by=ops").out.strip()
    trinitas("remember", "The staging database moved!", *OF_ATHENA, "-t", "working")
    trinitas("share", memory_id, "--to", "hestia", *OF_ATHENA)
    trinitas("remember", "In staging everybody may deploy.", *OF_ATHENA)
    trinitas("recall", "staging", *OF_ATHENA)
    trinitas("get", memory_id, *OF_ATHENA)
    trinitas("run", "consolidate", *OF_ATHENA)
    return memory_id


def test_every_command_that_has_the_option_is_documented() -> None:
    as_another = {"undo", "up", "restore"}
    assert examples().keys() == named().keys() - SILENT - as_another | {"personas"}


@pytest.mark.parametrize(
    "line",
    [
        "remember x", "get ID", "edit ID --tag y", "list", "timeline", "recall staging --explain --context 1",
        "share ID --to seshat", "unshare ID --to seshat", "shared ID", "why ID", "stats", "analytics",
        "run prune --dry-run", "run archive_old", "consolidations", "reindex",
    ],
)  # fmt: skip
def test_of_a_persona(line: str, given: str, trinitas: CommandLine) -> None:
    words = line.replace("ID", given).split()
    assert differences(words[0], trinitas(*words, *OF_ATHENA, "--json").told) == []


@pytest.mark.parametrize(
    "line", ["health", "config", "top", "runs", "verify", "analytics", "reindex", "dead-letters list"]
)
@pytest.mark.usefixtures("given")
def test_of_everybody(line: str, trinitas: CommandLine) -> None:
    assert differences(line, trinitas(*line.split(), "--json").told) == []


@pytest.mark.usefixtures("given")
def test_where_workers_are_away(trinitas: CommandLine) -> None:
    trinitas.client = trinitas.bench.client(Workerless, persona=None, near=True)
    for line in ("stats -p athena", "list -p athena", "recall staging -p athena", "top", "health"):
        done = trinitas(*line.split(), "--json")
        assert differences(line.split()[0], json.loads(done.out)) == []


def test_of_a_list_that_goes_on_and_of_an_empty_one(given: str, trinitas: CommandLine) -> None:
    for line in ("list -n 1", "timeline -n 1", "recall staging -n 1"):
        page = trinitas(*line.split(), *OF_ATHENA, "--json").told
        assert differences(line.split()[0], page) == []
        assert page["next"]
    assert given
    assert trinitas("list", "-p", "hera-", "--json").code == 1
    assert trinitas("list", "-p", "bellona", "--json").told == {"memories": [], "degraded": [], "next": None}


def test_of_an_undone_consolidation(given: str, trinitas: CommandLine) -> None:
    number = trinitas("consolidations", "--json").told[0]["number"]
    assert differences("consolidations", [trinitas("undo", str(number), "--json").told]) == []
    assert given


def test_of_personas_and_tokens(trinitas: CommandLine) -> None:
    assert differences("personas show", trinitas("personas", "show", "athena", "--json").told) == []
    said = ("--about", "Carries messages.", "--focus", "couriers", "--route", "episodic=chromadb")
    for line in (("personas", "add", "iris"), ("personas", "edit", "iris")):
        assert differences(" ".join(line[:2]), trinitas(*line, *said, "--json").told) == []
    for whose in (("-p", "athena"), ("--all-personas", "--expires", "never")):
        assert differences("token create", trinitas("token", "create", *whose, "--json").told) == []
    assert len(trinitas("token", "list", "--json").told) == 2


def test_of_dead_letters(trinitas: CommandLine) -> None:
    letter = DeadLetter(Key("athena", "m1"), 7, b"{}", "the model refuses it", datetime.now(UTC))
    trinitas.bench.world.archive.bury_dead([letter])
    for line in ("dead-letters list", "dead-letters show m1 -p athena"):
        told = trinitas(*line.split(), "--json").told
        assert differences(" ".join(line.split()[:2]), told) == []
        assert len(told) == 1


def test_of_what_is_forgotten_and_what_is_not_there(given: str, trinitas: CommandLine) -> None:
    done = trinitas("forget", given, "nothing", "--yes", *OF_ATHENA, "--json")
    assert (done.code, differences("forget", json.loads(done.out))) == (1, [])


def test_of_a_doctor(trinitas: CommandLine) -> None:
    done = trinitas("doctor", "--json")
    assert (done.code, differences("doctor", json.loads(done.out))) == (1, [])


def test_of_files(given: str, trinitas: CommandLine, tmp_path: Path) -> None:
    lines, export = tmp_path / "notes.jsonl", tmp_path / "export.jsonl"
    lines.write_text('{"content": "a"}\nb\n')
    told = trinitas("import", str(lines), "--skip-bad", *OF_ATHENA, "--json").told
    assert (differences("import", told), len(told["bad"])) == ([], 1)
    assert differences("export", trinitas("export", str(export), "--json").told) == []
    assert differences("import", trinitas("import", str(export), "--json").told) == []
    assert given


RUNNING = Status(
    home="/srv", running=True, complete=True, version="0.1.0", pid=7, started=datetime.now(UTC), redis="redis://",
    chroma="http://",
    processes=(
        ProcessStatus("valkey", "RUNNING", 8, 60, "redis://"),
        ProcessStatus("beat", "STOPPED", None, None, None),
    ),
)  # fmt: skip


@pytest.mark.parametrize("status", [RUNNING, Status("/srv", False, leftovers=(9,)), replace(RUNNING, flower="http://")])
def test_of_a_status(status: Status) -> None:
    assert differences("status", json.loads(json.dumps(asdict(status), default=str))) == []


# The check itself.


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told.pop("next"), ["list: next"]),
        (lambda told: told.update(more=1), ["list: more"]),
        (lambda told: told.update(degraded="redis"), ["list.degraded: 'redis' is no list"]),
        (
            lambda told: told["memories"][0].update(importance="high"),
            ["list.memories[0].importance: 'high' is no float"],
        ),
        (lambda told: told["memories"][0].update(persona=None), ["list.memories[0].persona: None is no str"]),
        (lambda told: told["memories"][0].update(access_count=True), ["list.memories[0].access_count: True is no int"]),
        (lambda told: told["memories"][0].update(ttl=None), []),
    ],
)
def test_what_differs_is_found(change: Callable[[Any], object], said: list[str]) -> None:
    told = json.loads(json.dumps(examples()["list"].value))
    change(told)
    assert differences("list", told) == said
