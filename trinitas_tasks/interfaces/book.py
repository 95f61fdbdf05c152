"""The book in which a door writes down what is done, and by whom: nothing is done without a row."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from trinitas_tasks.errors import Forbidden, TrinitasError, Unavailable
from trinitas_tasks.model import utc_now
from trinitas_tasks.policy.access import Principal, Right
from trinitas_tasks.tiers.ledger.interface import Ledger

logger = logging.getLogger(__name__)


@dataclass
class Done:
    """What came of a deed, for the audit: to which memory, and a word more."""

    subject: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Book:
    """One principal's deeds at one door. ``name`` is that of the door: cli, mcp, http.

    ``persona`` None is what concerns everybody; ``subject`` names what it is done to, never what that says.
    """

    principal: Principal
    ledger: Ledger
    name: str
    clock: Callable[[], datetime] = field(default=utc_now)

    def check(self, right: Right, action: str, persona: str | None, subject: str | None = None) -> None:
        """Return if they may; a refusal is written down. Raises: Forbidden."""
        try:
            self.principal.check(right, persona)
        except Forbidden as refused:
            try:
                number = self._begin(action, persona, subject)
            except Unavailable as error:  # they may not do it all the same
                logger.warning("%s, which could not be written down: %s", refused, error)
            else:
                self._end(number, "refused", Done(detail=str(refused)))
            raise

    @contextmanager
    def written(self, action: str, persona: str | None, subject: str | None = None) -> Iterator[Done]:
        """For what is done in the block: a row before it, and what came of it after. Raises: Unavailable."""
        number = self._begin(action, persona, subject)
        done = Done(subject)
        try:
            yield done
        except BaseException as error:
            done.detail = ": ".join(filter(None, (done.detail, type(error).__name__)))
            # what an interruption or a lost answer leaves is not known
            known = isinstance(error, TrinitasError) and not isinstance(error, Unavailable)
            self._end(number, "failed" if known else None, done)
            raise
        self._end(number, "done", done)

    @contextmanager
    def administering(self, action: str, *, persona: str | None = None, subject: str | None = None) -> Iterator[Done]:
        """For what is done in the block: with the right to administer, and a row. Raises: Forbidden, Unavailable."""
        self.check(Right.ADMIN, action, persona, subject)
        with self.written(action, persona, subject) as done:
            yield done

    def _begin(self, action: str, persona: str | None, subject: str | None) -> int:
        return self.ledger.begin(self.principal.name, self.name, action, persona, subject, self.clock())

    def _end(self, number: int, outcome: str | None, done: Done) -> None:
        """What happened has happened, whether it can be written down or not: then its row stays as it was."""
        try:
            self.ledger.end(number, outcome, subject=done.subject, detail=done.detail)
        except Unavailable as error:
            logger.warning("deed %d is %s, which could not be written down: %s", number, outcome or "broken off", error)
