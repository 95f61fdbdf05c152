"""What the documentation shows is run: the Python of both READMEs, the commands, the settings files."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from trinitas_tasks import load_settings

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.ja.md")
SECTIONS = dict(
    re.findall(
        r"^#+ `trinitas (.+?)`\n(.*?)(?=^#|\Z)", (ROOT / "docs/cli.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
)
"""Of the page of all help, which a test keeps up to date."""


def blocks(name: str, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.parametrize(("name", "first"), [("README.md", "port 5433"), ("README.ja.md", "金庫にあります")])
def test_the_python_of_the_readme_finds_what_it_wrote(name: str, first: str, home: Path) -> None:
    code = "\n".join(blocks(name, "python"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TRINITAS_HOME": str(home), "LANG": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert first in done.stdout.splitlines()[0]  # at once, whatever is embedded already


def test_both_readmes_show_the_same_commands() -> None:
    english, japanese = ([command for block in blocks(name, "sh") for command in commands(block)] for name in READMES)
    assert [shown[:2] for shown in english] == [shown[:2] for shown in japanese]


@pytest.mark.parametrize("name", READMES)
def test_every_command_and_option_shown_exists(name: str) -> None:
    shown = [command for block in blocks(name, "sh") for command in commands(block) if command[0] == "trinitas"]
    assert shown
    for _, *words in shown:
        command = next(name for n in (2, 1) if (name := " ".join(words[:n])) in SECTIONS)
        for option in (each for each in words if each.startswith("-")):
            assert re.search(rf"(?<![\w-]){re.escape(option)}\b", SECTIONS[command]), f"{command} {option}"


@pytest.mark.parametrize("name", READMES)
def test_every_script_shown_exists(name: str) -> None:
    shown = {
        command[0] for block in blocks(name, "sh") for command in commands(block) if command[0].startswith("scripts/")
    }
    assert shown >= {"scripts/demo", "scripts/test", "scripts/lint", "scripts/bench"}
    for script in shown:
        assert os.access(ROOT / script, os.X_OK)


@pytest.mark.parametrize("name", READMES)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target


def test_the_shipped_yaml_says_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "memory.yaml").write_text((ROOT / "config" / "memory.yaml").read_text())
    plain = load_settings(folder=tmp_path / "config", stack=False)
    assert load_settings(folder=tmp_path, stack=False) == plain


def commands(block: str) -> list[list[str]]:
    """The commands of a shell block, their comments left out."""
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    return [words for words in lines if words]
