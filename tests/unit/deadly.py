"""A process that is killed: at one of the calls that it makes, and from then on it does nothing any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class Killed(BaseException):
    """The process is gone: nobody catches it."""


@dataclass(slots=True)
class Death:
    """Comes before the call of this number, counted over all that is `Deadly` by it; None: never."""

    at: int | None = None
    calls: int = 0

    def live(self, calls: int | None) -> None:
        """From now on it comes before the call of this number; None: never."""
        self.calls, self.at = 0, calls

    def call(self, *_: object) -> None:
        """One more call. Raises: Killed."""
        self.calls += 1
        if self.at is not None and self.calls >= self.at:
            raise Killed


class Deadly:
    """Something whose every call may be the last one."""

    def __init__(self, whole: Any, death: Death) -> None:
        self._whole, self._death = whole, death

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._whole, name)
        if not callable(attribute):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            self._death.call()
            return attribute(*args, **kwargs)

        return call
