"""Tokens: how whoever comes from outside of this machine is known, and for how often they may ask.

A token is ``trt_ID_SECRET``: its public id, and 32 random bytes. Only a digest is kept, and a plain one: nobody can
guess 256 bits, so a slow hash would only cost every request.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from trinitas_tasks.errors import Forbidden, InvalidQuery, Overloaded, Unavailable
from trinitas_tasks.policy.access import Principal, Right, listed
from trinitas_tasks.tiers.ledger.interface import Ledger, Token

logger = logging.getLogger(__name__)

PREFIX: Final = "trt"
ID_BYTES, SECRET_BYTES = 4, 32
SHAPE: Final = re.compile(rf"{PREFIX}_[0-9a-f]{{8}}_[A-Za-z0-9_-]{{43}}")
MOST_NAME: Final = 64
UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
NEVER: Final = "never"
REFUSED: Final = "this token is not valid: it is unknown, expired or revoked (`trinitas token create` makes another)"
"""One message for all of these, and for what is no token: it says nothing of which tokens there are."""


class Made(NamedTuple):
    """A new token, and the only copy of what its bearer shows."""

    token: Token
    secret: str


def make(
    ledger: Ledger,
    *,
    personas: Iterable[str] | None,
    rights: Iterable[Right],
    expires: datetime | None,
    now: datetime,
    name: str | None = None,
) -> Made:
    """Make a token and keep it; ``personas`` None: all. Raises: InvalidQuery, Unavailable."""
    covered = None if personas is None else frozenset(personas)
    called = _checked_name(name if name is not None else listed(covered)[:MOST_NAME] if covered else "all personas")
    while True:
        token = Token(secrets.token_hex(ID_BYTES), called, covered, frozenset(rights), now, expires)
        secret = f"{PREFIX}_{token.id}_{secrets.token_urlsafe(SECRET_BYTES)}"
        if ledger.issue(token, _digest(secret)):  # else there is one of this id
            return Made(token, secret)


def expiry(text: str, now: datetime) -> datetime | None:
    """When what is made now expires: after ``90d``, ``12h`` or ``30m``; ``never``: None. Raises: InvalidQuery."""
    if text == NEVER:
        return None
    given = re.fullmatch(r"([1-9][0-9]{0,9})([mhd])", text)
    if given is None:
        raise InvalidQuery(f"expires: {text[:40]!r} is no time such as 90d, 12h, 30m or {NEVER}")
    try:
        return now + int(given[1]) * UNITS[given[2]]
    except OverflowError:
        raise InvalidQuery(f"expires: {text} is beyond the year 9999: say {NEVER}") from None


def is_valid(token: Token, now: datetime) -> bool:
    """Whether its bearer may come in."""
    return token.revoked is None and (token.expires is None or now < token.expires)


def principal(token: Token) -> Principal:
    """Who its bearer is."""
    return Principal(f"token {token.name} ({token.id})", token.rights, token.personas)


class Gate:
    """Lets in whoever shows a valid token; one for each process, whose requests it counts. Thread-safe.

    Every request is looked up anew: a revocation counts from the moment it returns. ``requests_per_minute`` is of one
    token; 0: any number.
    """

    def __init__(self, ledger: Ledger, *, requests_per_minute: int) -> None:
        self._ledger = ledger
        self._rate = _Rate(requests_per_minute) if requests_per_minute else None

    def admit(self, secret: str, now: datetime) -> Principal:
        """Who shows this. Raises: Forbidden, the same for whatever is not valid; Overloaded; Unavailable."""
        token = self._ledger.bearer(_digest(secret)) if SHAPE.fullmatch(secret) else None
        if token is None or not is_valid(token, now):
            if token is not None:
                logger.info("somebody showed the token %s, which is not valid any more", token.id)
            raise Forbidden(REFUSED)
        bearer = principal(token)
        if self._rate is not None and not self._rate.admits(token.id):
            raise Overloaded(f"{bearer.name} asks more than {self._rate.per_minute} times a minute: slow down")
        try:
            self._ledger.used(token.id, now)
        except Unavailable as error:  # its disk is full: who may come in is known all the same
            logger.warning("%s", error)
        return bearer


class _Rate:
    """How often each token asks, in a moving window of a minute."""

    def __init__(self, per_minute: int) -> None:
        from limits import RateLimitItemPerMinute  # noqa: PLC0415 - of the extra [mcp]
        from limits.storage import MemoryStorage  # noqa: PLC0415
        from limits.strategies import MovingWindowRateLimiter  # noqa: PLC0415

        self.per_minute: Final = per_minute
        self._most = RateLimitItemPerMinute(per_minute)
        self._storage = MemoryStorage()
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._lock = threading.Lock()
        self._ahead = _wall_ahead()

    def admits(self, token_id: str) -> bool:
        with self._lock:
            ahead = _wall_ahead()
            if ahead < self._ahead - 1:  # the clock was set back: the library would wait until it is as late again
                self._storage.reset()
            self._ahead = ahead
            return self._limiter.hit(self._most, token_id)


def _wall_ahead() -> float:
    """How far the clock is ahead of one that nobody sets, in seconds."""
    return time.time() - time.monotonic()


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _checked_name(name: str) -> str:
    if not name.strip() or len(name) > MOST_NAME or not name.isprintable():
        raise InvalidQuery(f"name: {name[:MOST_NAME]!r} is no name of 1 to {MOST_NAME} printable characters")
    return name
