"""Which personas there are, as far as a client can tell."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from trinitas_tasks.errors import TrinitasError, Unavailable
from trinitas_tasks.model import check_persona
from trinitas_tasks.policy.personas import FIVE, Persona, Roster, unknown
from trinitas_tasks.tiers.hot.interface import HotTier
from trinitas_tasks.tiers.spool.interface import Spool

logger = logging.getLogger(__name__)

KEPT_SECONDS: Final = 5.0
"""How long a client believes what it has read."""
ASKED_SECONDS: Final = 1.0
"""How long it believes what the workers answered of names that it has not read of."""
MET: Final = 1000
"""So many names a client remembers of those that it has found or remembered for, the latest ones."""

Ask = Callable[[], str]


class Acquaintance:
    """What a client knows of personas: the workers' copy in the hot tier, what it has done itself and, for a name that
    is in neither, the workers' answer. Thread-safe.

    ``ask`` gets the roster, as JSON, from the workers. ``clock`` counts seconds and may be simulated.
    """

    def __init__(self, hot: HotTier, spool: Spool, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._hot = hot
        self._spool = spool
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._met: dict[str, None] = {}
        self._read: tuple[Roster | None, float] = None, 0.0
        self._told: tuple[Roster | TrinitasError | None, float] = None, 0.0

    def all(self) -> dict[str, Persona]:
        """Every persona, by name. Raises: Unavailable."""
        roster, until = self._read
        if roster is None or self._clock() > until:
            roster = self._reread() or self._asked()
        met = {name: Persona(name=name) for name in list(self._met)}
        return dict(sorted((met | roster.known()).items()))

    def check(self, name: str) -> None:
        """Return if there is a persona of this name, or nobody can tell: no memory is refused for that.

        Raises: InvalidQuery for what is no name, UnknownPersona.
        """
        check_persona(name)
        if name in FIVE or name in self._met:
            return
        try:
            if not (self._has(self._kept(), name) or self._has(self._reread(), name) or self._waits(name)):
                answer = self._asked()
                if not answer.has(name):
                    raise unknown(name, {**answer.known(), **self._met})
        except Unavailable as error:
            logger.info("nobody can tell whether there is a persona %s: %s", name, error)
        else:
            self.met([name])

    def met(self, names: Iterable[str]) -> None:
        """There are personas of these names: this client has just remembered something for them, say."""
        with self._lock:
            for name in names:
                self._met.pop(name, None)
                self._met[name] = None
            while len(self._met) > MET:
                del self._met[next(iter(self._met))]

    def changed(self) -> None:
        """What was read is not so any more."""
        self._read = self._told = None, 0.0

    @staticmethod
    def _has(roster: Roster | None, name: str) -> bool:
        return roster is not None and roster.has(name)

    def _kept(self) -> Roster | None:
        roster, until = self._read
        return roster if self._clock() <= until else None

    def _reread(self) -> Roster | None:
        roster = self._hot.roster()
        self._read = roster, self._clock() + KEPT_SECONDS
        return roster

    def _waits(self, name: str) -> bool:
        """Whether it has memories that the archive was not told of yet."""
        return bool(self._hot.pending(name, 1) or self._spool.pending(name, 1))

    def _asked(self) -> Roster:
        """The workers' answer, for all who wait for it. One that did not come is not waited for again and again."""
        with self._asking:
            return self._answered()

    def _answered(self) -> Roster:
        answer, until = self._told
        if answer is None or self._clock() > until:
            seconds = ASKED_SECONDS
            try:
                answer = Roster.from_json(self._ask())
            except TrinitasError as error:
                answer, seconds = error, KEPT_SECONDS
            except ValueError as error:
                answer, seconds = Unavailable(f"the workers are of another version: {error}"), KEPT_SECONDS
            self._told = answer, self._clock() + seconds
        if isinstance(answer, TrinitasError):
            raise Unavailable(f"the workers cannot tell which personas there are: {answer}") from answer
        return answer
