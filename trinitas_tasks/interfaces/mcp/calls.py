"""The threads in which what the tools do is done: the door and the client behind it are synchronous."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from trinitas_tasks.errors import Overloaded
from trinitas_tasks.tasks.patience import giving_up

T = TypeVar("T")

MOST: Final = 16
"""Calls at a time; there are CONNECTION_POOL_SIZE connections to Redis, 20."""
MOST_SLOW: Final = 2
"""The same of those that may take a minute: they do not keep the others waiting."""
WAITING: Final = 8
"""For each thread so many calls may wait."""
WAIT_SECONDS: Final = 10.0
"""How long a call may wait for a thread."""


class Calls:
    """Runs calls, so many at a time. One that is cancelled gives its thread back as soon as it can be broken off."""

    def __init__(self, most: int, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="call")
        self._room = most * (1 + WAITING)
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self.pending = 0
        """Those that run or wait."""

    async def run(self, work: Callable[[], T]) -> T:
        """What it returns. Raises: Overloaded, and what it raises."""
        given_up = threading.Event()
        begin_by = time.monotonic() + self._wait_seconds

        def timely() -> T:
            try:
                if time.monotonic() > begin_by:
                    raise Overloaded("other calls kept this one waiting too long, and it was not begun: try again")
                with giving_up(given_up):
                    return work()
            finally:
                self._left()

        self._entered()
        future = self._threads.submit(contextvars.copy_context().run, timely)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            given_up.set()
            if future.cancel():  # before it began
                self._left()
            raise

    def _entered(self) -> None:
        with self._lock:
            if self.pending >= self._room:
                raise Overloaded(f"{self.pending} calls run or wait already: try again in a moment")
            self.pending += 1

    def _left(self) -> None:
        with self._lock:
            self.pending -= 1

    def close(self) -> None:
        """Begin no more. Those that run are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
