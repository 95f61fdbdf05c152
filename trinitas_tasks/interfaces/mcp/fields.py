"""The single arguments that tools take: agents read the descriptions."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from trinitas_tasks.model import ID_PATTERN, PERSONA_PATTERN


def _listed(given: Any) -> Any:
    """Some agents write a list as text, or one entry without its list."""
    if not isinstance(given, str):
        return given
    if given.lstrip().startswith("["):
        try:
            return json.loads(given)
        except (ValueError, RecursionError):
            pass
    return [given]


def _text_or_json(given: Any) -> Any:
    if isinstance(given, str | dict | list):
        return given
    raise ValueError("text, an object or a list")


Kind = Literal["working", "episodic", "semantic", "procedural"]
Listed = BeforeValidator(_listed)
Content = Annotated[
    Any,
    BeforeValidator(_text_or_json),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}, {"type": "array", "items": {}}]}),
]

Persona = Annotated[
    str | None,
    Field(
        description="Whose memories: a persona's name. May be left out by whoever acts for one persona only.",
        examples=["athena"],
        json_schema_extra={"pattern": PERSONA_PATTERN},
    ),
]
Names = Annotated[list[str], Field(min_length=1, max_length=100)]
Personas = Annotated[
    Names | None,
    Listed,
    Field(description="Whose memories to search; all that you may read if left out.", examples=[["athena", "hestia"]]),
]
Id = Annotated[
    str,
    Field(
        description="The memory's id, as remember, recall and the others return it.",
        examples=["019a3c5e-7d21-7cc3-98c4-dc0c0c07398f"],
        json_schema_extra={"pattern": ID_PATTERN},
    ),
]
Owner = Annotated[
    str | None,
    Field(
        description="Whose memory is meant, where it is another's that was shared: its `stored_by`.",
        json_schema_extra={"pattern": PERSONA_PATTERN},
    ),
]
Query = Annotated[
    str,
    Field(
        description=(
            'What you want to know, in plain words of any language. "Words in quotes" and times such as last week or '
            "先週 raise the memories that have them; tag:x, type:semantic, since:2026-05, before:yesterday filter."
        ),
        examples=["where is the staging database?", "先週の決定事項"],
    ),
]
Limit = Annotated[int, Field(description="At most so many.", ge=1, le=100)]
Types = Annotated[
    list[Kind] | None, Listed, Field(description="Only memories of these types.", examples=[["semantic"]])
]
AnyTags = Annotated[
    list[str] | None, Listed, Field(description="Only with at least one of these tags.", examples=[["deploy"]])
]
Since = Annotated[
    str | None,
    Field(description="Only memories from this time on.", examples=["2026-05-01T12:00:00+09:00", "last week", "先週"]),
]
Before = Annotated[
    str | None, Field(description="Only memories from before this time.", examples=["2026-05", "yesterday", "昨日"])
]
MinImportance = Annotated[float, Field(description="Only memories at least so important.", ge=0, le=1)]
MinRelevance = Annotated[
    float,
    Field(
        description=(
            "Only memories at least so relevant, 0 to 1: 0.1 drops most of what is about something else, 0.7 keeps "
            "what is nearly certain."
        ),
        ge=0,
        le=1,
    ),
]
MinSimilarity = Annotated[
    float,
    Field(
        description=(
            "Only memories whose meaning is at least so similar to the question's, 0 to 1: (1 + cosine) / 2. 0.7 keeps "
            "nine of ten right answers, 0.5 nearly everything."
        ),
        ge=0,
        le=1,
    ),
]
After = Annotated[
    str | None, Field(description="Where to go on: the `next` of an earlier answer to the same question.")
]
Importance = Annotated[float, Field(description="How much it matters, 0 to 1.", ge=0, le=1)]
Tags = Annotated[
    list[str], Listed, Field(description="Words to find it by later.", examples=[["deploy", "postgres"]], max_length=64)
]
NewTags = Annotated[
    Annotated[list[str], Field(max_length=64)] | None,
    Listed,
    Field(description="Its tags from now on, in the place of all that it had."),
]
Metadata = Annotated[
    dict[str, Any],
    Field(
        description="Further facts as JSON; `session` ties the memories of one conversation together.",
        examples=[{"session": "2026-05-01", "source": "standup"}],
    ),
]
