"""How Japanese names times. There are no spaces to tell words apart: what may follow or precede is listed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from trinitas_tasks.policy import period
from trinitas_tasks.policy.period import Certainty, Mention, Rule, Span

_DIGITS: Final = "一二三四五六七八九"
_ERAS: Final = {"令和": 2018, "平成": 1988, "昭和": 1925}
"""The year before the first of each."""
_YEARS: Final = {
    "一昨昨年": -3, "一昨年": -2, "おととし": -2, "昨年": -1, "去年": -1, "今年": 0, "本年": 0, "来年": 1, "再来年": 2
}  # fmt: skip
_MONTHS: Final = {"先々月": -2, "先月": -1, "今月": 0, "来月": 1, "再来月": 2}
_WEEKS: Final = {"先々週": -2, "先週": -1, "前の週": -1, "今週": 0, "来週": 1, "再来週": 2}
_DAYS: Final = {
    "一昨日": -2, "おととい": -2, "昨日": -1, "きのう": -1, "昨夜": -1, "昨晩": -1, "ゆうべ": -1, "今日": 0, "本日": 0,
    "今朝": 0, "今夜": 0, "今晩": 0, "明日": 1, "あした": 1, "明後日": 2, "あさって": 2,
}  # fmt: skip
_PARTS: Final = {
    "上旬": "early", "初旬": "early", "初め": "early", "はじめ": "early", "初頭": "early", "中旬": "mid",
    "半ば": "mid", "下旬": "late", "終わり": "late", "末": "late", "前半": "first", "後半": "second",
}  # fmt: skip
_SEASONS: Final = {"春": "spring", "夏": "summer", "秋": "autumn", "冬": "winter"}
_UNITS: Final = {
    "分": "minute", "時間": "hour", "日": "day", "週間": "week", "週": "week", "ヶ月": "month", "ケ月": "month",
    "か月": "month", "カ月": "month", "ヵ月": "month", "箇月": "month", "年": "year",
}  # fmt: skip
_WEEKDAYS: Final = "月火水木金土日"


def _any(names: dict[str, int] | dict[str, str]) -> str:
    return "|".join(sorted(names, key=len, reverse=True))


_COUNT: Final = r"(?P<count>(?<![0-9])[0-9]{1,4}|(?<![一二三四五六七八九十])[一二三四五六七八九十]{1,3}|数|半)"
_NUMBER: Final = "[0-9]{1,2}|[一二三四五六七八九十]{1,3}"
_PART: Final = rf"(?P<part>{_any(_PARTS)})"
_DAY: Final = rf"の?(?P<day>{_NUMBER})日(?!前|間|後|目|ぶり|以上|以内)"
_OF_MONTH: Final = rf"(?:{_DAY}|の?{_PART})?"
_MONTH: Final = rf"(?P<month>{_NUMBER})月(?!曜|間|ぶり){_OF_MONTH}"
_YEAR: Final = (
    rf"(?:(?P<era>{_any({k: 0 for k in _ERAS})})(?P<reign>[0-9]{{1,2}}|元)年|(?<![0-9])(?P<year>[12][0-9]{{3}})年"
    rf"|(?P<that>{_any(_YEARS)}))(?!前(?!半)|間|後(?!半)|ぶり|以上|以内|もの|来)"
)


def number(said: str) -> int:
    """A number below a hundred in kanji or any in digits.

    >>> number("二十三"), number("十"), number("8")
    (23, 10, 8)
    """
    if said.isdecimal():
        return int(said)
    tens, ten, ones = said.rpartition("十")
    return (_digit(tens, 1) * 10 if ten else 0) + _digit(ones, 0)


def _digit(said: str, otherwise: int) -> int:
    if len(said) > 1:
        raise ValueError(f"{said} is no digit")
    return _DIGITS.index(said) + 1 if said else otherwise


def _count(said: str) -> tuple[int, int]:
    return (2, 6) if said == "数" else (number(said),) * 2


def _certainty(match: re.Match[str]) -> Certainty:
    return Certainty.RELATIVE if match["that"] else Certainty.WRITTEN


def _read_year(match: re.Match[str], now: datetime) -> Mention | None:
    if match["that"]:
        year = now.year + _YEARS[match["that"]]
    elif match["era"]:
        year = _ERAS[match["era"]] + (1 if match["reign"] == "元" else int(match["reign"]))
    else:
        year = int(match["year"])
    return Mention(_in_year(match, year), _certainty(match))


def _in_year(match: re.Match[str], year: int) -> Span:
    if match["decade"]:
        return period.years(year, 10)
    if match["fiscal"]:
        return period.months(year, 4, 12)
    if match["season"]:
        return period.season(year, _SEASONS[match["season"]])
    if not match["month"]:
        return _narrowed(period.years(year), match["year_part"])
    month = _month(match)
    if match["day"]:
        return period.date(year, month, number(match["day"]))
    return _narrowed(period.months(year, month), match["part"])


def _month(match: re.Match[str]) -> int:
    month = number(match["month"])
    if not 1 <= month <= 12:
        raise ValueError(f"there is no month {month}")
    return month


def _narrowed(span: Span, said: str | None) -> Span:
    return period.part(span, _PARTS[said]) if said else span


def _read_month(match: re.Match[str], now: datetime) -> Mention | None:
    month = _month(match)
    if match["day"]:
        found = period.latest_date(now, month, number(match["day"]))
        return Mention(found, Certainty.IMPLIED) if found else None
    return Mention(_narrowed(period.latest_month(now, month), match["part"]), Certainty.IMPLIED)


def _read_relative_month(match: re.Match[str], now: datetime) -> Mention | None:
    span = period.months(now.year, now.month + _MONTHS[match["that"]])
    if match["day"]:
        span = period.date(span.start.year, span.start.month, number(match["day"]))
    return Mention(_narrowed(span, match["part"]), Certainty.RELATIVE)


def _read_relative_week(match: re.Match[str], now: datetime) -> Mention | None:
    offset = _WEEKS[match["that"]]
    if match["weekday"]:
        span = period.day(period.week(now, offset).start, _WEEKDAYS.index(match["weekday"]))
    else:
        span = period.weekend(now, offset) if match["weekend"] else period.week(now, offset)
    return Mention(span, Certainty.RELATIVE)


def _read_weekday(match: re.Match[str], now: datetime) -> Mention | None:
    wanted = _WEEKDAYS.index(match["weekday"])
    if match["coming"]:
        return Mention(period.next_weekday(now, wanted), Certainty.RELATIVE)
    return Mention(period.weekday(now, wanted), Certainty.RELATIVE if match["past"] else Certainty.WEEKDAY)


def _read_day(match: re.Match[str], now: datetime) -> Mention | None:
    return Mention(period.day(now, _DAYS[match[0]]), Certainty.RELATIVE)


def _read_ago(match: re.Match[str], now: datetime) -> Mention | None:
    if match["count"] == "半":
        return Mention(period.ago(now, "month", 6, 6), Certainty.RELATIVE) if match["unit"] == "年" else None
    return Mention(period.ago(now, _UNITS[match["unit"]], *_count(match["count"])), Certainty.RELATIVE)


def _read_rolling(match: re.Match[str], now: datetime) -> Mention | None:
    if match["count"] == "半":
        return Mention(period.rolling(now, "month", 6), Certainty.RELATIVE) if match["unit"] == "年" else None
    return Mention(period.rolling(now, _UNITS[match["unit"]], _count(match["count"])[1]), Certainty.RELATIVE)


def _read_season(match: re.Match[str], now: datetime) -> Mention | None:
    return Mention(period.season(now.year, _SEASONS[match["season"]]), Certainty.RELATIVE)


def _read_weekend(_match: re.Match[str], now: datetime) -> Mention | None:
    return Mention(period.weekend(now, 0 if now.weekday() >= 5 else -1), Certainty.WEEKDAY)


def _rule(pattern: str, reads: Callable[[re.Match[str], datetime], Mention | None]) -> Rule:
    return Rule(re.compile(pattern), reads)


RULES: Final = (
    _rule(
        rf"{_YEAR}(?:(?P<fiscal>度)|(?P<decade>代)|の?(?P<season>[春夏秋冬])|の?{_MONTH}|の?(?P<year_part>{_any(_PARTS)}))?",
        _read_year,
    ),
    _rule(rf"(?<![0-9一二三四五六七八九十]){_MONTH}", _read_month),
    _rule(rf"(?P<that>{_any(_MONTHS)}){_OF_MONTH}", _read_relative_month),
    _rule(
        rf"(?P<that>{_any(_WEEKS)})(?:(?P<weekend>の?週末|末)|の?(?P<weekday>[{_WEEKDAYS}])曜)?", _read_relative_week
    ),
    _rule(
        rf"(?:(?P<past>この前の?|前の|こないだの|先日の)|(?P<coming>次の|今度の))?"
        rf"(?<!毎週)(?<!毎週の)(?<!毎)(?P<weekday>[{_WEEKDAYS}])曜",
        _read_weekday,
    ),
    _rule(rf"(?:{_any(_DAYS)})(?<!今日(?=子))(?<!明日(?=香))", _read_day),
    _rule(rf"{_COUNT}(?P<unit>{_any(_UNITS)})(?:ほど|くらい|ぐらい)?前(?!半|後|日)", _read_ago),
    _rule(rf"(?:過去|直近|最近|ここ|この)の?{_COUNT}(?P<unit>{_any(_UNITS)})(?!前|後|目)", _read_rolling),
    _rule(r"(?:この|今年の)(?P<season>[春夏秋冬])", _read_season),
    _rule(r"(?<![先今来毎]週)(?<!先)(?<!今)(?<!来)(?<!毎)週末", _read_weekend),
)
