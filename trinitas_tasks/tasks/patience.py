"""How a thread that waits for an answer is told that nobody wants it any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

LOOK_SECONDS: Final = 0.25
"""How often a waiting thread looks."""

_given_up: ContextVar[threading.Event | None] = ContextVar("given_up", default=None)


class GivenUp(BaseException):
    """The wait was broken off. Like KeyboardInterrupt it is no failure that something else could stand in for."""


@contextmanager
def giving_up(event: threading.Event) -> Iterator[None]:
    """What waits in this block, in this thread, waits no longer than until the event is set."""
    token = _given_up.set(event)
    try:
        yield
    finally:
        _given_up.reset(token)


def look_after(seconds: float) -> float:
    """How long to wait at most before ``check`` is called again."""
    return seconds if _given_up.get() is None else min(seconds, LOOK_SECONDS)


def check() -> None:
    """Return if the answer is still wanted. Raises: GivenUp."""
    event = _given_up.get()
    if event is not None and event.is_set():
        raise GivenUp
