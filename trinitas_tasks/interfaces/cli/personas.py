"""`trinitas personas`: which there are, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from trinitas_tasks.errors import Transient
from trinitas_tasks.interfaces.cli import completion, output
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, entered

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.door import Door
    from trinitas_tasks.policy.personas import Persona
    from trinitas_tasks.settings import Settings

TALLY_MS: Final = 20_000

personas = typer.Typer(
    help="""Personas: whose memories there are, and what is said of them.

Examples:

    trinitas personas
    trinitas personas show athena
    trinitas personas add iris --about "Carries messages." --focus couriers --route episodic=chromadb""",
    invoke_without_command=True,
)

Name = Annotated[
    str, typer.Argument(help="The persona's name.", show_default=False, autocompletion=completion.personas)
]
About = Annotated[str | None, typer.Option(help="Who it is, in a sentence.", show_default=False)]
Focus = Annotated[list[str] | None, typer.Option(help="What it cares for; several times.", show_default=False)]
Route = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TYPE=TIER",
        help="The primary tier of its memories of a type: redis or chromadb (see TRINITAS_ROUTING); several times.",
        show_default=False,
    ),
]
RulesJson = Annotated[
    str | None,
    typer.Option("--rules", metavar="JSON", help="How its memories live (see TRINITAS_LIFE).", show_default=False),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="The embedding model of its memories: a shipped name or a folder (see CHROMADB_MODEL).", show_default=False
    ),
]
Checksum = Annotated[
    str | None, typer.Option("--model-sha256", help="What the weights in that folder hash to.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(personas, name="personas", rich_help_panel=Panel.PERSONAS)


@personas.callback()
def show_all(context: typer.Context, home: Home = None, as_json: output.Json = False) -> None:
    """List all personas: the five, those that were added, and those that have memories."""
    if context.invoked_subcommand is not None:
        return
    with entered(home) as (door, _):
        known, counts = door.personas(), _tally(door)
    if as_json:
        output.show_json([_told(each, counts) for each in known.values()])
        return
    rows = [
        (name, _counted(counts, name), output.shortened(", ".join(each.focus) or each.about, 80))
        for name, each in known.items()
    ]
    output.show_table(("name", "memories", "focus"), rows)


@personas.command()
def show(name: Name, home: Home = None, as_json: output.Json = False) -> None:
    """Show what is said of a persona, and what is in force.

    Example:

        trinitas personas show athena
    """
    with entered(home) as (door, settings):
        persona, counts = _known(door, name), _tally(door)
    if as_json:
        output.show_json({**_told(persona, counts), "in_force": _in_force(persona, settings)})
        return
    told = {key: value for key, value in _told(persona, counts).items() if key != "memories" and value}
    output.show_fields({**told, "memories": _counted(counts, name), "in force": _in_force(persona, settings)})


@personas.command()
def add(
    name: Annotated[str, typer.Argument(help="Letters, digits, _ and -.", show_default=False)],
    about: About = None,
    focus: Focus = None,
    route: Route = None,
    rules: RulesJson = None,
    model: Model = None,
    checksum: Checksum = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Add a persona. What is left out is as for everybody.

    Examples:

        trinitas personas add iris --about "Carries messages." --focus couriers --focus routes
        trinitas personas add iris --route episodic=chromadb --rules '{"archive_days": 30}'
        trinitas personas add iris --model ~/models/multilingual-e5-small

    Exit code 1: there is one of this name, or the model cannot be loaded. An ingest worker must run.
    """
    from trinitas_tasks.errors import InvalidQuery  # noqa: PLC0415 - `trinitas --help` stays fast
    from trinitas_tasks.policy.personas import Persona  # noqa: PLC0415

    made = Persona.build(name=name).edited(**_given(about, focus, route, rules, model, checksum))
    with entered(home) as (door, _), door.administering("personas add", subject=made.name):
        before = door.client.personas().get(made.name)
        if before is not None and before != Persona(name=made.name):
            raise InvalidQuery(f"name: there is a persona {made.name}: `trinitas personas edit {made.name}` changes it")
        door.client.define(made)
    _say(made, as_json=as_json)


@personas.command()
def edit(
    name: Name,
    about: About = None,
    focus: Focus = None,
    route: Route = None,
    rules: RulesJson = None,
    model: Model = None,
    checksum: Checksum = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Change what is said of a persona, one of the five, too.

    Only what is given changes; '' and null take back what was said, so that the settings count again.

    Examples:

        trinitas personas edit athena --focus architecture --focus cost
        trinitas personas edit iris --route episodic=redis --rules '{"archive_days": null}'
        trinitas personas edit iris --route episodic= --model ''

    With another model its memories are embedded anew; until then they are found by their words.
    """
    given = _given(about, focus, route, rules, model, checksum)
    if not given:
        raise typer.BadParameter("say what is to be changed (--about, --focus, --route, --rules, --model)")
    with entered(home) as (door, _), door.administering("personas edit", subject=name):
        door.client.check_known(name)
        edited = _known(door, name).edited(**given)
        door.client.define(edited)
    _say(edited, as_json=as_json)


def _given(
    about: str | None,
    focus: Sequence[str] | None,
    route: Sequence[str] | None,
    rules: str | None,
    model: str | None,
    checksum: str | None,
) -> dict[str, Any]:
    """What the options say, as Persona.edited takes it. Raises: BadParameter."""
    given: dict[str, Any] = {}
    for option, value in (("about", about), ("model_sha256", checksum), ("model", model and _located(model))):
        if value is not None:
            given[option] = value or None
    if model == "":
        given |= {"model": None, "model_sha256": None}
    if focus:
        given["focus"] = [each for each in focus if each] or None
    if route:
        given["routing"] = dict(map(_routed, route))
    if rules is not None:
        given["rules"] = _rules(rules)
    return given


def _located(model: str) -> str:
    """A folder by its whole path, since the workers look from another one; a link by its own name, which tells vectors
    apart."""
    folder = Path(model).expanduser()
    return str(folder.absolute()) if folder.is_dir() else model


def _routed(route: str) -> tuple[str, str | None]:
    kind, equals, tier = route.partition("=")
    if not kind or not equals:
        raise typer.BadParameter(f"{route!r} is not TYPE=TIER, such as episodic=redis", param_hint="--route")
    return kind, tier or None


def _rules(text: str) -> dict[str, Any] | None:
    try:
        rules = json.loads(text or "null")
    except ValueError as error:
        raise typer.BadParameter(f"{text[:60]!r} is not JSON: {error}", param_hint="--rules") from None
    if not isinstance(rules, dict | None):
        raise typer.BadParameter(f"{text[:60]!r} is not a JSON object", param_hint="--rules")
    return rules


def _known(door: Door, name: str) -> Persona:
    """Raises: Forbidden, UnknownPersona."""
    from trinitas_tasks.policy.access import Right  # noqa: PLC0415 - see above
    from trinitas_tasks.policy.personas import unknown  # noqa: PLC0415

    door.principal.check(Right.READ, name)
    known = door.client.personas()
    if name not in known:
        raise unknown(name, known)
    return known[name]


def _tally(door: Door) -> Mapping[str, int] | None:
    try:
        counts: dict[str, int] = door.client.ask("tally", deadline_ms=TALLY_MS)
    except Transient as error:
        output.note(f"nobody counts the memories just now: {error}")
        return None
    return counts


def _counted(counts: Mapping[str, int] | None, name: str) -> str:
    return "?" if counts is None else f"{counts.get(name, 0):,}"


def _told(persona: Persona, counts: Mapping[str, int] | None) -> dict[str, Any]:
    """As JSON, the same fields of every persona."""
    fields = persona.to_dict()
    said = {name: fields.get(name) for name in ("rules", "model", "model_sha256")}
    return {
        "name": persona.name,
        "about": persona.about,
        "focus": list(persona.focus),
        "routing": fields.get("routing", {}),
        **said,
        "memories": None if counts is None else counts.get(persona.name, 0),
    }


def _in_force(persona: Persona, settings: Settings) -> dict[str, Any]:
    """What counts for its memories, by the settings of this process."""
    rules = settings.rules_of(persona.name, persona.rules)
    return {
        "routing": {**settings.routing, **persona.routing},
        "rules": rules.model_dump(mode="json"),
        "model": persona.model or settings.chromadb_model,
    }


def _say(persona: Persona, *, as_json: bool) -> None:
    if as_json:
        output.show_json(persona.to_dict())
    else:
        output.show_fields(persona.to_dict())
