"""`trinitas remember` and `get`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from trinitas_tasks.errors import InvalidMemory
from trinitas_tasks.interfaces.cli import output, times
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, Id, Kind, Persona, entered, whose

STDIN: Final = "-"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (remember, get):
        app.command(rich_help_panel=Panel.MEMORIES)(command)


def remember(
    content: Annotated[str, typer.Argument(help="The text; `-` reads it from standard input.", show_default=False)],
    persona: Persona = None,
    kind: Annotated[Kind, typer.Option("--type", "-t", help="How long it stays at hand.")] = Kind.EPISODIC,
    importance: Annotated[float, typer.Option(min=0.0, max=1.0, help="Your own estimate.")] = 0.5,
    tag: Annotated[list[str] | None, typer.Option(help="Several times.")] = None,
    meta: Annotated[list[str] | None, typer.Option(help="KEY=VALUE; several times.", metavar="KEY=VALUE")] = None,
    at: Annotated[
        str | None, typer.Option(help="When it happened, such as 2026-05-06T14:00; now if left out.", metavar="TIME")
    ] = None,
    content_json: Annotated[bool, typer.Option("--content-json", help="The content is JSON, not text.")] = False,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Remember something; prints its id when it is safe.

    Examples:

        trinitas remember "The staging database moved to port 5433." -p athena -t semantic
        git log -1 | trinitas remember -p seshat --tag release -
    """
    text = read_stdin() if content == STDIN else content
    when = None if at is None else times.moment(at, "--at")
    with entered(home) as (door, _):
        given = door.remember(
            from_json(text, "CONTENT") if content_json else text,
            persona=whose(door, persona),
            type=kind,
            importance=importance,
            tags=tag or (),
            metadata=pairs(meta or ()),
            timestamp=when,
        )
    if as_json:
        output.show_json({"id": given})
    else:
        output.say(given)


def get(
    id: Id,
    persona: Persona = None,
    owner: Annotated[str | None, typer.Option(help="Whose memory is meant, where several have one of this id.")] = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Show one memory of the persona, or shared with it.

    Examples:

        trinitas get 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b -p athena
        trinitas get 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b -p athena --json | jq -r .content

    Exit code 1: the persona has none of this id.
    """
    with entered(home) as (door, _):
        item = door.get(id, persona=whose(door, persona), owner=owner)
    if as_json:
        output.show_json(item.model_dump(mode="json"))
    else:
        output.show_fields(item.model_dump(mode="json"))


def read_stdin() -> str:
    """All of standard input. Raises: InvalidMemory for what is no UTF-8."""
    if output.is_terminal(sys.stdin):
        output.note("reading from the terminal: Ctrl-D on a line of its own ends it")
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidMemory(
            f"standard input is not UTF-8 (byte {error.start:,}): convert it, e.g. with iconv -f ISO-8859-1 -t UTF-8"
        ) from None


def from_json(text: str, hint: str) -> Any:
    """What the text says. Raises: BadParameter."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint=hint) from None


def pairs(given: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE as a mapping. Raises: BadParameter."""
    split = [each.partition("=") for each in given]
    if wrong := [key for key, equals, _ in split if not equals or not key]:
        raise typer.BadParameter(f"{wrong[0]!r} is not KEY=VALUE", param_hint="--meta")
    return {key: value for key, _, value in split}
