"""Periods and the calendar they are counted in.

The grammars of `dates_english` and `dates_japanese` count in naive local time (`Span`); `dates` turns the result
into a `Period` in UTC. Seasons are meteorological and those of the northern hemisphere; weeks begin on Monday.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final, NamedTuple


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time: aware, in UTC, half-open."""

    start: datetime
    end: datetime


class Span(NamedTuple):
    """A stretch of local time: naive, half-open."""

    start: datetime
    end: datetime


class Certainty(IntEnum):
    """How sure it is which time a mention means; the lower counts first."""

    WRITTEN = 0
    """With its year: "8 May 2023"."""
    RELATIVE = 1
    """Counted from now: "last week"."""
    IMPLIED = 2
    """Its year is the latest that fits: "on 8 May"."""
    WEEKDAY = 3
    """The latest such day: "on Monday"."""


class Mention(NamedTuple):
    """A time that a text names."""

    span: Span
    certainty: Certainty


class Rule(NamedTuple):
    """A form in which times are written. ``reads`` may answer None or raise ValueError or OverflowError where
    what has this form is no time after all."""

    pattern: re.Pattern[str]
    reads: Callable[[re.Match[str], datetime], Mention | None]


DAY: Final = timedelta(days=1)
HALVES: Final = {"first": (0.0, 0.5), "second": (0.5, 1.0)}
THIRDS: Final = {"early": (0.0, 1 / 3), "mid": (1 / 3, 2 / 3), "late": (2 / 3, 1.0)}
PARTS: Final = HALVES | THIRDS
"""Which share of a period each part is, as fractions of its days."""
SEASONS: Final = {"spring": 3, "summer": 6, "autumn": 9, "winter": 12}
"""The month in which each begins; a winter is named after the year in which it begins."""


def midnight(at: datetime) -> datetime:
    """The beginning of this day."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def day(at: datetime, offset: int = 0) -> Span:
    """The day of this time, or one so many days later."""
    start = midnight(at) + offset * DAY
    return Span(start, start + DAY)


def date(year: int, month: int, day_of_month: int) -> Span:
    """A day of the calendar. Raises: ValueError."""
    return day(datetime(year, month, day_of_month))


def week(at: datetime, offset: int = 0) -> Span:
    """The week of this time, or one so many weeks later."""
    start = midnight(at) + (7 * offset - at.weekday()) * DAY
    return Span(start, start + 7 * DAY)


def weekend(at: datetime, offset: int = 0) -> Span:
    """Saturday and Sunday of such a week."""
    _, end = week(at, offset)
    return Span(end - 2 * DAY, end)


def months(year: int, month: int, count: int = 1) -> Span:
    """So many months from this one on; a month beyond 12 or below 1 is one of another year."""
    return Span(_first(year, month), _first(year, month + count))


def _first(year: int, month: int) -> datetime:
    return datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)


def years(year: int, count: int = 1) -> Span:
    """So many years from this one on."""
    return Span(datetime(year, 1, 1), datetime(year + count, 1, 1))


def season(year: int, name: str) -> Span:
    """A season that begins in this year."""
    return months(year, SEASONS[name], 3)


def latest_season(now: datetime, name: str, *, over: bool) -> Span:
    """The latest one that has begun, or is over."""
    found = (season(now.year - back, name) for back in range(3))
    return next(each for each in found if (each.end if over else each.start) <= now)


def latest_month(now: datetime, month: int) -> Span:
    """The latest such month that has begun."""
    return months(now.year if month <= now.month else now.year - 1, month)


def latest_date(now: datetime, month: int, day_of_month: int) -> Span | None:
    """The latest such day that has begun; None where no year has it."""
    for back in range(9):  # between two leap years may lie eight
        try:
            found = date(now.year - back, month, day_of_month)
        except ValueError:
            continue
        if found.start <= now:
            return found
    return None


def weekday(now: datetime, number: int) -> Span:
    """The latest such day before today; 0 is Monday."""
    return day(now, -((now.weekday() - number - 1) % 7 + 1))


def next_weekday(now: datetime, number: int) -> Span:
    """The first such day after today."""
    return day(now, (number - now.weekday() - 1) % 7 + 1)


def part(span: Span, name: str) -> Span:
    """A part of it, in whole days; all of it where the name is none of `PARTS`."""
    if name not in PARTS:
        return span
    begins, ends = PARTS[name]
    days = (span.end - span.start).days
    return Span(span.start + round(days * begins) * DAY, span.start + round(days * ends) * DAY)


def unit(now: datetime, name: str, offset: int) -> Span:
    """The day, week, weekend, month or year of now, or one so many later."""
    match name:
        case "day":
            return day(now, offset)
        case "week":
            return week(now, offset)
        case "weekend":
            return weekend(now, offset)
        case "month":
            return months(now.year, now.month + offset)
        case _:
            return years(now.year + offset)


def ago(now: datetime, name: str, least: int, most: int) -> Span:
    """So many units ago: the day, month or year that this was; of weeks the seven days about it; of hours and
    minutes one more and one less."""
    if name in ("hour", "minute"):
        one = timedelta(hours=1) if name == "hour" else timedelta(minutes=1)
        return Span(now - (most + 1) * one, now - (least - 1) * one)
    if name == "week":
        return Span(day(now, -7 * most - 3).start, day(now, -7 * least + 3).end)
    return Span(unit(now, name, -most).start, unit(now, name, -least).end)


def moved(at: datetime, name: str, count: int) -> datetime:
    """So many units later or earlier; of months and years the same day, or the last one there is."""
    match name:
        case "hour" | "minute":
            return at + count * (timedelta(hours=1) if name == "hour" else timedelta(minutes=1))
        case "month" | "year":
            span = months(at.year, at.month + count * (12 if name == "year" else 1))
            return min(span.start + (at.day - 1) * DAY, span.end - DAY) + (at - midnight(at))
        case _:
            return at + count * (7 if name in ("week", "weekend") else 1) * DAY


def rolling(now: datetime, name: str, count: int) -> Span:
    """The last so many units up to now, or from now on where ``count`` is negative; in whole days from days up."""
    if name in ("hour", "minute"):
        ends = sorted((moved(now, name, -count), now))
        return Span(ends[0], ends[1])
    if count < 0:
        return Span(midnight(now), day(moved(now, name, -count)).end)
    return Span(midnight(moved(now, name, -count)), day(now).end)
