"""What a check comes to."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How bad it is: a problem breaks a promise, a warning may under the condition that it tells."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Verdict(NamedTuple):
    """What was found; of what is not fine there is advice."""

    level: Level
    found: str
    advice: str = ""


def fine(found: str) -> Verdict:
    """Nothing is to be done."""
    return Verdict(Level.OK, found)


def numbers(version: str) -> tuple[int, ...]:
    """A version to compare, whatever its letters."""
    return tuple(int(each) for each in re.findall(r"\d+", version))
