"""Memories as resources: ``memory://PERSONA/recent`` and ``memory://PERSONA/ID``, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, unquote

import mcp_types as types

from trinitas_tasks.errors import InvalidQuery
from trinitas_tasks.interfaces.mcp import arguments, refusals

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.door import Door
    from trinitas_tasks.policy.personas import Persona

SCHEME: Final = "memory://"
RECENT: Final = "recent"
RECENT_LIMIT: Final = 20
MIME_TYPE: Final = "application/json"
ONE: Final = "memory://{persona}/{id}"
LATEST: Final = "memory://{persona}/recent"


class Address(NamedTuple):
    """What a URI of ours names. ``id`` None: the recent memories."""

    persona: str
    id: str | None

    @classmethod
    def read(cls, uri: str) -> Address:
        """Raises: InvalidQuery. A memory whose id is "recent" is reached by trinitas_get only."""
        persona, slash, name = uri.removeprefix(SCHEME).partition("/")
        if not uri.startswith(SCHEME) or not slash or not name:
            raise InvalidQuery(f"{refusals.shown(uri)} is no memory: {ONE} or {LATEST}")
        return cls(unquote(persona), None if name == RECENT else unquote(name))

    def __str__(self) -> str:
        return f"{SCHEME}{quote(self.persona)}/{RECENT if self.id is None else quote(self.id, safe='')}"


def listed(personas: Mapping[str, Persona]) -> list[types.Resource]:
    """The recent memories of each."""
    return [
        types.Resource(
            uri=str(Address(name, None)),
            name=f"recent memories of {name}",
            title=f"Recent memories of {name}",
            description=persona.about or None,
            mime_type=MIME_TYPE,
        )
        for name, persona in sorted(personas.items())
    ]


def templates() -> list[types.ResourceTemplate]:
    """How the URIs are made."""
    return [
        types.ResourceTemplate(
            uri_template=LATEST,
            name="recent memories",
            title="Recent memories of a persona",
            description=f"The newest {RECENT_LIMIT} memories of a persona.",
            mime_type=MIME_TYPE,
        ),
        types.ResourceTemplate(
            uri_template=ONE,
            name="memory",
            title="A memory",
            description="One memory of a persona, or one that was shared with it, by its id.",
            mime_type=MIME_TYPE,
        ),
    ]


def read(door: Door, uri: str) -> str:
    """What it holds. Raises: InvalidQuery, NotFound, and what the door raises."""
    from trinitas_tasks.interfaces.mcp import reading  # noqa: PLC0415 - a server says hello before it is loaded

    address = Address.read(uri)
    if address.id is not None:
        one = reading.get(door, arguments.Get(id=address.id, persona=address.persona))
        return one.memory.model_dump_json(indent=1)
    page = reading.timeline(door, arguments.Timeline(persona=address.persona, limit=RECENT_LIMIT))
    return page.model_dump_json(indent=1)
