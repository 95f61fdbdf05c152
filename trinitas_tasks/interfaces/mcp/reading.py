"""The tools that read memories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from trinitas_tasks.errors import InvalidQuery, Unavailable
from trinitas_tasks.interfaces.mcp import answers, arguments
from trinitas_tasks.interfaces.mcp.refusals import scrubbed
from trinitas_tasks.interfaces.provenance import memory_data, several
from trinitas_tasks.model import Key, utc_now
from trinitas_tasks.policy import dates
from trinitas_tasks.query import Hit, Recall

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.door import Door

DEPTH: Final = 5
"""How many times what is asked for is looked at: some of it is not like enough."""
MOST: Final = 200
EXAMPLES: Final = "2026-05-01, 2026-05-01T12:00:00+09:00, last week, 先週"


def get(door: Door, asked: arguments.Get) -> answers.One:
    """One memory by its id."""
    item = door.get(asked.id, persona=asked.persona, owner=asked.owner)
    return answers.One(memory=memory_data(item, readers=_readers(door, asked.persona), offset=asked.offset))


def recall(door: Door, asked: arguments.Recall) -> answers.Found:
    """What a persona knows, its own and what was shared with it."""
    found = door.recall(
        asked.query,
        persona=asked.persona,
        limit=asked.limit,
        filters=_filters(asked),
        min_similarity=asked.min_relevance,
        include_archived=asked.include_archived,
        after=asked.after,
    )
    return _found(found, _readers(door, asked.persona))


def semantic_search(door: Door, asked: arguments.SemanticSearch) -> answers.Found:
    """What several personas know and what is like the question in meaning, the most relevant first."""
    whose = _whose(door, asked.personas)
    found = _among(door, asked.query, whose, limit=min(MOST, asked.limit * DEPTH))
    like = (hit for hit in found if _is_like(hit, asked.min_similarity) or found.degraded)
    return _found(replace(found, hits=tuple(islice(like, asked.limit)), next=None), whose)


def memory_search(door: Door, asked: arguments.MemorySearch) -> answers.Found:
    """What several personas know, filtered."""
    whose = _whose(door, asked.personas)
    return _found(_among(door, asked.query, whose, limit=asked.limit, filters=_filters(asked)), whose)


def timeline(door: Door, asked: arguments.Timeline) -> answers.Page:
    """What a persona remembers, in the order of its time."""
    page = door.timeline(
        persona=asked.persona,
        filters=_filters(asked),
        limit=asked.limit,
        newest_first=not asked.oldest_first,
        after=asked.after,
    )
    memories = several(page.items, readers=_readers(door, asked.persona))
    return answers.Page(memories=memories, degraded=list(map(scrubbed, page.degraded)), next=page.next)


def why(door: Door, asked: arguments.Why) -> answers.Explained:
    """What is known of a memory's life."""
    known = door.why(asked.id, persona=asked.persona)
    return answers.Explained(**{name: known[name] for name in answers.Explained.model_fields})


def moment(name: str, said: str | None) -> datetime | None:
    """The time that an argument says, its beginning where it is a period. Raises: InvalidQuery."""
    if said is None:
        return None
    period = dates.read(said, utc_now().astimezone())
    if period is None:
        raise InvalidQuery(f"{name}: {said[:60]!r} is no time such as {EXAMPLES}")
    return period.start


def _filters(asked: arguments.Recall | arguments.MemorySearch | arguments.Timeline) -> dict[str, Any]:
    given: Mapping[str, Any] = {
        "types": asked.types,
        "any_tags": asked.tags,
        "since": moment("since", asked.since),
        "before": moment("before", asked.before),
        "min_importance": asked.min_importance,
    }
    return {name: value for name, value in given.items() if value is not None}


def _readers(door: Door, persona: str | None) -> tuple[str, ...]:
    reader = door.principal.sole() if persona is None else persona
    return () if reader is None else (reader,)


def _whose(door: Door, personas: list[str] | None) -> list[str]:
    """Those that were named, else all that the principal acts for and that there are."""
    if personas is not None:
        return list(dict.fromkeys(personas))
    sole = door.principal.sole()
    return sorted(door.personas()) if sole is None else [sole]


def _among(door: Door, query: str, whose: list[str], **asked: Any) -> Recall:
    if not whose:
        return Recall(())
    if len(whose) == 1:  # then what was shared with it counts too
        return door.recall(query, persona=whose[0], **asked)
    try:
        return door.recall(query, persona=whose, **asked)
    except Unavailable as away:
        # without the workers each persona's memories are still found by their words, where the archive is here
        return _one_by_one(door, query, whose, away, asked)


def _one_by_one(door: Door, query: str, whose: Iterable[str], away: Unavailable, asked: Mapping[str, Any]) -> Recall:
    hits: dict[Key, Hit] = {}
    degraded: dict[str, None] = {}
    for each in whose:
        found = door.recall(query, persona=each, **asked)
        hits |= {Key(hit.item.persona, hit.item.id): hit for hit in found}
        degraded |= dict.fromkeys(found.degraded)
    best = sorted(hits.values(), key=lambda hit: -hit.score)[: asked["limit"]]
    return Recall(tuple(best), degraded=tuple(degraded) or (f"search: {away}",))


def _found(found: Recall, readers: Iterable[str]) -> answers.Found:
    memories = several((hit.item for hit in found), readers=tuple(readers))
    return answers.Found(
        memories=[_memory(hit, told) for hit, told in zip(found, memories, strict=True)],
        degraded=list(map(scrubbed, found.degraded)),
        next=found.next,
    )


def _similarity(hit: Hit) -> float | None:
    """0 to 1, where the search by meaning has found it."""
    cosine = hit.why.get("similarity")
    return round((1 + cosine) / 2, 4) if isinstance(cosine, float | int) else None


def _is_like(hit: Hit, least: float) -> bool:
    """By its meaning, or so relevant by its words that there is no doubt."""
    return hit.score >= least or (_similarity(hit) or 0.0) >= least


def _memory(hit: Hit, told: Any) -> answers.FoundMemory:
    return answers.FoundMemory(
        relevance=hit.score,
        similarity=_similarity(hit),
        memory=told,
        says_the_same=[key.id for key in hit.similar],
    )
