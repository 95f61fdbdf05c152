"""Bringing what was spooled to the hot tier."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.tiers.hot.interface import HotTier, Write
from trinitas_tasks.tiers.spool.interface import Entry, Spool

logger = logging.getLogger(__name__)

TOGETHER: Final = 200
"""Entries that are replayed in one round trip."""
ENDING_SECONDS: Final = 1.0
"""So long a replay that is going on is waited for at the end."""


def replay(*, hot: HotTier, spool: Spool) -> int:
    """Replay everything that waits, in order; how many entries.

    Every entry has its version, so repeating it changes nothing: a crash, or two replays at once, do no harm.
    Raises: Unavailable, Overloaded; what was not replayed waits on.
    """
    replayed = 0
    while entries := spool.take(TOGETHER):
        for forgotten, group in groupby(entries, key=lambda entry: entry.item is None):
            _send(list(group), hot, forgotten=forgotten)
        spool.done(entries)
        replayed += len(entries)
    if replayed:
        logger.warning("%d writes that waited for Redis are with it now", replayed)
    return replayed


def _send(entries: Sequence[Entry], hot: HotTier, *, forgotten: bool) -> None:
    if forgotten:
        hot.forget([entry.key for entry in entries], versions=[entry.version for entry in entries])
    else:
        hot.write([Write(entry.item, version=entry.version) for entry in entries if entry.item is not None])


class Replayer:
    """A thread that tries every ``retry_seconds`` until nothing is left."""

    def __init__(self, again: Callable[[], None], is_done: Callable[[], bool], retry_seconds: float) -> None:
        self._again = again
        self._is_done = is_done
        self._retry_seconds = retry_seconds
        self._starting = threading.Lock()
        self._closed = threading.Event()
        self.thread: threading.Thread | None = None

    def soon(self) -> None:
        """Begin, unless it is at it. It may be what another process spooled and did not live to replay."""
        with self._starting:
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self._run, name="replay of the spool", daemon=True)
                self.thread.start()

    def _run(self) -> None:
        while not self._closed.wait(self._retry_seconds):
            try:
                self._again()
                with self._starting:
                    if self._is_done():
                        self.thread = None  # what is spooled from now on starts another
                        return
            except TrinitasError as error:
                logger.info("the spool waits on: %s", error)
            except Exception:
                if not self._closed.is_set():  # else its connections were closed under it
                    logger.exception("the spool waits on")

    def close(self) -> None:
        """End it; what it is at is waited for a moment, so that it opens nothing again that is closed after it."""
        self._closed.set()
        thread = self.thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(ENDING_SECONDS)
