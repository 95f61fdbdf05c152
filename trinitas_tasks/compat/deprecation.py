"""Says once per process and name what takes the place of a name of v3.5, where the caller's code stands."""

from __future__ import annotations

import asyncio
import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import Final

_PACKAGE: Final = __name__.rpartition(".")[0]
_BETWEEN: Final = (str(Path(asyncio.__file__).parent), "<string>")
"""What may stand between a function and the code that meant it: an event loop, the constructor of a dataclass."""
_said: set[str] = set()


def deprecated(old: str, new: str) -> None:
    """Warn, by a call from the function that ``old`` names, that ``new`` is its successor.

    A coroutine in a task of its own has no caller any more: then it points to where the event loop was started.
    What this package calls by itself is not warned about.
    """
    if old in _said:
        return
    frame: FrameType | None = sys._getframe(2)
    level = 3
    while frame is not None and frame.f_code.co_filename.startswith(_BETWEEN):
        frame, level = frame.f_back, level + 1
    if frame is not None and f"{frame.f_globals.get('__name__')}.".startswith(f"{_PACKAGE}."):
        return
    _said.add(old)
    warnings.warn(
        f"{old} is of Trinitas v3.5: use {new} (docs/compat.md)",
        DeprecationWarning,
        stacklevel=3 if frame is None else level,
    )
