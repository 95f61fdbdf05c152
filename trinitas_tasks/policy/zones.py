"""Times as callers give them: without a zone they are of this machine."""

from __future__ import annotations

from datetime import datetime

from trinitas_tasks.errors import InvalidQuery


def aware(name: str, given: datetime | str | None) -> datetime | None:
    """The time that is meant; text is ISO 8601, a date alone its beginning. Raises: InvalidQuery, with this name."""
    if given is None:
        return None
    try:
        time = datetime.fromisoformat(given) if isinstance(given, str) else given
        return time if time.tzinfo else time.astimezone()
    except (ValueError, OverflowError, TypeError, AttributeError):
        raise InvalidQuery(
            f"{name}: {str(given)[:60]!r} is not a time, as in 2026-05-01 or 2026-05-01T09:30+02:00"
        ) from None
