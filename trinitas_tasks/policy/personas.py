"""Personas as data: the five that there always are, and what can be said of any."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from trinitas_tasks.errors import InvalidQuery, UnknownPersona
from trinitas_tasks.model import MemoryType, Text, complaint
from trinitas_tasks.model import Persona as Name
from trinitas_tasks.policy.life import Rules
from trinitas_tasks.policy.ttl import Tier


class Persona(BaseModel):
    """Somebody whose memories these are. What is left out is as the settings say for everybody."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Name
    about: Annotated[Text, Field(max_length=1000)] = ""
    """Who it is, in a sentence; agents read it."""
    focus: Annotated[tuple[Annotated[Text, Field(min_length=1, max_length=100)], ...], Field(max_length=32)] = ()
    """What it cares for, a few words each."""
    routing: Mapping[MemoryType, Tier] = Field(default_factory=dict)
    """The primary tier of its memories of these types (see TRINITAS_ROUTING)."""
    rules: Rules | None = None
    """How its memories live (see TRINITAS_LIFE)."""
    model: Annotated[Text, Field(max_length=4096)] | None = None
    """The embedding model of its memories, a shipped name or a folder (see CHROMADB_MODEL); None: as everybody's."""
    model_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The checksum of the weights in that folder (see TRINITAS_MODEL_SHA256)."""

    @field_validator("model")
    @classmethod
    def _has_a_name(cls, model: str | None) -> str | None:
        if model is not None and not 0 < len(PurePath(model).name) < 256:
            raise ValueError("neither a model's name nor a folder")
        return model

    @classmethod
    def build(cls, **fields: Any) -> Persona:
        """Make one from what somebody says. Raises: InvalidQuery, naming the field and what is wrong."""
        try:
            return cls(**fields)
        except ValidationError as error:
            raise InvalidQuery(complaint(error)) from None

    def edited(self, **given: Any) -> Persona:
        """With what is given in the place of what was said before. Routing and rules change type by type and rule by
        rule; None takes back what was said, so that the settings count again. Raises: InvalidQuery."""
        fields = self.to_dict()
        for name in ("routing", "rules"):
            if isinstance(given.get(name), Mapping):
                given[name] = _without_none({**(fields.get(name) or {}), **given[name]}) or None
        return Persona.build(**_without_none({**fields, **given}))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: no more than was said, since what was not is left to the settings."""
        return self.model_dump(mode="json", exclude_unset=True)


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


FIVE: Final[Mapping[str, Persona]] = {
    each.name: each
    for each in (
        Persona(
            name="athena",
            about="Strategic architect: designs systems and decides what is built and why.",
            focus=("architecture", "strategy", "design decisions", "long-term planning"),
        ),
        Persona(
            name="artemis",
            about="Technical perfectionist: makes code fast, correct and clean.",
            focus=("code quality", "performance", "algorithms", "best practices"),
        ),
        Persona(
            name="hestia",
            about="Guardian: looks for what can go wrong and keeps it from doing so.",
            focus=("security", "risks", "quality assurance", "vulnerabilities"),
        ),
        Persona(
            name="bellona",
            about="Coordinator: divides work, runs it in parallel and keeps it on time.",
            focus=("coordination", "parallel work", "resources", "operations"),
        ),
        Persona(
            name="seshat",
            about="Chronicler: writes down what is known and measures what happened.",
            focus=("documentation", "knowledge", "records", "measurement"),
        ),
    )
}
"""The five that Trinitas has always had."""


class Roster(NamedTuple):
    """Which personas there are: what is defined of some, by name, and who has memories."""

    defined: Mapping[str, Persona] = {}
    holders: frozenset[str] = frozenset()

    def has(self, name: str) -> bool:
        """Whether there is one of this name."""
        return name in FIVE or name in self.defined or name in self.holders

    def known(self) -> dict[str, Persona]:
        """All of them, by name: the five, those with memories, and what was defined of whomever."""
        return {**FIVE, **{name: Persona(name=name) for name in self.holders if name not in FIVE}, **self.defined}

    def to_json(self) -> str:
        """The same for the same personas."""
        defined = [self.defined[name].to_dict() for name in sorted(self.defined)]
        return json.dumps({"defined": defined, "holders": sorted(self.holders)}, ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Roster:
        """Raises: ValueError for what is no roster, or one of another version."""
        told = json.loads(text)
        try:
            defined = [Persona(**each) for each in told["defined"]]
            return cls({each.name: each for each in defined}, frozenset(map(str, told["holders"])))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no roster of personas: {error!r}") from error


def unknown(name: str, known: Iterable[str]) -> UnknownPersona:
    """The error for a name that nobody has: with those like it. Names of personas are no secret, memories are."""
    names = sorted(known)
    close = difflib.get_close_matches(name.lower(), names, n=1) or difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names[:20])}"
    return UnknownPersona(f"persona: there is no {name!r}: {hint} (`trinitas personas add {name}` makes a new one)")
