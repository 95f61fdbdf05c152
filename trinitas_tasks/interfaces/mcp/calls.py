"""The threads in which what the tools do is done: the door and the client behind it are synchronous."""

from __future__ import annotations

import asyncio
import contextvars
import threading
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

    def __init__(self, most: int, *, waiting: int = WAITING, wait_seconds: float = WAIT_SECONDS) -> None:
        """For each thread ``waiting`` calls may wait, each for ``wait_seconds``."""
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="call")
        self._room = most * (1 + waiting)
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self.pending = 0
        """Those that run or wait."""

    async def run(self, work: Callable[[], T]) -> T:
        """What it returns. Raises: Overloaded, and what it raises."""
        given_up = threading.Event()
        late = False

        def counted() -> T:
            try:
                with giving_up(given_up):
                    return work()
            finally:
                self._left()

        def too_late() -> None:
            nonlocal late
            late = future.cancel()  # unless it has begun

        self._entered()
        future = self._threads.submit(contextvars.copy_context().run, counted)
        timer = asyncio.get_running_loop().call_later(self._wait_seconds, too_late)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            given_up.set()
            if late or future.cancel():  # before it began
                self._left()
            if late:
                raise Overloaded("other calls kept this one waiting too long, and it was not begun") from None
            raise
        finally:
            timer.cancel()

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
