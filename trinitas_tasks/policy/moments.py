"""One moment, as data sets and chats write it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Final

from trinitas_tasks.policy import dates_english, dates_japanese
from trinitas_tasks.policy.dates_numeric import YEAR_FIRST, YEAR_LAST, day_and_month

LONGEST: Final = 100
"""Whoever writes more has written more than a moment."""


def _year_first(match: re.Match[str]) -> datetime:
    return datetime(int(match["year"]), int(match["month"]), int(match["day"]))


def _year_last(match: re.Match[str]) -> datetime:
    day, month = day_and_month(int(match["one"]), int(match["two"]), match["mark"])
    return datetime(int(match["year"]), month, day)


def _english(match: re.Match[str]) -> datetime:
    return datetime(int(match["year"]), dates_english.number_of_month(match["month"]), int(match["day"]))


def _japanese(match: re.Match[str]) -> datetime:
    return datetime(*(dates_japanese.number(match[name]) for name in ("year", "month", "day")))  # type: ignore[arg-type]  # exactly three


_YEAR: Final = r"(?P<year>[12][0-9]{3})(?![0-9])"
_DATES: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], datetime]], ...]] = (
    (re.compile(rf"(?<![0-9]){YEAR_FIRST}"), _year_first),
    (re.compile(rf"(?<![0-9]){YEAR_LAST}"), _year_last),
    (re.compile(rf"\b{dates_english.DAY} (?:of )?{dates_english.MONTH},? {_YEAR}", re.I | re.A), _english),
    (re.compile(rf"\b{dates_english.DAY}-{dates_english.MONTH}-{_YEAR}", re.I | re.A), _english),
    (re.compile(rf"\b{dates_english.MONTH} {dates_english.DAY},? {_YEAR}", re.I | re.A), _english),
    (re.compile(rf"{_YEAR}年 ?(?P<month>[0-9]{{1,2}})月 ?(?P<day>[0-9]{{1,2}})日"), _japanese),
)
_CLOCK: Final = re.compile(
    r"(?<![0-9:])(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?(?![0-9:])"
    r" ?(?P<half>[ap]\.?m\b\.?)? ?(?P<zone>Z\b|UTC\b|GMT\b|[+-][0-9]{2}:?[0-9]{2}(?![0-9]))?",
    re.I | re.A,
)
_HOUR: Final = re.compile(r"(?<![0-9:])(?P<hour>[0-9]{1,2}) ?(?P<half>[ap]\.?m\b\.?)", re.I | re.A)
_JAPANESE_CLOCK: Final = re.compile(
    r"(?P<half>午前|午後)? ?(?<![0-9])(?P<hour>[0-9]{1,2})時"
    r"(?: ?(?P<minute>[0-9]{1,2})分)?(?: ?(?P<second>[0-9]{1,2})秒)?"
)
_JAPANESE_HALF: Final = re.compile(r"(?P<half>午前|午後) ?(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?![0-9:])")
_BESIDE: Final = re.compile(
    r"(?:[ ,()\[\]]|\b(?:on|at|the)\b|(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\b\.?"
    r"|[月火水木金土日](?:曜日?)?|の|に)*",
    re.I | re.A,
)
"""What may stand beside a date and a time of day."""


def written(text: str) -> datetime | None:
    """The moment that this text is, aware if it names its zone; a date alone is its beginning. The text is NFKC with
    single blanks, not much longer than `LONGEST`."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return _pieced_together(text)
    except ValueError:  # 30 February, 25 o'clock, 5/8/2023
        return None


def _pieced_together(text: str) -> datetime | None:
    found = next(((match, reads) for pattern, reads in _DATES if (match := pattern.search(text))), None)
    if found is None:
        return None
    match, reads = found
    date = reads(match)
    rest = f"{text[: match.start()]} {text[match.end() :]}"
    clock = next((at for p in (_JAPANESE_HALF, _CLOCK, _JAPANESE_CLOCK, _HOUR) if (at := p.search(rest))), None)
    if clock is not None:
        rest = f"{rest[: clock.start()]} {rest[clock.end() :]}"
    if not _BESIDE.fullmatch(rest):
        return None
    return datetime.combine(date, _time(clock)) if clock else date


def _time(clock: re.Match[str]) -> time:
    said = clock.groupdict()
    micros = int((said.get("fraction") or "0")[:6].ljust(6, "0"))
    hour = _hour(int(said["hour"]), said.get("half"))
    zone = _zone(said["zone"]) if said.get("zone") else None
    return time(hour, int(said.get("minute") or 0), int(said.get("second") or 0), micros, zone)


def _hour(said: int, half: str | None) -> int:
    """Of 24. 12 am is 0, and so is 午前12時; 午後0時 is 12."""
    if not half:
        return said
    if said > 12 or (said == 0 and half[0] in "aApP"):
        raise ValueError(f"{said} {half} is no hour")
    return said % 12 + (12 if half[0] in "pP" or half == "午後" else 0)


def _zone(said: str) -> timezone:
    if said[0] not in "+-":
        return UTC
    digits = said[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if said[0] == "-" else offset)
