"""Where the next page begins. A cursor belongs to the question that it came from."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Final

from trinitas_tasks.errors import InvalidQuery
from trinitas_tasks.policy.chronology import Place
from trinitas_tasks.query import Query, Timeline
from trinitas_tasks.services.answer import digest

WRITTEN: Final = re.compile(r"([0-9]{1,5})-([0-9a-f]{16})", re.ASCII)
PLACE: Final = re.compile(r"([A-Za-z0-9_-]{8,400})\.([0-9a-f]{16})", re.ASCII)
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


def behind(place: Place, asked: Timeline) -> str:
    """The cursor of what follows this place of a timeline, which need not be there any more."""
    written = base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")
    return f"{written}.{_seal(written, asked)}"


def place_at(cursor: str, asked: Timeline) -> Place:
    """The place behind which the cursor's page begins. Raises: InvalidQuery for one that is torn, or of another
    timeline."""
    written = PLACE.fullmatch(str(cursor))
    if written is None or written[2] != _seal(written[1], asked):
        raise InvalidQuery(
            f"after: {str(cursor)[:60]!r} is not a cursor of this timeline: pass the `next` of its last page, and ask "
            "for the same persona, times, types, filters and order"
        )
    return Place(*json.loads(base64.urlsafe_b64decode(written[1] + "=" * (-len(written[1]) % 4))))


def _seal(written: str, asked: Timeline) -> str:
    question = digest(asked.model_copy(update={"limit": 1}))
    return hashlib.blake2b(f"{question}{written}".encode(), digest_size=8).hexdigest()
