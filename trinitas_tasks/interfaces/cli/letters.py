"""`trinitas dead-letters`: the memories that could not be archived."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Final

import typer

from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.memory import Home, Persona, connected

DEADLINE_MS: Final = 30_000
"""An ingest worker may be at a batch."""
SHOWN_CHARACTERS: Final = 200

Id = Annotated[str, typer.Argument(help="The memory's id.", show_default=False)]

letters = typer.Typer(
    help="""Memories that could not be archived: look at them, try them again, drop them.

    trinitas dead-letters list

    Exit code 0: done, 1: there is no such letter, a part is away, or drop was answered with no, 2: not a command, or
    drop without --yes where nobody can be asked.
    """,
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(letters, name="dead-letters")


@letters.command("list")
def show_all(
    persona: Annotated[str | None, typer.Option("--persona", "-p", help="Whose; all if left out.")] = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """List them, oldest first; exit code 0 also if there are none.

    trinitas dead-letters list -p athena
    """
    found = _ask(home, "dead_letters", persona)
    if as_json:
        output.show_json(found)
    elif not found:
        output.note("no dead letters")
    else:
        rows = [(each["at"], each["persona"], each["id"], _line(each["error"])) for each in found]
        output.show_table(("time", "persona", "id", "error"), rows)


@letters.command()
def show(id: Id, persona: Persona, home: Home = None, as_json: output.Json = False) -> None:
    """Show one with its content and the whole error; exit code 1 if the persona has none of this id.

    trinitas dead-letters show 0190d3c5 -p athena
    """
    found = [each for each in _ask(home, "dead_letters", persona) if each["id"] == id]
    if not found:
        output.note(f"{persona} has no dead letter {id}")
        raise typer.Exit(1)
    if as_json:
        output.show_json(found)
        return
    for letter in found:
        for name in ("persona", "id", "version", "at", "error", "body"):
            output.say(f"{name}: {letter[name]}")


@letters.command()
def retry(id: Id, persona: Persona, home: Home = None) -> None:
    """Have it archived again, after its cause was mended; exit code 1 if there is no such letter.

    trinitas dead-letters retry 0190d3c5 -p athena

    A newer memory of this id stays. The letter goes when the archive has the memory; what fails again is back soon.
    """
    _ask(home, "retry_dead", persona, id)
    output.say(f"{id} is queued again: `trinitas dead-letters list` tells whether it was archived")


@letters.command()
def drop(
    id: Id,
    persona: Persona,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    home: Home = None,
) -> None:
    """Delete it for good: what it says is nowhere else.

    trinitas dead-letters drop 0190d3c5 -p athena --yes

    Exit code 0: deleted, 1: no such letter, or answered with no, 2: nobody can be asked and --yes is missing.
    """
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("it is deleted for good, and nobody can be asked here", param_hint="--yes")
        typer.confirm(f"Delete the dead letter {id} of {persona} for good?", abort=True, err=True)
    count = _ask(home, "drop_dead", persona, id)
    output.say(f"{count} dead {'letter' if count == 1 else 'letters'} dropped")


def _ask(home: Any, job: str, *arguments: Any) -> Any:
    with connected(home) as (client, _):
        return client.ask(job, *arguments, deadline_ms=DEADLINE_MS)


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1] + "…"
