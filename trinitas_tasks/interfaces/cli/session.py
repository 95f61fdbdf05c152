"""How a command comes to memories: the options that name them, and the door for the length of one command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trinitas_tasks.errors import Transient
from trinitas_tasks.interfaces.cli import completion

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.door import Door
    from trinitas_tasks.policy.life import Rules
    from trinitas_tasks.settings import Settings


class Kind(StrEnum):
    """As model.MemoryType, for which pydantic would be loaded before the help is printed."""

    WORKING = "working"
    EPISODIC = "episodic"
    SEMANTIC = "semantic"
    PROCEDURAL = "procedural"


Id = Annotated[str, typer.Argument(help="The memory's id.", show_default=False)]
Persona = Annotated[
    str | None,
    typer.Option("--persona", "-p", help="Whose memories (else TRINITAS_PERSONA).", autocompletion=completion.personas),
]
Whose = Annotated[
    str | None,
    typer.Option("--persona", "-p", help="Whose memories; all if left out.", autocompletion=completion.personas),
]
Kinds = Annotated[list[Kind] | None, typer.Option("--type", "-t", help="Only these types; several times.")]
Home = Annotated[Path | None, typer.Option(help="Data directory of the embedded stack (default: TRINITAS_HOME).")]


@contextmanager
def entered(home: Path | None, overrides: Mapping[str, Any] | None = None) -> Iterator[tuple[Door, Settings]]:
    """The door of this machine's user, for the length of one command."""
    from trinitas_tasks.interfaces import entering  # noqa: PLC0415 - `trinitas --help` stays fast

    settings = settings_of(home, overrides)
    with entering.entered(settings, "cli") as door:
        yield door, settings


def settings_of(home: Path | None, overrides: Mapping[str, Any] | None = None, *, stack: bool = True) -> Settings:
    """The settings in force; ``stack``: also those that a running embedded stack brings."""
    from trinitas_tasks.settings import load_settings  # noqa: PLC0415 - see above

    return load_settings(overrides={**(overrides or {}), **({} if home is None else {"home": home})}, stack=stack)


def rules_of(door: Door, settings: Settings) -> Callable[[str], Rules]:
    """By which rules whose memories live; while nobody can tell what is said of personas, as the settings have it."""
    try:
        known = door.client.personas()
    except Transient:
        known = {}

    def of(persona: str) -> Rules:
        said = known.get(persona)
        return settings.rules_of(persona, None if said is None else said.rules)

    return of


def whose(door: Door, persona: str | None) -> str:
    """The persona that a command is about: the named one, else the only one that the user acts for."""
    named = door.principal.sole() if persona is None else persona
    if named is None:
        raise typer.BadParameter("say whose memories are meant, here or in TRINITAS_PERSONA", param_hint="--persona")
    return named


def anyones(door: Door, persona: str | None) -> str | None:
    """As ``whose``, of a command that is about everybody where nobody is named: None."""
    named = door.principal.sole() if persona is None else persona
    if named is not None:
        door.client.check_known(named)
    return named
