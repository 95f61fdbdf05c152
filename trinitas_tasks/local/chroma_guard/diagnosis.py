"""What the answers and the ends of a Chroma server mean, and what to do then. Nothing here touches anything."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import takewhile
from typing import Final

BROKEN: Final = frozenset({1, 8, 11, 26})
"""SQLite's codes for no such table, read-only (its file was deleted), malformed and not a database."""

SUSPECT: Final = frozenset({10, 14})
"""An input error, and cannot be opened: by a bad disk, or because the server has too many files open."""

CANNOT_OPEN: Final = 65
"""The exit code of a server that found its folder unusable: EX_DATAERR of sysexits.h."""

ASKED_TO_END: Final = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""Signals of people, and of the kernel when memory is short: they say nothing of the files."""

CRASHES: Final = 3
CRASH_SECONDS: Final = 120.0


class Verdict(Enum):
    """What one answer says of the database."""

    SOUND = auto()
    SUSPECT = auto()
    """Broken, or nothing that a new start does not mend."""
    BROKEN = auto()
    GONE = auto()
    """Its file is not the one that the server has open."""
    UNKNOWN = auto()
    """Nothing: the server starts, is busy or stopped, or the disk is full."""


class Step(Enum):
    """What to do with a server, or with one that has ended."""

    GO_ON = auto()
    RESTART = auto()
    SET_ASIDE = auto()
    LEAVE = auto()
    """It did not end by its files: whoever started the guard is to know."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a server ended, as `Popen.returncode` has it: a signal is negative. ``at`` in seconds of a clock."""

    code: int
    at: float

    @property
    def is_crash(self) -> bool:
        return self.code < 0 and -self.code not in ASKED_TO_END


def judge(error: str) -> Verdict:
    """What the text of an internal error says. SQLite's codes: https://sqlite.org/rescode.html."""
    coded = re.search(r"\bcode: (\d+)", error)
    if coded is None:
        return Verdict.SUSPECT
    code = int(coded[1]) & 0xFF  # above it is detail
    if code in BROKEN:
        return Verdict.BROKEN
    return Verdict.SUSPECT if code in SUSPECT else Verdict.UNKNOWN


def after_answers(answers: Sequence[Verdict]) -> Step:
    """What to do after these answers, the newest of them last; also those of servers before the last restart."""
    if answers[-1] is Verdict.UNKNOWN:
        return Step.GO_ON
    known = (each for each in reversed(answers) if each is not Verdict.UNKNOWN)
    bad = list(takewhile(lambda each: each is not Verdict.SOUND, known))
    if bad[:1] == [Verdict.GONE] or bad[:2] == [Verdict.BROKEN] * 2 or len(bad) >= 4:
        return Step.SET_ASIDE
    return Step.RESTART if len(bad) == 2 else Step.GO_ON


def after_exits(exits: Sequence[Exit]) -> Step:
    """What to do after these ends of servers over one folder, the newest of them last."""
    last = exits[-1]
    if last.code == CANNOT_OPEN:
        return Step.SET_ASIDE if [each.code for each in exits[-2:]] == [CANNOT_OPEN] * 2 else Step.RESTART
    if last.is_crash and sum(each.is_crash and last.at - each.at <= CRASH_SECONDS for each in exits) >= CRASHES:
        return Step.SET_ASIDE
    return Step.RESTART if last.code < 0 else Step.LEAVE
