"""Times as options name them: without a zone they are of this machine."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from trinitas_tasks.policy.period import Period


def moment(text: str, option: str) -> datetime:
    """2026-05-06, or with a time. Raises: BadParameter."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise _bad(text, option) from None


def start(text: str | None, option: str) -> datetime | None:
    """A moment, or the beginning of what people call a time: 2026-05, last week, 先週. Raises: BadParameter."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        return period(text, option).start


def period(text: str, option: str) -> Period:
    """What people call a time, from its beginning to its end. Raises: BadParameter."""
    from trinitas_tasks.policy import dates  # noqa: PLC0415 - `trinitas --help` stays fast

    found = dates.read(text, datetime.now().astimezone())
    if found is None:
        raise _bad(text, option)
    return found


def _bad(text: str, option: str) -> typer.BadParameter:
    return typer.BadParameter(f"{text!r} is not a time such as 2026-05-06", param_hint=option)
