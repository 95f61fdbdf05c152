"""`trinitas dead-letters`: the memories that could not be archived."""

from __future__ import annotations

from typing import Final

import typer

from trinitas_tasks.errors import NotFound
from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, Id, Persona, Whose, anyones, entered, whose

DEADLINE_MS: Final = 30_000
"""An ingest worker may be at a batch."""

letters = typer.Typer(
    help="""See, retry or drop memories that could not be archived.

Example:

    trinitas dead-letters list""",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(letters, name="dead-letters", rich_help_panel=Panel.TENDING)


@letters.command("list")
def show_all(
    persona: Whose = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """List them, oldest first; exit code 0 also if there are none.

    Example:

        trinitas dead-letters list -p athena
    """
    with entered(home) as (door, _):
        chosen = anyones(door, persona)
        with door.administering("dead letters", persona=chosen):
            found = door.client.ask("dead_letters", chosen, deadline_ms=DEADLINE_MS)
    if as_json:
        output.show_json(found)
    elif not found:
        output.note("no dead letters")
    else:
        rows = [(each["at"], each["persona"], each["id"], output.shortened(each["error"])) for each in found]
        output.show_table(("time", "persona", "id", "error"), rows)


@letters.command()
def show(id: Id, persona: Persona = None, home: Home = None, as_json: output.Json = False) -> None:
    """Show one with its content and the whole error.

    Example:

        trinitas dead-letters show 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b -p athena

    Exit code 1: the persona has none of this id.
    """
    with entered(home) as (door, _):
        owner = whose(door, persona)
        with door.administering("dead letters", persona=owner, subject=id):
            theirs = door.client.ask("dead_letters", owner, deadline_ms=DEADLINE_MS)
    found = [each for each in theirs if each["id"] == id]
    if not found:
        raise NotFound(f"{owner} has no dead letter {id}")
    if as_json:
        output.show_json(found)
        return
    for letter in found:
        output.show_fields({name: letter[name] for name in ("persona", "id", "version", "at", "error", "body")})


@letters.command()
def retry(id: Id, persona: Persona = None, home: Home = None) -> None:
    """Have it archived again, after its cause was mended.

    Example:

        trinitas dead-letters retry 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b -p athena

    A newer memory of this id stays. The letter goes when the archive has the memory; what fails again is back soon.

    Exit code 1: there is no such letter.
    """
    with entered(home) as (door, _):
        owner = whose(door, persona)
        with door.administering("retry dead letter", persona=owner, subject=id):
            door.client.ask("retry_dead", owner, id, deadline_ms=DEADLINE_MS)
    output.say(f"{id} is queued again: `trinitas dead-letters list` tells whether it was archived")


@letters.command()
def drop(
    id: Id,
    persona: Persona = None,
    yes: output.Yes = False,
    home: Home = None,
) -> None:
    """Delete it for good: what it says is nowhere else.

    Example:

        trinitas dead-letters drop 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b -p athena --yes

    Exit code 1: no such letter, or answered with no; 2: nobody can be asked and --yes is missing.
    """
    with entered(home) as (door, _):
        owner = whose(door, persona)
        question = f"Delete the dead letter {id} of {owner} for good?"
        output.confirm(question, yes=yes, else_why="it is deleted for good")
        with door.administering("drop dead letter", persona=owner, subject=id):
            count = door.client.ask("drop_dead", owner, id, deadline_ms=DEADLINE_MS)
    output.say(f"{count} dead {'letter' if count == 1 else 'letters'} dropped")
