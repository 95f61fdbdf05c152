"""Until when a command may take effect, by the server's clock.

A call that timed out may lie in the buffers of a stopped server or of a broken network, and be executed long after its
caller has done something else instead. So every write says until when it counts. What the server's clock says is known
from its answers; between two of them this process' monotonic clock goes on.
"""

from __future__ import annotations

import time
from typing import Final

MARGIN_SECONDS: Final = 1.0
"""For the wait for a connection, and for clocks that do not run alike."""


class Deadline:
    """Of commands whose caller waits ``timeout_seconds``. Until the first answer was seen all come too late."""

    def __init__(self, timeout_seconds: float) -> None:
        self._patience_us = int((timeout_seconds + MARGIN_SECONDS) * 1_000_000)
        self._ahead_us = 0
        self.latest = 0
        """The latest that was ever given, in microseconds of the server's clock."""

    def until(self) -> int:
        """The deadline of a command that is sent now."""
        until = time.monotonic_ns() // 1000 + self._ahead_us + self._patience_us
        self.latest = max(self.latest, until)
        return until

    def saw(self, now_us: int) -> None:
        """The server's clock has just said so."""
        self._ahead_us = now_us - time.monotonic_ns() // 1000
