"""`trinitas remember`, `get`, `forget`, `stats`, `health` and `config`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trinitas_tasks.interfaces.cli import output

if TYPE_CHECKING:
    from trinitas_tasks.client import MemoryClient
    from trinitas_tasks.settings import Settings

Persona = Annotated[str, typer.Option("--persona", "-p", help="Whose memories.")]
Home = Annotated[Path | None, typer.Option(help="Data directory of the embedded stack (default: TRINITAS_HOME).")]
SHOWN_CHARACTERS = 200


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (remember, get, forget, stats, health, config):
        app.command()(command)


@contextmanager
def connected(home: Path | None, overrides: Mapping[str, Any] | None = None) -> Iterator[tuple[MemoryClient, Settings]]:
    """A client for the length of one command."""
    from trinitas_tasks.client import MemoryClient  # noqa: PLC0415 - `trinitas --help` stays fast
    from trinitas_tasks.settings import load_settings  # noqa: PLC0415

    settings = load_settings(overrides={**(overrides or {}), **({} if home is None else {"home": home})})
    with MemoryClient.connect(settings) as client:
        yield client, settings


def remember(
    content: Annotated[str, typer.Argument(help="The text; `-` reads it from standard input.")],
    persona: Persona,
    kind: Annotated[str, typer.Option("--type", "-t", help="working, episodic, semantic or procedural.")] = "episodic",
    importance: Annotated[float, typer.Option(help="0 to 1.")] = 0.5,
    tag: Annotated[list[str] | None, typer.Option(help="May be given several times.")] = None,
    meta: Annotated[list[str] | None, typer.Option(help="key=value; may be given several times.")] = None,
    content_json: Annotated[bool, typer.Option("--content-json", help="The content is JSON, not text.")] = False,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Remember something; prints the memory's id when it is safe.

    trinitas remember "The staging database moved to port 5433." -p athena -t semantic
    """
    text = sys.stdin.read() if content == "-" else content
    with connected(home) as (client, _):
        given = client.remember(
            _json(text) if content_json else text,
            persona=persona,
            type=kind,
            importance=importance,
            tags=tag or (),
            metadata=_pairs(meta or ()),
        )
    if as_json:
        output.show_json({"id": given})
    else:
        output.say(given)


def get(
    id: Annotated[str, typer.Argument(help="The memory's id.")],
    persona: Persona,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Show one memory; exit code 1 if the persona has none of this id."""
    with connected(home) as (client, _):
        item = client.get(id, persona=persona)
    if item is None:
        output.note(f"{persona} has no memory {id}")
        raise typer.Exit(1)
    if as_json:
        output.show_json(item.model_dump(mode="json"))
    else:
        for name, value in item.model_dump(mode="json").items():
            output.say(f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")


def forget(id: Annotated[str, typer.Argument(help="The memory's id.")], persona: Persona, home: Home = None) -> None:
    """Delete one memory everywhere, for good."""
    with connected(home) as (client, _):
        client.forget(id, persona=persona)


def stats(persona: Persona, home: Home = None, as_json: output.Json = False) -> None:
    """Count a persona's memories and what still waits to be archived."""
    with connected(home) as (client, _):
        counted = asdict(client.stats(persona=persona))
    if as_json:
        output.show_json(counted)
    else:
        for name, value in counted.items():
            output.say(f"{name.replace('_', ' ')}: {_plain(value)}")


def health(home: Home = None, as_json: output.Json = False) -> None:
    """Check every part; exit code 1 if something is wrong."""
    with connected(home) as (client, _):
        found = client.health()
    if as_json:
        output.show_json(asdict(found))
    else:
        for part, problem in found.parts.items():
            output.say(f"{part}: {problem or 'ok'}")
        for warning in found.warnings:
            output.note(f"warning: {warning}")
    if not found.ok:
        raise typer.Exit(1)


def config(home: Home = None, as_json: output.Json = False) -> None:
    """Show every setting in force and where its value came from."""
    from trinitas_tasks.settings import environment_name, load_with_origins, shown  # noqa: PLC0415 - see above

    settings, origins = load_with_origins(overrides={} if home is None else {"home": home})
    rows = [(environment_name(name), shown(settings, name), origins[name]) for name in origins]
    if as_json:
        output.show_json({name: {"value": value, "origin": origin} for name, value, origin in rows})
    else:
        output.show_table(("setting", "value", "from"), rows)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="CONTENT") from None


def _pairs(given: list[str] | tuple[str, ...]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    if wrong := [key for key, equals, _ in pairs if not equals or not key]:
        raise typer.BadParameter(f"{wrong[0]!r} is not key=value", param_hint="--meta")
    return {key: value for key, _, value in pairs}


def shortened(content: Any) -> str:
    """The content as one line."""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1] + "…"


def _plain(value: Any) -> str:
    match value:
        case None:
            return "unknown"
        case dict():
            return ", ".join(f"{number} {name}" for name, number in value.items()) or "none"
        case list() | tuple():
            return "; ".join(map(str, value)) or "none"
        case float():
            return f"{value:.1f}"
        case _:
            return str(value)
