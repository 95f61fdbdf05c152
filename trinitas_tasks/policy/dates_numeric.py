"""Dates in digits, the same in every language."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from trinitas_tasks.policy import period
from trinitas_tasks.policy.period import Certainty, Mention, Rule

_APART: Final = r"(?<![A-Za-z0-9_./:-])"
YEAR_FIRST: Final = r"(?P<year>[12][0-9]{3})(?P<mark>[-/.])(?P<month>[0-9]{1,2})(?P=mark)(?P<day>[0-9]{1,2})(?![0-9])"
YEAR_LAST: Final = r"(?P<one>[0-9]{1,2})(?P<mark>[-/.])(?P<two>[0-9]{1,2})(?P=mark)(?P<year>[12][0-9]{3})(?![0-9])"


def day_and_month(one: int, two: int, mark: str) -> tuple[int, int]:
    """Day and month of a date whose year comes last: with dots the day is first; else whichever is above 12 is the
    day. Raises: ValueError where both may be."""
    if mark == "." or one > 12 or one == two:
        return one, two
    if two > 12:
        return two, one
    raise ValueError(f"{one} and {two} may be day and month or month and day")


def _read_year_first(match: re.Match[str], _now: datetime) -> Mention:
    return Mention(period.date(int(match["year"]), int(match["month"]), int(match["day"])), Certainty.WRITTEN)


def _read_year_last(match: re.Match[str], _now: datetime) -> Mention:
    day, month = day_and_month(int(match["one"]), int(match["two"]), match["mark"])
    return Mention(period.date(int(match["year"]), month, day), Certainty.WRITTEN)


def _read_month(match: re.Match[str], _now: datetime) -> Mention | None:
    month = int(match["month"])
    return Mention(period.months(int(match["year"]), month), Certainty.WRITTEN) if 1 <= month <= 12 else None


RULES: Final = (
    Rule(re.compile(rf"{_APART}{YEAR_FIRST}(?![-/.][0-9])"), _read_year_first),
    Rule(re.compile(rf"{_APART}{YEAR_LAST}(?![-/.][0-9])"), _read_year_last),
    Rule(
        re.compile(rf"{_APART}(?P<year>[12][0-9]{{3}})[-/](?P<month>[0-9]{{1,2}})(?![0-9A-Za-z]|[-/.][0-9])"),
        _read_month,
    ),
)
