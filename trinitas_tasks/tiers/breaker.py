"""A circuit breaker: after one failure calls fail at once, until a probe in the background finds the service again."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

from trinitas_tasks.errors import TrinitasError, Unavailable

logger = logging.getLogger(__name__)


def _nothing() -> None:
    pass


class Breaker:
    """Closed: calls pass. Open: ``check`` raises; every ``retry_seconds`` a thread of its own probes, success closes.

    No caller ever pays for the probe: that is why this is not pybreaker, whose trial is the next caller's call, and
    which runs the calls of all threads under one lock.

    ``probe`` returns or raises; whoever reaches the service sets it.
    """

    def __init__(self, name: str, *, retry_seconds: float) -> None:
        self.probe: Callable[[], object] = _nothing
        self._name: Final = name
        self._retry_seconds = retry_seconds
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._ended = threading.Event()
        self._pid = os.getpid()

    def check(self) -> None:
        """Return if calls may pass. Raises: Unavailable, with the failure that opened it."""
        reason = self._reason
        if reason is None:
            return
        if os.getpid() != self._pid:  # a forked child has no probing thread
            self._reason = None
            return
        raise Unavailable(f"{reason} (tried again every {self._retry_seconds:g} s)")

    def failed(self, error: TrinitasError) -> None:
        """A call found the service away: open."""
        with self._lock:
            first, self._reason = self._reason is None, str(error)
            if first:
                self._pid = os.getpid()
                threading.Thread(target=self._watch, name=f"breaker of {self._name}", daemon=True).start()
        if first:
            logger.warning("%s: calls fail at once until it answers again: %s", self._name, error)

    def succeeded(self) -> None:
        """Somebody reached the service: close."""
        with self._lock:
            was_open, self._reason = self._reason is not None, None
        if was_open:
            logger.warning("%s: reached again", self._name)

    @property
    def is_open(self) -> bool:
        """Whether calls fail at once."""
        return self._reason is not None

    def close(self) -> None:
        """End the probing."""
        self._ended.set()

    def _watch(self) -> None:
        while self.is_open and not self._ended.wait(self._retry_seconds):
            try:
                self.probe()
            except TrinitasError:
                continue
            except Exception:
                if not self._ended.is_set():  # else its connection was closed under it
                    logger.exception("%s could not be probed", self._name)
                continue
            self.succeeded()
