"""Where the next page of a recall begins. A cursor belongs to the question that it came from."""

from __future__ import annotations

import re
from typing import Final

from trinitas_tasks.errors import InvalidQuery
from trinitas_tasks.query import Query
from trinitas_tasks.services.answer import digest

WRITTEN: Final = re.compile(r"([0-9]{1,5})-([0-9a-f]{16})", re.ASCII)
DEEPEST: Final = 10_000
"""No page begins further down than this."""


def following(query: Query) -> str | None:
    """The cursor of the page after the one that the query asks for; None where there may be none."""
    skip = query.skip + query.limit
    return f"{skip}-{_mark(query)}" if skip <= DEEPEST else None


def paged(query: Query, cursor: str | None) -> Query:
    """The query for the page at the cursor. Raises: InvalidQuery for one of another question."""
    if cursor is None:
        return query
    written = WRITTEN.fullmatch(str(cursor))
    if written is None:
        raise InvalidQuery(f"after: {str(cursor)[:60]!r} is not a cursor: pass the `next` of a recall")
    if written[2] != _mark(query):
        raise InvalidQuery("after: this cursor is of another question: ask with the same text, filters and limits")
    return query.model_copy(update={"skip": min(int(written[1]), DEEPEST)})


def _mark(query: Query) -> str:
    """Of all that decides the order; pages may differ in size."""
    return digest(query.model_copy(update={"skip": 0, "limit": 1, "now": None}))[:16]
