"""`trinitas share`, `unshare` and `shared`."""

from __future__ import annotations

from typing import Annotated

import typer

from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.memory import Home, connected

Id = Annotated[str, typer.Argument(help="The memory's id.")]
Owner = Annotated[str, typer.Option("--persona", "-p", help="Whose memory it is.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (share, unshare, shared):
        app.command()(command)


def share(
    id: Id,
    persona: Owner,
    to: Annotated[list[str], typer.Option("--to", help="Who may read it; may be given several times.")],
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Let other personas read a memory; prints everybody who may. Exit code 1 if the persona has none of this id.

    trinitas share 0190d3c5 --to artemis -p athena
    """
    with connected(home) as (client, _):
        client.share(id, to=to, persona=persona)
        _show(client.shared_with(id, persona=persona), as_json=as_json)


def unshare(
    id: Id,
    persona: Owner,
    to: Annotated[
        list[str] | None, typer.Option("--to", help="Who may read it no longer; everybody if left out.")
    ] = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Let other personas read a memory no longer, at once; prints who still may.

    trinitas unshare 0190d3c5 --to artemis -p athena
    """
    with connected(home) as (client, _):
        client.unshare(id, to=to or None, persona=persona)
        _show(client.shared_with(id, persona=persona), as_json=as_json)


def shared(id: Id, persona: Owner, home: Home = None, as_json: output.Json = False) -> None:
    """Show who may read a memory besides its owner.

    trinitas shared 0190d3c5 -p athena
    """
    with connected(home) as (client, _):
        _show(client.shared_with(id, persona=persona), as_json=as_json)


def _show(grantees: frozenset[str], *, as_json: bool) -> None:
    if as_json:
        output.show_json({"shared_with": sorted(grantees)})
    elif not grantees:
        output.note("shared with nobody")
    else:
        for each in sorted(grantees):
            output.say(each)
