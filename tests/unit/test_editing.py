"""`trinitas edit`: by options and in an editor."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from tests.unit.commands import CommandLine, Done

OF_ATHENA = ("-p", "athena")
MOVED = "The staging database moved to port 5433."


@pytest.fixture
def given(trinitas: CommandLine) -> str:
    """The id of a memory with something in every field."""
    options = ("--tag", "infra", "--tag", "draft", "--meta", "by=ops", "--meta", "ticket=7")
    return trinitas("remember", MOVED, *OF_ATHENA, *options).out.strip()


@pytest.fixture
def edit(trinitas: CommandLine, given: str, tmp_path: Path) -> Any:
    """Edits it in an editor that runs this shell script over the file."""

    def run(script: str) -> Done:
        editor = tmp_path / "editor"
        editor.write_text(f"#!/bin/sh\n{script}\n")
        editor.chmod(0o700)
        return trinitas("edit", given, *OF_ATHENA, columns=80, VISUAL=str(editor))

    return run


def now(trinitas: CommandLine, given: str) -> Any:
    return trinitas("get", given, *OF_ATHENA, "--json").told


def test_what_is_named_is_changed_and_nothing_else(trinitas: CommandLine, given: str) -> None:
    before = now(trinitas, given)
    done = trinitas("edit", given, *OF_ATHENA, "--content", "Port 5434.", "-t", "semantic", "--importance", "0.9")
    assert (done.code, done.out, done.err) == (0, "", f"{given} was changed\n")
    after = now(trinitas, given)
    assert (after["content"], after["type"], after["importance"]) == ("Port 5434.", "semantic", 0.9)
    same = ("id", "persona", "timestamp", "tags", "metadata")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


def test_labels_are_added_and_taken_away(trinitas: CommandLine, given: str) -> None:
    options = ("--tag", "port", "--untag", "draft", "--meta", "ticket=8", "--meta", "why=move", "--unset", "by")
    after = trinitas("edit", given, *OF_ATHENA, *options, "--json").told
    assert after["tags"] == ["infra", "port"]
    assert after["metadata"] == {"ticket": "8", "why": "move"}
    assert after["content"] == MOVED


def test_the_content_may_come_from_standard_input_and_be_json(trinitas: CommandLine, given: str) -> None:
    trinitas("edit", given, *OF_ATHENA, "--content", "-", "--content-json", stdin='{"port": 5434}')
    assert now(trinitas, given)["content"] == {"port": 5434}
    refused = trinitas("edit", given, *OF_ATHENA, "--content", "{port", "--content-json")
    assert (refused.code, "not JSON" in refused.err) == (2, True)
    assert now(trinitas, given)["content"] == {"port": 5434}


def test_what_is_not_there_or_another_s_is_not_edited(trinitas: CommandLine, given: str) -> None:
    trinitas("share", given, "--to", "hestia", *OF_ATHENA)
    for options in ((given, "-p", "hestia"), ("nothing", *OF_ATHENA)):
        done = trinitas("edit", *options, "--content", "mine")
        assert (done.code, "has no memory" in done.err) == (1, True)
    assert now(trinitas, given)["content"] == MOVED


# In an editor.


def test_an_editor_changes_the_text_byte_for_byte(trinitas: CommandLine, given: str, edit: Any) -> None:
    done = edit('printf "ポート 5434.\\r\\n\\tend" > "$1"')
    assert (done.code, "was changed" in done.err) == (0, True)
    assert now(trinitas, given)["content"] == "ポート 5434.\r\n\tend"


@pytest.mark.parametrize("script", [":", 'touch "$1"', 'cat "$1" > "$1.new"; mv "$1.new" "$1"', ': > "$1"'])
def test_what_comes_back_unchanged_or_empty_changes_nothing(
    script: str, trinitas: CommandLine, given: str, edit: Any
) -> None:
    done = edit(script)
    assert (done.code, done.err) == (0, "nothing was changed\n")
    assert now(trinitas, given)["content"] == MOVED
    assert [row for row in trinitas.rows() if row[0] == "update"] == []


def test_content_that_is_no_text_is_edited_as_json(trinitas: CommandLine, given: str, edit: Any) -> None:
    trinitas("edit", given, *OF_ATHENA, "--content", '{"port": 5433}', "--content-json")
    assert edit('sed -i s/5433/5434/ "$1"').code == 0
    assert now(trinitas, given)["content"] == {"port": 5434}
    torn = edit('echo "{" > "$1"')
    assert (torn.code, "not JSON" in torn.err) == (1, True)
    assert kept(torn) == "{"
    assert now(trinitas, given)["content"] == {"port": 5434}


def test_what_somebody_else_changed_meanwhile_stays_and_the_text_is_kept(
    trinitas: CommandLine, given: str, edit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, times = trinitas.client.get, iter(range(10))

    def changed(*arguments: Any, **named: Any) -> Any:
        if next(times) == 1:
            trinitas.client.update(given, persona="athena", content="Theirs.")
        return read(*arguments, **named)

    monkeypatch.setattr(trinitas.client, "get", changed)
    done = edit('echo Mine. > "$1"')
    assert (done.code, "somebody else changed" in done.err, "edit it again" in done.err) == (1, True, True)
    assert kept(done) == "Mine."
    assert now(trinitas, given)["content"] == "Theirs."


def test_an_editor_that_fails_changes_nothing(trinitas: CommandLine, given: str, edit: Any) -> None:
    done = edit('echo Mine. > "$1"; exit 1')
    assert (done.code, "VISUAL or EDITOR" in done.err) == (1, True)
    assert now(trinitas, given)["content"] == MOVED


def test_without_a_terminal_there_is_no_editor(trinitas: CommandLine, given: str) -> None:
    done = trinitas("edit", given, *OF_ATHENA, VISUAL="/bin/false")
    assert (done.code, "--content" in done.err) == (2, True)


def kept(done: Done) -> str:
    """What stands in the file in which the text was kept; it is the user's own."""
    said = "".join(done.err.split("your text is kept in ")[1].split("\n")[0:2])
    file = Path(said[: said.index(".txt") + 4])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    file.unlink()
    return text
