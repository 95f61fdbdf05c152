"""`trinitas edit`."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trinitas_tasks.errors import Conflict, InvalidMemory, TrinitasError
from trinitas_tasks.interfaces.cli import output, times
from trinitas_tasks.interfaces.cli.memory import STDIN, from_json, pairs, read_stdin
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, Id, Kind, Persona, entered, whose

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.door import Door
    from trinitas_tasks.model import MemoryItem


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=Panel.MEMORIES)(edit)


def edit(
    id: Id,
    persona: Persona = None,
    content: Annotated[str | None, typer.Option(help="What it says now; `-` reads it from standard input.")] = None,
    content_json: Annotated[bool, typer.Option("--content-json", help="The content is JSON, not text.")] = False,
    kind: Annotated[Kind | None, typer.Option("--type", "-t", help="How long it stays at hand.")] = None,
    importance: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Your own estimate.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Add this tag; several times.")] = None,
    untag: Annotated[list[str] | None, typer.Option(help="Take this tag away; several times.")] = None,
    meta: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Set this; several times.")] = None,
    unset: Annotated[list[str] | None, typer.Option(metavar="KEY", help="Take this away; several times.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="When it happened, such as 2026-05-06T14:00.")] = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Change a memory; without options in your editor.

    Examples:

        trinitas edit 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b -p athena
        trinitas edit 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b -p athena --content "Port 5434." --importance 0.9 --tag infra
        date | trinitas edit 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b -p athena --content -

    What is not named stays: its id, who it is shared with, its pin. The editor is that of VISUAL or EDITOR; a text that
    comes back unchanged or empty changes nothing.

    Exit code 1: the persona has none of this id, or somebody else changed it meanwhile; your text is kept in a file.
    """
    changes: dict[str, Any] = {"type": kind, "importance": importance}
    changes["timestamp"] = None if at is None else times.moment(at, "--at")
    if content is not None:
        text = read_stdin() if content == STDIN else content
        changes["content"] = from_json(text, "--content") if content_json else text
    changes = {name: value for name, value in changes.items() if value is not None}
    labels = [*(tag or ()), *(untag or ()), *(meta or ()), *(unset or ())]
    with entered(home) as (door, _):
        owner = whose(door, persona)
        before = door.get(id, persona=owner, owner=owner)
        if labels:
            changes["tags"] = _tags(before.tags, tag or (), untag or ())
            changes["metadata"] = _metadata(before.metadata, meta or (), unset or ())
        after = door.update(id, persona=owner, **changes) if changes else _in_editor(door, before)
    if as_json:
        output.show_json(after.model_dump(mode="json"))
    else:
        output.note("nothing was changed" if after == before else f"{id} was changed")


def _tags(now: Sequence[str], added: Sequence[str], removed: Sequence[str]) -> list[str]:
    return [each for each in dict.fromkeys([*now, *added]) if each not in removed]


def _metadata(now: dict[str, Any], added: Sequence[str], removed: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in {**now, **pairs(added)}.items() if name not in removed}


def _in_editor(door: Door, before: MemoryItem) -> MemoryItem:
    """The memory with what somebody makes of its content; content that is no text they see as JSON."""
    if not output.is_terminal(sys.stdin):
        raise typer.BadParameter("say what is to be changed: no editor can be opened here", param_hint="--content")
    plain = isinstance(before.content, str)
    shown = before.content if plain else json.dumps(before.content, ensure_ascii=False, indent=2)
    text = _edited(shown, ".md" if plain else ".json")
    if text is None or text == shown or not text.strip():
        return before
    try:
        content = text if plain else _parsed(text)
        now = door.get(before.id, persona=before.persona, owner=before.persona)
        if now.content != before.content:
            raise Conflict(f"somebody else changed {before.id} while you did: edit it again")
        return door.update(before.id, persona=before.persona, content=content)
    except TrinitasError:
        output.note(f"your text is kept in {_kept(text)}")
        raise


def _edited(text: str, suffix: str) -> str | None:
    """What somebody makes of it in their editor; None: they did not save it."""
    import click  # noqa: PLC0415 - typer has everything of it but this

    # as bytes: click does not touch line ends then; most editors want one at the end
    ended = text if text.endswith("\n") else f"{text}\n"
    try:
        saved = click.edit(ended.encode(), extension=suffix)
    except click.ClickException as error:
        raise InvalidMemory(f"{error.message}: VISUAL or EDITOR name another editor") from None
    if saved is None:
        return None
    edited = saved.decode(errors="replace")
    return edited if text.endswith("\n") else edited.removesuffix("\n")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidMemory(f"content: what you wrote is not JSON: {error}") from None


def _kept(text: str) -> Path:
    """A file of the user's own that holds the text."""
    number, name = tempfile.mkstemp(prefix="trinitas-edit-", suffix=".txt")
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(text)
    return Path(name)
