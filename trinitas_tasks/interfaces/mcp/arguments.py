"""What the tools take. What is not said here is left to the door behind."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from trinitas_tasks.interfaces.mcp import fields
from trinitas_tasks.interfaces.mcp.schemas import ForAgents
from trinitas_tasks.model import PERSONA_PATTERN


class Arguments(BaseModel):
    """Of one tool. Null is the same as left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    @classmethod
    def input_schema(cls) -> dict[str, Any]:
        """JSON Schema 2020-12."""
        return cls.model_json_schema(schema_generator=ForAgents)


class Remember(Arguments):
    """Of trinitas_remember."""

    content: Annotated[
        fields.Content,
        Field(
            description=(
                "What to remember: one fact, event, decision or procedure that can be understood by itself, as text "
                "in any language, or as JSON."
            ),
            examples=["The staging database moved to port 5433.", "ステージングDBはポート5433に移った。"],
        ),
    ]
    persona: fields.Persona = None
    type: Annotated[
        fields.Kind,
        Field(
            description=(
                "episodic: what happened; semantic: what is true; procedural: how something is done; working: what is "
                "needed for an hour or so."
            )
        ),
    ] = "episodic"
    importance: fields.Importance = 0.5
    tags: fields.Tags = []
    metadata: fields.Metadata = {}
    timestamp: Annotated[
        str | None, Field(description="When it happened, if not now.", examples=["2026-05-01T09:30:00Z", "yesterday"])
    ] = None


class Recall(Arguments):
    """Of trinitas_recall."""

    query: fields.Query
    persona: fields.Persona = None
    limit: fields.Limit = 10
    types: fields.Types = None
    tags: fields.AnyTags = None
    since: fields.Since = None
    before: fields.Before = None
    min_importance: fields.MinImportance = 0.0
    min_relevance: fields.MinRelevance = 0.0
    include_archived: Annotated[
        bool, Field(description="Also old and faded memories; those that are found come back.")
    ] = False
    after: fields.After = None


class SemanticSearch(Arguments):
    """Of trinitas_semantic_search."""

    query: fields.Query
    personas: fields.Personas = None
    min_similarity: fields.MinSimilarity = 0.7
    limit: fields.Limit = 10


class MemorySearch(Arguments):
    """Of trinitas_memory_search."""

    query: fields.Query
    personas: fields.Personas = None
    types: fields.Types = None
    tags: fields.AnyTags = None
    since: fields.Since = None
    before: fields.Before = None
    min_importance: fields.MinImportance = 0.0
    limit: fields.Limit = 10


class Get(Arguments):
    """Of trinitas_get."""

    id: fields.Id
    persona: fields.Persona = None
    owner: fields.Owner = None
    offset: Annotated[int, Field(description="From which character of a long content on.", ge=0, le=1_000_000_000)] = 0


class Update(Arguments):
    """Of trinitas_update."""

    id: fields.Id
    persona: fields.Persona = None
    content: Annotated[fields.Content | None, Field(description="What it says from now on.")] = None
    type: Annotated[fields.Kind | None, Field(description="Its type from now on.")] = None
    importance: Annotated[float | None, Field(description="How much it matters from now on, 0 to 1.", ge=0, le=1)] = (
        None
    )
    tags: fields.NewTags = None
    metadata: Annotated[
        dict[str, Any] | None, Field(description="Its metadata from now on, in the place of all that it had.")
    ] = None


class Forget(Arguments):
    """Of trinitas_forget."""

    id: fields.Id
    persona: fields.Persona = None


class Pin(Arguments):
    """Of trinitas_pin."""

    id: fields.Id
    pinned: Annotated[bool, Field(description="False lets it live by the rules again.")] = True
    persona: fields.Persona = None


class Feedback(Arguments):
    """Of trinitas_feedback."""

    id: fields.Id
    useful: Annotated[bool, Field(description="Whether it helped.")]
    persona: fields.Persona = None
    owner: fields.Owner = None


class Timeline(Arguments):
    """Of trinitas_timeline."""

    persona: fields.Persona = None
    since: fields.Since = None
    before: fields.Before = None
    types: fields.Types = None
    tags: fields.AnyTags = None
    min_importance: fields.MinImportance = 0.0
    limit: fields.Limit = 20
    oldest_first: Annotated[bool, Field(description="Begin with the oldest instead of the newest.")] = False
    after: fields.After = None


class Share(Arguments):
    """Of trinitas_share_memory."""

    id: fields.Id
    to: Annotated[
        fields.Names,
        fields.Listed,
        Field(description="The personas that may read it from now on.", examples=[["hestia"]]),
    ]
    persona: fields.Persona = None


class Unshare(Arguments):
    """Of trinitas_unshare_memory."""

    id: fields.Id
    to: Annotated[
        fields.Names | None,
        fields.Listed,
        Field(description="The personas that may read it no longer; all others if left out.", examples=[["hestia"]]),
    ] = None
    persona: fields.Persona = None


class Why(Arguments):
    """Of trinitas_why."""

    id: fields.Id
    persona: fields.Persona = None


class Stats(Arguments):
    """Of trinitas_memory_stats."""

    persona: fields.Persona = None


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
