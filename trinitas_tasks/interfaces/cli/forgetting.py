"""`trinitas forget`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from trinitas_tasks.errors import NotFound, Unavailable
from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.memory import STDIN, read_stdin
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, Persona, entered, whose

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.door import Door


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=Panel.MEMORIES)(forget)


def forget(
    id: Annotated[
        list[str], typer.Argument(help="The memories' ids; `-` reads them from standard input.", show_default=False)
    ],
    persona: Persona = None,
    yes: output.Yes = False,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Delete memories everywhere, for good.

    Examples:

        trinitas forget 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b -p athena
        trinitas list -p athena --tag draft --json | jq -r '.memories[].id' | trinitas forget -p athena --yes -

    Exit code 1: the persona has none of some of these ids (the others are deleted), or somebody answered no.
    """
    wanted = list(dict.fromkeys(word for each in id for word in (read_stdin().split() if each == STDIN else [each])))
    if not wanted:
        output.note("nothing to forget")
        return
    with entered(home) as (door, _):
        owner = whose(door, persona)
        output.confirm(_question(door, owner, wanted, asked=not yes), yes=yes, else_why="what is forgotten is gone")
        missing = _forgotten(door, owner, wanted)
    if as_json:
        output.show_json({"forgotten": [each for each in wanted if each not in missing], "missing": missing})
    for each in missing:
        output.note(f"error: {owner} has no memory {each}")
    if missing:
        raise typer.Exit(1)


def _question(door: Door, owner: str, ids: Sequence[str], *, asked: bool) -> str:
    if not asked or len(ids) > 1 or not output.is_terminal(sys.stdin):
        return f"Forget these {len(ids):,} memories of {owner} for good?"
    try:
        item = door.get(ids[0], persona=owner, owner=owner)
    except Unavailable:  # what it says cannot be shown
        return f"Forget {ids[0]} of {owner} for good?"
    return f"{output.shortened(item.content)}\nForget this memory of {owner} for good?"


def _forgotten(door: Door, owner: str, ids: Sequence[str]) -> list[str]:
    """Those that were not there."""
    missing = []
    for each in ids:
        try:
            door.forget(each, persona=owner)
        except NotFound:
            missing.append(each)
    return missing
