"""How English names times. A word that is also a name or a verb (May, march, April, fall, sun) counts only where
something beside it says that a time is meant."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from trinitas_tasks.policy import period
from trinitas_tasks.policy.period import Certainty, Mention, Rule, Span

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PLAIN_MONTHS: Final = {"january", "february", "july", "september", "october", "november", "december"}
_VERBS: Final = {"may", "march", "mar"}
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_OFFSETS: Final = {"last": -1, "past": -1, "previous": -1, "this": 0, "current": 0, "next": 1, "coming": 1}
_WORDS: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBERS: Final = {word: (n, n) for n, word in enumerate(_WORDS, 1)} | {
    "a": (1, 1), "an": (1, 1), "couple": (2, 3), "few": (2, 5), "several": (3, 7)
}  # fmt: skip
"""From how many to how many each word means."""
_PARTS: Final = {
    "early": "early", "beginning": "early", "start": "early", "mid": "mid", "middle": "mid", "late": "late",
    "end": "late", "first half": "first", "second half": "second",
}  # fmt: skip

MONTH: Final = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
DAY: Final = r"(?P<day>[0-9]{1,2})(?![0-9])(?P<ordinal>st|nd|rd|th)?"
_NO_COUNT: Final = (
    r"(?![0-9%]|[.,:][0-9]|-[0-9]"
    r"| (?:dollars|euros|yen|pounds|people|users|items|rows|steps|words|tokens|times|percent|ms|[kmg]b|km|miles)\b)"
)
_YEAR: Final = rf"(?:(?P<year>[12][0-9]{{3}})\b{_NO_COUNT}|(?P<that>last|this|next) year\b)"
_OF_YEAR: Final = rf"(?:(?:,? (?:of |in )?|,){_YEAR})?"
_WHICH: Final = r"(?P<which>last|past|previous|this|current|next|coming) "
_PART: Final = (
    r"(?P<part>early|mid|late|(?:the )?(?:beginning|start|middle|end|first half|second half) of)[ -](?:the )?"
)
_SEASON: Final = r"(?P<season>spring|summer|autumn|fall|winter)\b"
NUMBER: Final = rf"(?P<number>[0-9]{{1,4}}|an?|{'|'.join(_WORDS)}|(?:a )?couple(?: of)?|(?:a )?few|several)"
UNIT: Final = r"(?P<unit>minute|hour|day|weekend|week|month|year)s?\b"
WEEKDAY: Final = r"(?P<weekday>monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b"
_ANY_WEEKDAY: Final = (
    r"(?P<weekday>mon(?:day)?|tue(?:s|sday)?|wed(?:nesday)?|thu(?:rs?|rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)\b"
)
_LED: Final = re.compile(r"\b(?:in|during|since|until|till|through|throughout|between|month of) $", re.I | re.A)
_LED_DAY: Final = re.compile(r"\b(?:on|by|since|until|from|before|after|between) (?:the )?$", re.I | re.A)
_LED_YEAR: Final = re.compile(
    r"\b(?:in|of|during|since|from|until|till|by|before|after|between|through|throughout|year|early|late|mid|to)[ -]$",
    re.I | re.A,
)
_LED_SEASON: Final = re.compile(r"\b(?:in|during|over|throughout|since|for) (?:the )?$", re.I | re.A)
_REPEATED: Final = re.compile(r"\b(?:every|each|any) $", re.I | re.A)


def _led(match: re.Match[str], by: re.Pattern[str]) -> bool:
    return by.search(match.string, max(0, match.start() - 20), match.start()) is not None


def _year(match: re.Match[str], now: datetime) -> int | None:
    found = match.groupdict()
    if found.get("year"):
        return int(found["year"])
    return now.year + _OFFSETS[found["that"].lower()] if found.get("that") else None


def _certainty(match: re.Match[str]) -> Certainty:
    return Certainty.WRITTEN if match.groupdict().get("year") else Certainty.RELATIVE


def number_of_month(name: str) -> int:
    """1 to 12, of a month's name or its abbreviation."""
    return _MONTHS.index(name[:3].lower()) + 1


def _is_verb(match: re.Match[str]) -> bool:
    return match["month"] in _VERBS  # in lower case


def _narrowed(span: Span, match: re.Match[str]) -> Span:
    said = match.groupdict().get("part")
    if not said:
        return span
    return period.part(span, _PARTS[said.lower().removeprefix("the ").removesuffix(" of")])


def count(said: str) -> tuple[int, int]:
    """From how many to how many a number means, in digits or as a word. Raises: KeyError."""
    word = said.lower().removeprefix("a ").removesuffix(" of")
    return (int(word), int(word)) if word.isdecimal() else _NUMBERS[word]


def _read_date(match: re.Match[str], now: datetime) -> Mention | None:
    month, day = number_of_month(match["month"]), int(match["day"])
    if (year := _year(match, now)) is not None:
        return Mention(period.date(year, month, day), _certainty(match))
    if _is_verb(match) and not _led(match, _LED_DAY) and not (match["ordinal"] and " of " in match[0].lower()):
        return None
    found = period.latest_date(now, month, day)
    return Mention(found, Certainty.IMPLIED) if found else None


def _read_month(match: re.Match[str], now: datetime) -> Mention | None:
    month = number_of_month(match["month"])
    if (year := _year(match, now)) is not None:
        return Mention(_narrowed(period.months(year, month), match), _certainty(match))
    if which := match["which"]:
        return Mention(_narrowed(_which_month(which.lower(), month, now), match), Certainty.RELATIVE)
    named = match["month"].lower() in _PLAIN_MONTHS
    if named or (match["part"] and not _is_verb(match)) or _led(match, _LED):
        return Mention(_narrowed(period.latest_month(now, month), match), Certainty.IMPLIED)
    return None


def _which_month(which: str, month: int, now: datetime) -> Span:
    match _OFFSETS[which]:
        case -1:
            return period.months(now.year if month < now.month else now.year - 1, month)
        case 0:
            return period.months(now.year, month)
        case _:
            return period.months(now.year if month > now.month else now.year + 1, month)


def _read_year(match: re.Match[str], _now: datetime) -> Mention | None:
    year = int(match["year"])
    if match["part"] or _led(match, _LED_YEAR):
        return Mention(_narrowed(period.years(year), match), Certainty.WRITTEN)
    return None


def _read_part_of_year(match: re.Match[str], now: datetime) -> Mention | None:
    year = _year(match, now)
    return None if year is None else Mention(_narrowed(period.years(year), match), _certainty(match))


def _read_decade(match: re.Match[str], _now: datetime) -> Mention | None:
    return Mention(period.years(int(match["year"]), 10), Certainty.WRITTEN)


def _read_season(match: re.Match[str], now: datetime) -> Mention | None:
    name = match["season"].lower().replace("fall", "autumn")
    if (year := _year(match, now)) is not None:
        return Mention(_narrowed(period.season(year, name), match), _certainty(match))
    if not match["which"]:
        if not _led(match, _LED_SEASON):
            return None
        return Mention(_narrowed(period.latest_season(now, name, over=False), match), Certainty.IMPLIED)
    offset = _OFFSETS[match["which"].lower()]
    if offset < 0:
        found = period.latest_season(now, name, over=True)
    else:
        found = period.season(now.year, name)
        if offset and found.start <= now:
            found = period.season(now.year + 1, name)
    return Mention(_narrowed(found, match), Certainty.RELATIVE)


def _read_last_years(match: re.Match[str], now: datetime) -> Mention | None:
    year = now.year + _OFFSETS[match["that"].lower()]
    if match["season"]:
        return Mention(period.season(year, match["season"].lower().replace("fall", "autumn")), Certainty.RELATIVE)
    return Mention(period.months(year, number_of_month(match["month"])), Certainty.RELATIVE)


_NAMED: Final = {
    "the day before yesterday": -2, "day before yesterday": -2, "yesterday": -1, "last night": -1, "today": 0,
    "tonight": 0, "this morning": 0, "this afternoon": 0, "this evening": 0, "tomorrow": 1, "day after tomorrow": 2,
    "the day after tomorrow": 2,
}  # fmt: skip


def _read_named(match: re.Match[str], now: datetime) -> Mention | None:
    return Mention(period.day(now, _NAMED[match[0].lower()]), Certainty.RELATIVE)


def _read_ago(match: re.Match[str], now: datetime) -> Mention | None:
    return Mention(period.ago(now, match["unit"].lower(), *count(match["number"])), Certainty.RELATIVE)


def _read_unit(match: re.Match[str], now: datetime) -> Mention | None:
    unit, offset = match["unit"].lower(), _OFFSETS[match["which"].lower()]
    if match["number"] is None and (unit == "day" or match[0][-1] in "sS"):
        return None  # "the last day", "past weeks"
    if match["number"] is None and unit not in ("hour", "minute") and match["which"].lower() != "past":
        return Mention(period.unit(now, unit, offset), Certainty.RELATIVE)
    if offset == 0:
        return None
    _, most = count(match["number"] or "1")
    return Mention(period.rolling(now, unit, -offset * most), Certainty.RELATIVE)


def _read_before_last(match: re.Match[str], now: datetime) -> Mention | None:
    return Mention(period.unit(now, match["unit"].lower(), -2), Certainty.RELATIVE)


def _read_the_weekend(_match: re.Match[str], now: datetime) -> Mention | None:
    return Mention(period.weekend(now, 0 if now.weekday() >= 5 else -1), Certainty.WEEKDAY)


def _read_weekday(match: re.Match[str], now: datetime) -> Mention | None:
    number = _WEEKDAYS.index(match["weekday"][:3].lower())
    said = match.groupdict()
    if week := said.get("week") or said.get("its_week"):
        start = period.week(now, _OFFSETS[week.lower()]).start
        return Mention(period.day(start, number), Certainty.RELATIVE)
    if _led(match, _REPEATED):
        return None
    offset = _OFFSETS[said["which"].lower()] if said.get("which") else -1
    if offset < 0:
        certainty = Certainty.RELATIVE if said.get("which") else Certainty.WEEKDAY
        return Mention(period.weekday(now, number), certainty)
    if offset == 0:
        return Mention(period.day(period.week(now).start, number), Certainty.RELATIVE)
    return Mention(period.next_weekday(now, number), Certainty.RELATIVE)


def _rule(pattern: str, reads: Callable[[re.Match[str], datetime], Mention | None]) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE | re.ASCII), reads)


RULES: Final = (
    _rule(rf"(?<![\w:/.,-]){DAY} (?:of )?{MONTH}{_OF_YEAR}", _read_date),
    _rule(rf"\b{MONTH} {DAY}(?![\w%:]|\.[0-9]|,[0-9](?![0-9]{{3}}\b)){_OF_YEAR}", _read_date),
    _rule(rf"\b(?:{_PART})?(?:{_WHICH})?{MONTH}{_OF_YEAR}(?! [0-9]{{1,2}}\b)", _read_month),
    _rule(rf"\b(?:{_PART})?(?<![\w:/.,-])(?P<year>19[0-9]{{2}}|20[0-9]{{2}}|2100)\b{_NO_COUNT}(?![/:-])", _read_year),
    _rule(rf"\b{_PART}(?P<that>last|this|next) year\b", _read_part_of_year),
    _rule(r"\bthe (?P<year>1[89][0-9]0|20[0-9]0)s\b", _read_decade),
    _rule(rf"\b(?:{_PART})?(?:{_WHICH})?{_SEASON}{_OF_YEAR}", _read_season),
    _rule(rf"\b(?P<that>last|this|next) year(?:'s|,)? (?:in )?(?:the )?(?:{_SEASON}|{MONTH})", _read_last_years),
    _rule(rf"\b(?:{'|'.join(_NAMED)})\b", _read_named),
    _rule(rf"\b{NUMBER} {UNIT} ago\b", _read_ago),
    _rule(rf"\b{_WHICH}(?:{NUMBER} )?{UNIT}(?!'|-| (?:of|before)\b)", _read_unit),
    _rule(r"\b(?P<unit>week|weekend|month|year) before last\b", _read_before_last),
    _rule(r"\b(?:at|on|over|during) the weekend\b", _read_the_weekend),
    _rule(rf"\b{_WHICH}{_ANY_WEEKDAY}", _read_weekday),
    _rule(rf"\b{WEEKDAY}(?:,? (?:of )?(?P<week>last|this|next) week\b)?", _read_weekday),
    _rule(rf"\b(?P<its_week>last|this|next) week(?:'s)?,? (?:on )?{WEEKDAY}", _read_weekday),
)
