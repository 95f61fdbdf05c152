"""How a start or a stop is shown while it lasts: a moving line on a terminal, plain lines in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.status import Status

from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.signals import StopSignals


class Progress:
    """Shown on standard error. Raises Interrupted from ``waiting`` when a signal came."""

    def __init__(self, doing: str, signals: StopSignals, *, quiet: bool = False) -> None:
        self._doing = doing
        self._signals = signals
        self._quiet = quiet
        console = output.console(stderr=True)
        self._line = Status(doing, console=console) if console.is_terminal and not quiet else None

    def __enter__(self) -> Self:
        if self._line is not None:
            self._line.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._line is not None:
            self._line.stop()

    def ready(self, name: str) -> None:
        if self._quiet:
            return
        if self._line is not None:
            self._line.console.print(f"  {name} is ready")
        else:
            output.note(f"{name} is ready")

    def waiting(self, names: Sequence[str]) -> None:
        self._signals.check()
        if self._line is not None:
            self._line.update(f"{self._doing}: {', '.join(names)}")
