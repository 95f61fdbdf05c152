"""What every ledger makes of what it is given."""

from __future__ import annotations

from datetime import datetime
from typing import Final

MOST_CHARACTERS: Final = 500
"""What of a text is kept: a row must not grow by what somebody sends."""


def minute(now: datetime) -> datetime:
    """The minute in which this is."""
    return now.replace(second=0, microsecond=0)


def kept(text: str) -> str:
    """A text as a row keeps it: no longer than others, and in one line that hides nothing.

    >>> kept("a" * 501) == "a" * 499 + "…", kept("token x\\n\\u202euser")
    (True, 'token x??user')
    """
    short = text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
    return "".join(each if each.isprintable() else "?" for each in short)


def kept_if(text: str | None) -> str | None:
    """The same of one that may be left out."""
    return None if text is None else kept(text)
