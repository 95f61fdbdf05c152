"""How logs and monitors show what tasks were asked and what they answered: in short, and without what people wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

NAME: Final = re.compile(r"[^\s{}\[\]\"']{1,64}")
"""Of texts only those are shown that are names: ids, personas, tasks, times."""


class Shown:
    """A result that is shown in short; who waits for it gets all of it, as JSON."""

    __slots__ = ("_result",)

    def __init__(self, result: Any) -> None:
        self._result = result

    def __json__(self) -> Any:
        """What kombu encodes."""
        return self._result

    def __repr__(self) -> str:
        return brief(self._result)


def briefly(arguments: Sequence[Any]) -> str:
    """What a task was asked, in a line; of a mapping without what is empty.

    >>> briefly(["prune", True, None])
    'prune, True, None'
    >>> briefly([{"persona": "athena", "text": "Where is my key?", "since": None}])
    'persona: athena, text: (16 characters)'
    """
    return ", ".join(brief(_filled(each)) for each in arguments)


def _filled(value: Any) -> Any:
    return {name: each for name, each in value.items() if each} if isinstance(value, dict) else value


def brief(value: Any) -> str:
    """A value in a line: of a mapping what it says by name, of longer values how many they hold.

    >>> brief({"examined": 5, "seconds": 0.125, "decisions": [{"id": "m1"}], "errors": []})
    'examined: 5, seconds: 0.125, decisions: (1), errors: (0)'
    """
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_counted(each)}" for name, each in value.items())
    return _counted(value)


def _counted(value: Any) -> str:
    if isinstance(value, dict | list | tuple):
        return f"({len(value)})"
    if isinstance(value, str):
        return value if NAME.fullmatch(value) else f"({len(value)} characters)"
    return str(value)
