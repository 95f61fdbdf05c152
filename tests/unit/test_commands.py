"""The commands about memories, as somebody at a terminal, a script and a pipe meet them."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.unit.commands import CommandLine
from trinitas_tasks.interfaces.cli.session import Kind
from trinitas_tasks.model import MemoryType

OF_ATHENA = ("-p", "athena")
MOVED = "The staging database moved to port 5433."
YES_AND_NO = pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])


def kept(trinitas: CommandLine, content: str = MOVED, *options: str) -> str:
    """The id of a new memory of athena."""
    return trinitas("remember", content, *OF_ATHENA, *options).out.strip()


def test_the_types_are_those_of_memories() -> None:
    assert [each.value for each in Kind] == [each.value for each in MemoryType]


# Remembering and reading.


def test_what_is_remembered_is_found_and_read(trinitas: CommandLine) -> None:
    given = kept(
        trinitas, MOVED, "-t", "semantic", "--tag", "infra", "--meta", "by=ops", "--at", "2026-05-06T14:03+00:00"
    )
    item = trinitas("get", given, *OF_ATHENA, "--json").told
    assert (item["content"], item["type"], item["tags"], item["metadata"]) == (
        MOVED,
        "semantic",
        ["infra"],
        {"by": "ops"},
    )
    assert item["timestamp"] == "2026-05-06T14:03:00Z"
    assert trinitas("recall", "where is the database?", *OF_ATHENA, "--json").told["hits"][0]["item"]["id"] == given
    assert f"id: {given}\n" in trinitas("get", given, *OF_ATHENA).out


def test_standard_input_is_a_memory(trinitas: CommandLine) -> None:
    given = trinitas("remember", "-p", "seshat", "-", stdin="commit 1\n\n東京\n").out.strip()
    assert trinitas("get", given, "-p", "seshat", "--json").told["content"] == "commit 1\n\n東京\n"


def test_what_is_no_text_is_refused_with_what_to_do(trinitas: CommandLine) -> None:
    done = trinitas("remember", *OF_ATHENA, "-", stdin=b"caf\xe9")
    assert (done.code, done.out) == (1, "")
    assert "standard input is not UTF-8 (byte 3)" in done.err
    assert "iconv" in done.err


def test_a_persona_need_not_be_named_where_the_user_acts_for_one(trinitas: CommandLine) -> None:
    given = trinitas("remember", MOVED, TRINITAS_PERSONA="hestia").out.strip()
    assert trinitas("get", given, "--json", TRINITAS_PERSONA="hestia").told["persona"] == "hestia"
    refused = trinitas("get", given, *OF_ATHENA, TRINITAS_PERSONA="hestia")
    assert (refused.code, "does not act for athena" in refused.err) == (1, True)
    everybody = trinitas("runs", TRINITAS_PERSONA="hestia")
    assert (everybody.code, "concerns all personas" in everybody.err) == (1, True)


@pytest.mark.parametrize("command", ["get x", "remember x", "list", "recall x", "stats", "why x", "pin x", "shared x"])
def test_a_persona_must_be_named_else(command: str, trinitas: CommandLine) -> None:
    done = trinitas(*command.split())
    assert (done.code, done.out) == (2, "")
    assert "TRINITAS_PERSONA" in done.err


@pytest.mark.parametrize(
    "command", ["get x", "remember x", "list", "recall x", "stats", "forget x --yes", "edit x --tag y"]
)
def test_an_unknown_persona_is_told_the_nearest(command: str, trinitas: CommandLine) -> None:
    done = trinitas(*command.split(), "-p", "atena")
    assert (done.code, done.out) == (1, "")
    assert "did you mean athena?" in done.err


@pytest.mark.parametrize("command", ["reindex", "consolidations", "dead-letters list", "export x.jsonl", "import y"])
def test_so_where_a_persona_may_be_left_out(command: str, trinitas: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "y").write_text('{"content": "x"}\n')
    done = trinitas(*command.split(), "-p", "atena")
    assert (done.code, done.out) == (1, "")
    assert "did you mean athena?" in done.err
    assert trinitas("personas", "--json").told[1]["memories"] == 0


def test_who_acts_for_one_persona_exports_and_imports_their_memories_only(
    trinitas: CommandLine, tmp_path: Path
) -> None:
    everybodys, own = tmp_path / "all.jsonl", tmp_path / "own.jsonl"
    for name in ("athena", "hestia"):
        trinitas("remember", f"A secret of {name}.", "-p", name)
    assert trinitas("export", str(everybodys), "--json").told["memories"] == 2
    assert trinitas("export", str(own), "--json", TRINITAS_PERSONA="athena").told["memories"] == 1
    assert "hestia" not in own.read_text()
    for line in (("export", "x.jsonl", "-p", "hestia"), ("import", str(everybodys), "-p", "hestia"), ("backup",)):
        refused = trinitas(*line, TRINITAS_PERSONA="athena")
        assert (refused.code, "acts for athena only" in refused.err or "only for athena" in refused.err) == (1, True)
    told = trinitas("import", str(everybodys), "--json", TRINITAS_PERSONA="athena").told
    assert (told["persona"], told["good"]) == ("athena", 1)
    (tmp_path / "others.jsonl").write_text('{"content": "x", "persona": "hestia"}\n')
    bad = trinitas("import", "others.jsonl", TRINITAS_PERSONA="athena")
    assert (bad.code, "belongs to another persona" in bad.err) == (1, True)


def test_what_is_done_is_in_the_audit(trinitas: CommandLine) -> None:
    given = kept(trinitas)
    trinitas("edit", given, *OF_ATHENA, "--importance", "0.9")
    trinitas("share", given, "--to", "hestia", *OF_ATHENA)
    trinitas("forget", given, "--yes", *OF_ATHENA)
    trinitas("runs")
    assert trinitas.rows() == [
        ("remember", "athena", given, "done"),
        ("update", "athena", given, "done"),
        ("share", "athena", given, "done"),
        ("forget", "athena", given, "done"),
        ("runs", None, None, "done"),
    ]


# Errors.


def test_an_error_is_one_line_and_as_json_one_document(trinitas: CommandLine) -> None:
    plain = trinitas("get", "nothing", *OF_ATHENA)
    assert plain == (1, "", "error: athena has no memory nothing\n")
    told = trinitas("get", "nothing", *OF_ATHENA, "--json")
    assert (told.code, told.out) == (1, "")
    message = "athena has no memory nothing"
    assert json.loads(told.err) == {"error": {"type": "NotFound", "message": message, "transient": False}}
    literal = trinitas("get", *OF_ATHENA, "--", "--json")
    assert (literal.code, literal.err[:6]) == (1, "error:")


def test_the_nearest_command_and_option_are_suggested(trinitas: CommandLine) -> None:
    command, option = trinitas("forgt"), trinitas("list", "--tags", "x")
    assert (command.code, "Did you mean 'forget'" in command.err) == (2, True)
    assert (option.code, "--tag" in option.err) == (2, True)


# Listing.


def dated(trinitas: CommandLine) -> None:
    """Memories of three times of two days, the last with a control character."""
    for day, content in (
        ("06T09:00", "Stand-up."),
        ("06T14:03", MOVED),
        ("07T08:30", "Deployed \x1b[31mred\x1b[0m.\x07"),
    ):
        kept(trinitas, content, "--at", f"2026-05-{day}", "--tag", "ops")


def test_a_list_is_newest_first_and_goes_on(trinitas: CommandLine) -> None:
    dated(trinitas)
    first = trinitas("list", *OF_ATHENA, "-n", "2", "--json").told
    assert [each["content"][:5] for each in first["memories"]] == ["Deplo", "The s"]
    rest = trinitas("list", *OF_ATHENA, "-n", "2", "--json", "--after", first["next"]).told
    assert [each["content"] for each in rest["memories"]] == ["Stand-up."]
    assert rest["next"] is None
    assert first["next"] in trinitas("list", *OF_ATHENA, "-n", "2").err


def test_a_list_in_a_pipe_has_a_line_each_and_cuts_nothing(trinitas: CommandLine) -> None:
    given = kept(trinitas, "long " * 300 + "\nend", "--at", "2026-05-06T14:03")
    done = trinitas("list", *OF_ATHENA)
    time, kind, memory_id, *words = done.out.split()
    assert done.out.count("\n") == 1
    assert (kind, memory_id, len(words), words[-1]) == ("episodic", given, 301, "end")
    assert datetime.fromisoformat(time) == datetime(2026, 5, 6, 14, 3).astimezone()


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_no_word_of_a_table_is_cut(columns: int, trinitas: CommandLine) -> None:
    shown = trinitas("config", columns=columns, SQLITE_PATH="/srv/a-folder-with-a-long-name/archive.db").out
    assert "…" not in shown
    assert "/srv/a-folder-with-a-long-name/archive.db" in shown
    assert ("setting" in shown) == (columns == 200)


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_list_fits_the_terminal(columns: int, trinitas: CommandLine) -> None:
    given = kept(trinitas, "最後に東京のデータベースを移動しました。" * 9, "--tag", "infra")
    lines = trinitas("list", *OF_ATHENA, columns=columns).out.splitlines()
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    assert all(cell_len(line) <= columns for line in plain)
    assert any(given in line for line in plain)
    assert sum("東京" in line for line in plain) == 1


def test_a_timeline_goes_by_days(trinitas: CommandLine) -> None:
    dated(trinitas)
    lines = trinitas("timeline", *OF_ATHENA).out.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == [
        "2026-05-06, Wednesday",
        "2026-05-07, Thursday",
    ]
    assert [line[2:7] for line in lines if line[2:7].count(":")] == ["09:00", "14:03", "08:30"]
    day = trinitas("timeline", *OF_ATHENA, "--on", "2026-05-07", "--json").told["memories"]
    assert [each["content"][:8] for each in day] == ["Deployed"]
    page = trinitas("timeline", *OF_ATHENA, "--since", "2026-05", "-n", "1", "--json").told
    assert [each["content"] for each in page["memories"]] == ["Stand-up."]
    latest = trinitas("timeline", *OF_ATHENA, "-n", "2", "--json").told["memories"]
    assert [each["content"][:5] for each in latest] == ["The s", "Deplo"]


def test_a_time_that_is_none_is_a_usage_error(trinitas: CommandLine) -> None:
    for options in (("--since", "someday"), ("--on", "2026-05-06", "--since", "2026-05-01"), ("--on", "never")):
        assert trinitas("timeline", *OF_ATHENA, *options).code == 2


def test_no_memory_commands_a_terminal(trinitas: CommandLine) -> None:
    dated(trinitas)
    newest = trinitas("list", *OF_ATHENA, "-n", "1", "--json").told["memories"][0]["id"]
    for command in (("list",), ("timeline",), ("recall", "deployed"), ("get", newest), ("forget", newest)):
        shown = trinitas(*command, *OF_ATHENA, columns=80, stdin="n\n")
        assert "Deployed" in shown.out + shown.err
        assert "\x1b[31m" not in shown.out + shown.err
        assert "\x07" not in shown.out + shown.err


# Forgetting.


@YES_AND_NO
def test_forgetting_asks(answer: str, code: int, trinitas: CommandLine) -> None:
    given = kept(trinitas)
    done = trinitas("forget", given, *OF_ATHENA, stdin=answer, columns=80)
    assert done.code == code
    assert MOVED in done.err
    assert trinitas("get", given, *OF_ATHENA).code == (1 if code == 0 else 0)


def test_where_nobody_can_be_asked_it_must_be_said(trinitas: CommandLine) -> None:
    given = kept(trinitas)
    done = trinitas("forget", given, *OF_ATHENA)
    assert (done.code, "--yes" in done.err) == (2, True)
    assert trinitas("get", given, *OF_ATHENA).code == 0


def test_several_are_forgotten_and_those_that_are_not_there_are_named(trinitas: CommandLine) -> None:
    one, two = kept(trinitas, "one"), kept(trinitas, "two")
    done = trinitas("forget", "-", "--yes", "--json", *OF_ATHENA, stdin=f"{one}\nnothing\n{two}\n{one}\n")
    assert done.code == 1
    assert json.loads(done.out) == {"forgotten": [one, two], "missing": ["nothing"]}
    assert "athena has no memory nothing" in done.err
    assert not trinitas("list", *OF_ATHENA, "--json").told["memories"]


# Colours.


def test_colours_are_for_terminals(trinitas: CommandLine) -> None:
    kept(trinitas)
    assert "\x1b[" not in trinitas("timeline", *OF_ATHENA).out
    assert "\x1b[" in trinitas("timeline", *OF_ATHENA, columns=80).out
    assert "\x1b[" in trinitas("timeline", *OF_ATHENA, FORCE_COLOR="1").out
    assert "\x1b[" not in trinitas("timeline", *OF_ATHENA, columns=80, TERM="dumb").out
    assert "\x1b[32m" in trinitas("health", columns=80).out
    assert "\x1b[32m" not in trinitas("health", columns=80, NO_COLOR="1").out
