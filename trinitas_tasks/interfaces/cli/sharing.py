"""`trinitas share`, `unshare` and `shared`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from trinitas_tasks.interfaces.cli import completion, output
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, Id, Persona, entered, whose


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (share, unshare, shared):
        app.command(rich_help_panel=Panel.MEMORIES)(command)


def share(
    id: Id,
    to: Annotated[
        list[str],
        typer.Option("--to", help="Who may read it; several times.", autocompletion=completion.personas),
    ],
    persona: Persona = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Let other personas read a memory.

    Example:

        trinitas share 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b --to artemis -p athena

    Prints everybody who may read it now. Exit code 1: the persona has none of this id.
    """
    with entered(home) as (door, _):
        _show(door.share(id, to=to, persona=whose(door, persona)), as_json=as_json)


def unshare(
    id: Id,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", help="Who may read it no longer; everybody if left out.", autocompletion=completion.personas
        ),
    ] = None,
    persona: Persona = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Let other personas read a memory no longer, at once.

    Example:

        trinitas unshare 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b --to artemis -p athena

    Prints who may still read it.
    """
    with entered(home) as (door, _):
        _show(door.unshare(id, to=to or None, persona=whose(door, persona)), as_json=as_json)


def shared(id: Id, persona: Persona = None, home: Home = None, as_json: output.Json = False) -> None:
    """Show who may read a memory besides its owner.

    Example:

        trinitas shared 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b -p athena
    """
    with entered(home) as (door, _):
        _show(door.shared_with(id, persona=whose(door, persona)), as_json=as_json)


def _show(grantees: Iterable[str], *, as_json: bool) -> None:
    names = sorted(grantees)
    if as_json:
        output.show_json({"shared_with": names})
    elif not names:
        output.note("shared with nobody")
    else:
        for each in names:
            output.say(each)
