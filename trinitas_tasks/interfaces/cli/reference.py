"""docs/cli.md as it should be: `python -m trinitas_tasks.interfaces.cli.reference FILE` writes it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import typer
import typer.main
from typer.cli import get_docs_for_click
from typer.core import TyperCommand, TyperGroup

from trinitas_tasks.interfaces.cli.app import app

NOTICE: Final = """<!-- Generated from the commands themselves: scripts/docs writes it anew. -->

"""


def named() -> dict[str, str]:
    """The help of every command by its name (``dead-letters show``), without groups of commands."""
    command = typer.main.get_command(app)
    return {name: inspect.cleandoc(each.help or "") for name, each in _all(command) if not isinstance(each, TyperGroup)}


def reference() -> str:
    """The help of every command, as Markdown: the same whatever terminal or locale this process has."""
    command = typer.main.get_command(app)
    for _, each in _all(command):
        # else typer cuts what is longer than 45 characters
        each.short_help = inspect.cleandoc(each.help or "").partition("\n\n")[0]
    context = typer.Context(command, **command.context_settings)
    return NOTICE + get_docs_for_click(obj=command, ctx=context, name="trinitas").strip() + "\n"


def _all(command: object, name: str = "") -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    assert isinstance(command, TyperCommand | TyperGroup)
    yield name, command
    if isinstance(command, TyperGroup):
        for called, each in command.commands.items():
            yield from _all(each, f"{name} {called}".lstrip())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
