"""`trinitas stats`, `health` and `config`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, Persona, entered, whose


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=Panel.LIVES)(stats)
    for command in (health, config):
        app.command(rich_help_panel=Panel.STACK)(command)


def stats(persona: Persona = None, home: Home = None, as_json: output.Json = False) -> None:
    """Count a persona's memories, and what is not archived.

    Example:

        trinitas stats -p athena
    """
    with entered(home) as (door, _):
        counted = asdict(door.stats(persona=whose(door, persona)))
    if as_json:
        output.show_json(counted)
    else:
        output.show_fields({name.replace("_", " "): _plain(value) for name, value in counted.items()})


def health(home: Home = None, as_json: output.Json = False) -> None:
    """Check every part: can memories be written and found?

    Example:

        trinitas health || trinitas doctor

    Exit code 1: something is wrong.
    """
    with entered(home) as (door, _):
        found = door.health()
    if as_json:
        output.show_json(asdict(found))
    else:
        for part, problem in found.parts.items():
            style = output.STYLES["ok" if problem is None else "problem"]
            output.say(f"{part}: ", (problem or "ok", style))
        for warning in found.warnings:
            output.note(f"warning: {warning}")
    if not found.ok:
        raise typer.Exit(1)


def config(home: Home = None, as_json: output.Json = False) -> None:
    """Show every setting in force and where its value came from.

    Example:

        trinitas config | grep TTL
    """
    from trinitas_tasks.settings import environment_name, load_with_origins, shown  # noqa: PLC0415 - see session

    settings, origins = load_with_origins(overrides={} if home is None else {"home": home})
    rows = [(environment_name(name), shown(settings, name), origins[name]) for name in origins]
    if as_json:
        output.show_json({name: {"value": value, "origin": origin} for name, value, origin in rows})
    else:
        output.show_table(("setting", "value", "from"), rows)


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
