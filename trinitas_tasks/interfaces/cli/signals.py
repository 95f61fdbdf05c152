"""Signals that end a command, seen where it can be ended and not in the middle of something."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHELL_OFFSET = 128


class Interrupted(Exception):
    """A signal asked the command to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = SHELL_OFFSET + number


class StopSignals:
    """Within this context the signals are counted; ``check`` raises Interrupted once for each."""

    def __init__(self) -> None:
        self._received: list[int] = []
        self._seen = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in STOP:
            # what is ignored stays ignored: that is how nohup and `&` in scripts ask for it
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        if self._seen < len(self._received):
            self._seen += 1
            raise Interrupted(self._received[self._seen - 1])

    def _receive(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._received.append(number)
