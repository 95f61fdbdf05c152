"""What a shell completes."""

from __future__ import annotations

import pytest

from tests.unit.commands import CommandLine
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.interfaces.cli import completion
from trinitas_tasks.interfaces.cli.completion import Shell

FIVE = ["artemis", "athena", "bellona", "hestia", "seshat"]


def completed(trinitas: CommandLine, line: str) -> list[str]:
    """What bash is given for a line; the last word is the one that is being typed."""
    words = line.split(" ")
    done = trinitas(_TRINITAS_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    assert (done.code, done.err) == (0, "")
    return done.out.split()


@pytest.mark.parametrize("shell", list(Shell))
def test_every_shell_has_its_script(shell: Shell, trinitas: CommandLine) -> None:
    done = trinitas("shell-completion", shell)
    assert (done.code, done.err) == (0, "")
    assert "_TRINITAS_COMPLETE" in done.out
    assert f"complete_{shell}" in done.out


def test_a_shell_that_is_not_known_is_a_usage_error(trinitas: CommandLine) -> None:
    done = trinitas("shell-completion", "csh")
    assert (done.code, "bash" in done.err) == (2, True)


def test_commands_options_types_and_tasks_are_completed(trinitas: CommandLine) -> None:
    assert completed(trinitas, "trinitas time") == ["timeline"]
    assert completed(trinitas, "trinitas list --si") == ["--since"]
    assert completed(trinitas, "trinitas list -t s") == ["semantic"]
    assert completed(trinitas, "trinitas run pr") == ["prune"]
    assert completed(trinitas, "trinitas dead-letters re") == ["retry"]


def test_personas_are_completed_by_what_redis_knows(trinitas: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "_known", lambda: ["athena", "apollo", "zeus"])
    assert completed(trinitas, "trinitas list -p a") == ["apollo", "athena"]
    assert completed(trinitas, "trinitas share x --to z") == ["zeus"]


def test_where_redis_is_away_the_five_are_completed_and_nothing_is_said(
    trinitas: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert completed(trinitas, "trinitas list -p ") == FIVE  # nothing says where it is
    assert completed(trinitas, "trinitas list -p b") == ["bellona"]

    def away() -> list[str]:
        raise Unavailable("nobody there")

    monkeypatch.setattr(completion, "_known", away)
    assert completed(trinitas, "trinitas recall x -p ") == FIVE


def test_bad_settings_disturb_nobody_who_types(trinitas: CommandLine) -> None:
    done = trinitas(
        _TRINITAS_COMPLETE="complete_bash", COMP_WORDS="trinitas list -p h", COMP_CWORD="3", CACHE_SIZE_MB="lots"
    )
    assert (done.out.split(), done.err) == (["hestia"], "")
