"""The ledger in this process's memory: for tests and for trying things out. It forgets when the process ends."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

from trinitas_tasks.tiers.ledger.interface import Deed, Token
from trinitas_tasks.tiers.ledger.rows import kept, kept_if, minute


class MemoryLedger:
    """The contract of Ledger over dictionaries; deeds older than ``audit_days`` go, 0: never."""

    def __init__(self, *, audit_days: int = 400) -> None:
        self._audit_days = audit_days
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._tokens: dict[str, Token] = {}
        self._bearers: dict[bytes, str] = {}
        self._deeds: dict[int, Deed] = {}

    def issue(self, token: Token, digest: bytes) -> bool:
        """See Ledger."""
        with self._lock:
            if token.id in self._tokens or digest in self._bearers:
                return False
            self._tokens[token.id] = token
            self._bearers[digest] = token.id
            return True

    def bearer(self, digest: bytes) -> Token | None:
        """See Ledger."""
        with self._lock:
            found = self._bearers.get(digest)
            return None if found is None else self._tokens[found]

    def used(self, token_id: str, now: datetime) -> None:
        """See Ledger."""
        with self._lock:
            if token_id in self._tokens:
                self._tokens[token_id] = self._tokens[token_id]._replace(last_used=minute(now))

    def tokens(self) -> list[Token]:
        """See Ledger."""
        with self._lock:
            return list(self._tokens.values())

    def revoke(self, token_id: str, now: datetime) -> bool:
        """See Ledger."""
        with self._lock:
            token = self._tokens.get(token_id)
            if token is not None:
                self._tokens[token_id] = token._replace(revoked=token.revoked or now)
            return token is not None

    def begin(self, who: str, door: str, action: str, persona: str | None, subject: str | None, now: datetime) -> int:
        """See Ledger."""
        with self._lock:
            if self._audit_days:
                over = now - timedelta(days=self._audit_days)
                self._deeds = {number: deed for number, deed in self._deeds.items() if deed.at >= over}
            number = next(self._numbers)
            said = (kept(who), kept(door), kept(action), kept_if(persona), kept_if(subject))
            self._deeds[number] = Deed(number, now, *said, outcome=None)
            return number

    def end(self, number: int, outcome: str | None, *, subject: str | None = None, detail: str | None = None) -> None:
        """See Ledger."""
        with self._lock:
            if number in self._deeds:
                deed = self._deeds[number]
                subject = deed.subject if subject is None else kept(subject)
                self._deeds[number] = deed._replace(outcome=outcome, subject=subject, detail=kept_if(detail))

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
        """See Ledger."""
        who, persona, action = kept_if(who), kept_if(persona), kept_if(action)
        with self._lock:
            found = [
                deed
                for deed in reversed(self._deeds.values())
                if (before is None or deed.number < before)
                and (who is None or deed.who == who)
                and (persona is None or deed.persona == persona)
                and (action is None or deed.action == action)
                and (since is None or deed.at >= since)
            ]
        return found[:limit]

    def close(self) -> None:
        """See Ledger."""
