"""The ledger of a machine's doors: who may come in by a token, and what was done by whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from trinitas_tasks.policy.access import Right


class Token(NamedTuple):
    """A token, but for its secret, of which only a digest is kept. ``personas`` None: all of them.

    ``id`` is public: it names the token in lists and in the audit. ``last_used`` is kept to the minute.
    """

    id: str
    name: str
    personas: frozenset[str] | None
    rights: frozenset[Right]
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    last_used: datetime | None = None


class Deed(NamedTuple):
    """A row of the audit: who did what to which memory of whom, through which door (cli, mcp, http).

    ``outcome`` is ``done``, ``refused`` (not allowed), ``failed``, or None as long as it goes on: also of what was
    broken off, which may have happened or not. No row holds what a memory says.
    """

    number: int
    at: datetime
    who: str
    door: str
    action: str
    persona: str | None
    subject: str | None
    outcome: str | None
    detail: str | None = None


class Ledger(Protocol):
    """Everything is durable when a call returns. Shared by all processes of the machine. Errors: Unavailable."""

    def issue(self, token: Token, digest: bytes) -> bool:
        """Keep a new token and the digest of its secret; False: there is one of this id, and nothing was kept."""

    def bearer(self, digest: bytes) -> Token | None:
        """The token whose secret has this digest, whatever became of it; None: there is none."""

    def used(self, token_id: str, now: datetime) -> None:
        """It was used; written down once a minute at most."""

    def tokens(self) -> list[Token]:
        """All of them, the oldest first."""

    def revoke(self, token_id: str, now: datetime) -> bool:
        """It is not valid any more, at once and for good; False: there is none of this id."""

    def begin(self, who: str, door: str, action: str, persona: str | None, subject: str | None, now: datetime) -> int:
        """Write down what is about to be done; its number, higher than all before it."""

    def end(self, number: int, outcome: str | None, *, subject: str | None = None, detail: str | None = None) -> None:
        """Write down what came of it (None: nobody knows), and to which memory where that was not known before."""

    def deeds(
        self,
        limit: int,
        *,
        before: int | None = None,
        who: str | None = None,
        persona: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
    ) -> Sequence[Deed]:
        """The newest rows with all of these, newest first; ``before``: older than that number."""

    def close(self) -> None:
        """Give the connection back."""
