"""Times as people write them, in English and Japanese: in the middle of a question, or as the time of a message.

A grammar of our own: it takes some microseconds a word, reads both languages, and prefers seeing no time to seeing a
wrong one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from trinitas_tasks.policy import dates_english, dates_japanese, dates_numeric, moments, period
from trinitas_tasks.policy.period import Mention, Period, Span

READ: Final = 4000
"""How many characters of a text are looked through for times: more than a question has."""
EARLIEST: Final = datetime(1000, 1, 1)
"""Where a period begins that has only an end; nothing earlier is meant."""

RULES: Final = (*dates_numeric.RULES, *dates_english.RULES, *dates_japanese.RULES)
_INVISIBLE: Final = dict.fromkeys([0xAD, *range(0x200B, 0x2010), *range(0x2060, 0x2065), 0xFEFF])
_ONLY_A_YEAR: Final = re.compile(r"(?:19[0-9]{2}|20[0-9]{2}|2100)(?=[?!.]?$)", re.A)
_JAPANESE: Final = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


class _Found(NamedTuple):
    mention: Mention
    start: int
    end: int


def find(text: str, now: datetime) -> Period | None:
    """When a text speaks of: of several times the one that is most certain, then shortest, then first.

    ``now`` is aware; "yesterday" is counted in its time zone. "since" and "after" reach to the end of today,
    "before" and "until" begin at `EARLIEST`. None where no time is named.
    """
    plain = _plain(text[:READ])
    if whole := _ONLY_A_YEAR.match(plain):
        return read(whole[0], now)
    local = now.replace(tzinfo=None)
    found = list(_found(plain, local))
    if not found:
        return None
    best = min(found, key=lambda each: (each.mention.certainty, _length(each.mention.span), each.start))
    try:
        return _in_utc(_related(plain, best, local), now)
    except OverflowError:  # at the end of the calendar
        return None


def read(text: str, now: datetime) -> Period | None:
    """The time that is all of this text, such as "May 2023", "先週" or "2023-05-08T13:56"; None if it is no time."""
    if len(text) > moments.LONGEST:
        return None
    led = f"in {_plain(text)}"
    local = now.replace(tzinfo=None)
    whole = [each.mention for each in _found(led, local) if each.start <= 3 and each.end == len(led)]
    written = None if whole else moments.written(led[3:])
    try:
        if whole:
            return _in_utc(min(whole, key=lambda each: each.certainty).span, now)
        if written is None:
            return None
        start = (written if written.tzinfo else written.replace(tzinfo=now.tzinfo)).astimezone(UTC)
        return Period(start, period.moved(start, "minute", 1))
    except OverflowError:
        return None


def moment(text: str) -> datetime | None:
    """The one moment that a text is, as data sets and chats write it ("1:56 pm on 8 May, 2023", "2023年5月8日
    13時56分", ISO 8601), in UTC; without a zone it is UTC. None for anything else, also for what may be day and
    month or month and day ("5/8/2023")."""
    written = moments.written(_plain(text)) if len(text) <= moments.LONGEST else None
    if written is None:
        return None
    try:
        return (written if written.tzinfo else written.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        return None


def _plain(text: str) -> str:
    """NFKC, without invisible characters, all white space single blanks."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_INVISIBLE)).replace("’", "'")
    return " ".join(text.split())


def _found(plain: str, now: datetime) -> Iterator[_Found]:
    rules = RULES if _JAPANESE.search(plain) else (*dates_numeric.RULES, *dates_english.RULES)
    for pattern, reads in rules:
        for match in pattern.finditer(plain):
            try:
                mention = reads(match, now)
            except (ValueError, OverflowError):  # 30 February, or years before the first
                continue
            if mention is not None and mention.span.end > EARLIEST:
                yield _Found(mention, match.start(), match.end())


def _length(span: Span) -> float:
    return (span.end - span.start).total_seconds()


_COUNTED: Final = re.compile(
    rf"(?:\b{dates_english.NUMBER} {dates_english.UNIT}|\b(?:the|last) (?P<the>day|weekend|week|month|year)"
    rf"|\b{dates_english.WEEKDAY}) before (?:the )?$",
    re.I | re.A,
)
_LED: Final = re.compile(r"\b(?P<word>since|after|before|until|till) (?:the )?$", re.I | re.A)
_FOLLOWED: Final = re.compile("の?(?P<word>以降|以来|から|まで|以前|より前)")
_MEANINGS: Final = {
    "till": "until",
    "以降": "since",
    "以来": "since",
    "から": "since",
    "まで": "until",
    "以前": "before",
    "より前": "before",
}


def _related(plain: str, found: _Found, now: datetime) -> Span:
    """What is meant by a time after "since" and the like."""
    span, begin = found.mention.span, max(0, found.start - 40)
    if counted := _COUNTED.search(plain, begin, found.start):
        # it was so long before, and was perhaps told then: "What did she do two weeks before 11 August?"
        unit = (counted["unit"] or counted["the"] or "week").lower()
        most = dates_english.count(counted["number"])[1] if counted["number"] else 1
        return Span(period.moved(span.start, unit, -most), span.end)
    said = _LED.search(plain, begin, found.start) or _FOLLOWED.match(plain, found.end)
    if said is None:
        return span
    word, today = said["word"].lower(), period.day(now)
    match _MEANINGS.get(word, word):
        case "since" if span.start < today.end:
            return Span(span.start, today.end)
        case "after" if span.end < today.end:
            return Span(span.end, today.end)
        case "before" if span.start > EARLIEST:
            return Span(EARLIEST, span.start)
        case "until":
            return Span(EARLIEST, span.end)
        case _:
            return span


def _in_utc(span: Span, now: datetime) -> Period:
    """Raises: OverflowError."""
    start, end = (each.replace(tzinfo=now.tzinfo).astimezone(UTC) for each in span)
    return Period(start, end)
