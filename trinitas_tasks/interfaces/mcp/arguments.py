"""What the tools take. Agents read the descriptions; what is not said here is left to the door behind."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from trinitas_tasks.model import ID_PATTERN, PERSONA_PATTERN


class Arguments(BaseModel):
    """Of one tool. Null is the same as left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    @classmethod
    def schema_for_agents(cls) -> dict[str, Any]:
        """JSON Schema 2020-12, as short as it can be: an agent pays for every word of it."""
        return cls.model_json_schema(schema_generator=_Short)


class _Short(GenerateJsonSchema):
    """Without titles that only repeat names, and without saying that what may be left out may be null."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the library's signature
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("default", ...) in (None, []):
            made.pop("default")
        return made

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        made.pop("title", None)
        made.pop("description", None)
        return made


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
Asked = Annotated[
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
MinSimilarity = Annotated[
    float,
    Field(
        description=(
            "Only memories at least so relevant, 0 to 1: 0.3 drops what is about something else, 0.7 keeps what is "
            "nearly certain."
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


class Remember(Arguments):
    """Of trinitas_remember."""

    content: Annotated[
        Content,
        Field(
            description=(
                "What to remember: one fact, event, decision or procedure that can be understood by itself, as text "
                "in any language, or as JSON."
            ),
            examples=["The staging database moved to port 5433.", "ステージングDBはポート5433に移った。"],
        ),
    ]
    persona: Persona = None
    type: Annotated[
        Kind,
        Field(
            description=(
                "episodic: what happened; semantic: what is true; procedural: how something is done; working: what is "
                "needed for an hour or so."
            )
        ),
    ] = "episodic"
    importance: Importance = 0.5
    tags: Tags = []
    metadata: Metadata = {}
    timestamp: Annotated[
        str | None, Field(description="When it happened, if not now.", examples=["2026-05-01T09:30:00Z", "yesterday"])
    ] = None


class Recall(Arguments):
    """Of trinitas_recall."""

    query: Asked
    persona: Persona = None
    limit: Limit = 10
    types: Types = None
    tags: AnyTags = None
    since: Since = None
    before: Before = None
    min_importance: MinImportance = 0.0
    min_similarity: MinSimilarity = 0.0
    include_archived: Annotated[
        bool, Field(description="Also old and faded memories; those that are found come back.")
    ] = False
    after: After = None


class SemanticSearch(Arguments):
    """Of trinitas_semantic_search."""

    query: Asked
    personas: Personas = None
    min_similarity: MinSimilarity = 0.7
    limit: Limit = 10


class MemorySearch(Arguments):
    """Of trinitas_memory_search."""

    query: Asked
    personas: Personas = None
    types: Types = None
    tags: AnyTags = None
    since: Since = None
    before: Before = None
    min_importance: MinImportance = 0.0
    limit: Limit = 10


class Get(Arguments):
    """Of trinitas_get."""

    id: Id
    persona: Persona = None
    owner: Owner = None
    offset: Annotated[int, Field(description="From which character of a long content on.", ge=0, le=1_000_000_000)] = 0


class Update(Arguments):
    """Of trinitas_update."""

    id: Id
    persona: Persona = None
    content: Annotated[Content | None, Field(description="What it says from now on.")] = None
    type: Annotated[Kind | None, Field(description="Its type from now on.")] = None
    importance: Annotated[float | None, Field(description="How much it matters from now on, 0 to 1.", ge=0, le=1)] = (
        None
    )
    tags: NewTags = None
    metadata: Annotated[
        dict[str, Any] | None, Field(description="Its metadata from now on, in the place of all that it had.")
    ] = None


class Forget(Arguments):
    """Of trinitas_forget."""

    id: Id
    persona: Persona = None


class Pin(Arguments):
    """Of trinitas_pin."""

    id: Id
    pinned: Annotated[bool, Field(description="False lets it live by the rules again.")] = True
    persona: Persona = None


class Feedback(Arguments):
    """Of trinitas_feedback."""

    id: Id
    useful: Annotated[bool, Field(description="Whether it helped.")]
    persona: Persona = None
    owner: Owner = None


class Timeline(Arguments):
    """Of trinitas_timeline."""

    persona: Persona = None
    since: Since = None
    before: Before = None
    types: Types = None
    tags: AnyTags = None
    limit: Limit = 20
    oldest_first: Annotated[bool, Field(description="Begin with the oldest instead of the newest.")] = False
    after: After = None


class Share(Arguments):
    """Of trinitas_share_memory."""

    id: Id
    to: Annotated[Names, Listed, Field(description="The personas that may read it from now on.", examples=[["hestia"]])]
    persona: Persona = None


class Unshare(Arguments):
    """Of trinitas_unshare_memory."""

    id: Id
    to: Annotated[
        Names | None,
        Listed,
        Field(description="The personas that may read it no longer; all others if left out.", examples=[["hestia"]]),
    ] = None
    persona: Persona = None


class Why(Arguments):
    """Of trinitas_why."""

    id: Id
    persona: Persona = None


class Stats(Arguments):
    """Of trinitas_memory_stats."""

    persona: Persona = None


class Analytics(Arguments):
    """Of trinitas_memory_analytics."""

    persona: Annotated[
        str | None,
        Field(
            description="Of whose memories; of all if left out, for whom that is allowed.",
            examples=["athena"],
            json_schema_extra={"pattern": PERSONA_PATTERN},
        ),
    ] = None


class Consolidate(Arguments):
    """Of trinitas_consolidate."""

    persona: Annotated[
        str | None,
        Field(
            description="Whose memories; all if left out.",
            examples=["athena"],
            json_schema_extra={"pattern": PERSONA_PATTERN},
        ),
    ] = None
    dry_run: Annotated[bool, Field(description="Only say what would be done. Pass false to do it.")] = True


class Health(Arguments):
    """Of trinitas_health, which takes none."""
