"""docs/cli.md is what the commands say of themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trinitas_tasks.interfaces.cli.reference import named, reference

ROOT = Path(__file__).parents[2]
DOCUMENTED = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
COMMANDS = named()


def test_the_page_is_not_stale() -> None:
    assert reference() == DOCUMENTED, "scripts/docs writes it anew"


def test_it_is_the_same_on_every_terminal_and_in_every_locale(tmp_path: Path) -> None:
    file = tmp_path / "cli.md"
    odd = {"COLUMNS": "31", "TERM": "dumb", "LANG": "ja_JP.UTF-8", "LANGUAGE": "de", "FORCE_COLOR": "1"}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **odd}
    module = "trinitas_tasks.interfaces.cli.reference"
    subprocess.run([sys.executable, "-m", module, file], cwd=tmp_path, env=environment, check=True, timeout=60)
    assert file.read_text(encoding="utf-8") == DOCUMENTED


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_sentence_and_an_example(name: str) -> None:
    sentence, *rest = COMMANDS[name].split("\n\n")
    assert sentence.endswith((".", "?"))
    assert "\n" not in sentence
    assert len(sentence) <= 64  # one line of `trinitas --help` on 80 columns, or nearly
    assert any(f"    trinitas {name}" in paragraph for paragraph in rest)


def test_it_has_a_command_for_all_that_is_promised() -> None:
    promised = """remember recall get list edit forget share pin why timeline stats analytics health config eval import
        export backup restore up down status logs top shell-completion"""
    assert set(promised.split()) <= COMMANDS.keys()
