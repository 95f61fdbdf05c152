"""From what a caller asks to an answer: by the workers, and without them by words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from trinitas_tasks.errors import InvalidQuery, Unavailable
from trinitas_tasks.model import MemoryType
from trinitas_tasks.policy.question import asked
from trinitas_tasks.query import Filters, Query, Recall
from trinitas_tasks.services.answer import Answer, digest
from trinitas_tasks.services.answering import Answering
from trinitas_tasks.services.cursor import paged
from trinitas_tasks.tiers.hot.interface import HotTier

MAX_QUERY_CHARACTERS: Final = 200_000

Search = Callable[[dict[str, Any]], str]
"""Has the workers search; the answer as JSON. Raises: Unavailable."""


def filtered(
    filters: Filters | Mapping[str, Any] | None, types: Iterable[MemoryType | str], **more: Any
) -> dict[str, Any]:
    """The fields of Filters that a caller means; of what is given more, what is not None counts."""
    given = dict(filters) if isinstance(filters, Mapping) else {} if filters is None else filters.model_dump()
    given |= {"types": (types,) if isinstance(types, str) else types} if types else {}
    return given | {name: value for name, value in more.items() if value is not None}


def recall(
    fields: Mapping[str, Any], after: str | None, now: datetime, *, answering: Answering, hot: HotTier, search: Search
) -> Recall:
    """Answer a question with these fields of Query. Raises: InvalidQuery, Unavailable."""
    query = Query.build(**fields)
    if len(query.text) > MAX_QUERY_CHARACTERS:
        raise InvalidQuery(f"text: {len(query.text):,} characters are more than {MAX_QUERY_CHARACTERS:,}")
    understood = asked(query, now=now)
    if understood is None:  # no memory can be of two types, or from before and after a time
        return Recall(())
    page = paged(understood, after)
    try:
        return answering.recall(page, lambda: _searched(page, hot, search), now)
    except Unavailable as away:
        return answering.by_words(page, away, now)


def _searched(query: Query, hot: HotTier, search: Search) -> tuple[Answer, bool]:
    """The workers' answer, and whether it is a cached one."""
    cached = hot.probe(query.persona, digest(query)).cached
    if cached is not None:
        return Answer.from_json(cached), True
    return Answer.from_json(search(query.model_dump(mode="json")).encode()), False
