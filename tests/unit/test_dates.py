"""Which times are seen in a text, and above all which are not."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trinitas_tasks.policy import dates
from trinitas_tasks.policy.period import Period

NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
"""A Wednesday."""
TODAY_ENDS = "2026-11-26"


def period(start: str, end: str) -> Period:
    """From ISO times in UTC."""
    return Period(*(datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (start, end)))


def day(start: str) -> Period:
    begins = datetime.fromisoformat(start).replace(tzinfo=UTC)
    return Period(begins, begins + timedelta(days=1))


WRITTEN = [
    ("2023-05-08", day("2023-05-08")),
    ("what was on 2023/5/8?", day("2023-05-08")),
    ("2023.05.08", day("2023-05-08")),
    ("at 2023-05-08T13:56", day("2023-05-08")),
    ("in 2023-05", period("2023-05-01", "2023-06-01")),
    ("since the 13/8/2023 meeting", period("2023-08-13", TODAY_ENDS)),
    ("8/13/2023", day("2023-08-13")),
    ("am 8.5.2023", day("2023-05-08")),
    ("on 8 May, 2023", day("2023-05-08")),
    ("December 1,2023", day("2023-12-01")),
    ("on 8 may 2023", day("2023-05-08")),
    ("on the 8th of May 2023", day("2023-05-08")),
    ("on May 8, 2023", day("2023-05-08")),
    ("MAY 8TH 2023", day("2023-05-08")),
    ("on Sept. 1, 2023", day("2023-09-01")),
    ("on 1 dec 2023", day("2023-12-01")),
    ("Monday, 8 May 2023", day("2023-05-08")),
    ("last Friday on 23 January, 2022", day("2022-01-23")),
    ("1:56 pm on 8 May, 2023", day("2023-05-08")),
    ("last week, as mentioned on November 6, 2023", day("2023-11-06")),
    ("29 February 2024", day("2024-02-29")),
    ("In May 5,000 people came in 2023", period("2023-01-01", "2024-01-01")),
    ("in May 2023", period("2023-05-01", "2023-06-01")),
    ("in may 2023", period("2023-05-01", "2023-06-01")),
    ("May 2023", period("2023-05-01", "2023-06-01")),
    ("May, 2023", period("2023-05-01", "2023-06-01")),
    ("in March of 2023", period("2023-03-01", "2023-04-01")),
    ("the end of May 2023", period("2023-05-22", "2023-06-01")),
    ("early June 2023", period("2023-06-01", "2023-06-11")),
    ("mid-May 2023", period("2023-05-11", "2023-05-22")),
    ("in 2023", period("2023-01-01", "2024-01-01")),
    ("2023", period("2023-01-01", "2024-01-01")),
    (" 2023? ", period("2023-01-01", "2024-01-01")),
    ("during 1999, what happened", period("1999-01-01", "2000-01-01")),
    ("the year 2020", period("2020-01-01", "2021-01-01")),
    ("the first half of 2023", period("2023-01-01", "2023-07-02")),
    ("in the 1990s", period("1990-01-01", "2000-01-01")),
    ("the summer of 2022", period("2022-06-01", "2022-09-01")),
    ("winter 2022", period("2022-12-01", "2023-03-01")),
    ("fall 2023", period("2023-09-01", "2023-12-01")),
    ("2023年5月8日", day("2023-05-08")),
    ("2023年5月8日の会議", day("2023-05-08")),
    ("２０２３年５月８日", day("2023-05-08")),
    ("会議は2023-05-08に", day("2023-05-08")),
    ("令和5年5月8日", day("2023-05-08")),
    ("平成元年", period("1989-01-01", "1990-01-01")),
    ("昭和六十四年ではなく昭和64年", period("1989-01-01", "1990-01-01")),
    ("2023年5月", period("2023-05-01", "2023-06-01")),
    ("2023年の5月", period("2023-05-01", "2023-06-01")),
    ("2023年十二月", period("2023-12-01", "2024-01-01")),
    ("2023年5月上旬", period("2023-05-01", "2023-05-11")),
    ("2023年5月末", period("2023-05-22", "2023-06-01")),
    ("2023年", period("2023-01-01", "2024-01-01")),
    ("2023年前半", period("2023-01-01", "2023-07-02")),
    ("1990年代", period("1990-01-01", "2000-01-01")),
    ("2023年度", period("2023-04-01", "2024-04-01")),
    ("2023年の夏", period("2023-06-01", "2023-09-01")),
    ("2023\u200b年5\u200b月", period("2023-05-01", "2023-06-01")),
]
RELATIVE = [
    ("what did I say yesterday?", day("2026-11-24")),
    ("YESTERDAY", day("2026-11-24")),
    ("the day before yesterday", day("2026-11-23")),
    ("today", day("2026-11-25")),
    ("what happened last night", day("2026-11-24")),
    ("this morning", day("2026-11-25")),
    ("tomorrow", day("2026-11-26")),
    ("the day after tomorrow", day("2026-11-27")),
    ("3 days ago", day("2026-11-22")),
    ("a day ago", day("2026-11-24")),
    ("a few days ago", period("2026-11-20", "2026-11-24")),
    ("a couple of days ago", period("2026-11-22", "2026-11-24")),
    ("three weeks ago", period("2026-11-01", "2026-11-08")),
    ("two months ago", period("2026-09-01", "2026-10-01")),
    ("a year ago", period("2025-01-01", "2026-01-01")),
    ("an hour ago", period("2026-11-25 10:30", "2026-11-25 12:30")),
    ("last week", period("2026-11-16", "2026-11-23")),
    ("this week", period("2026-11-23", "2026-11-30")),
    ("next week", period("2026-11-30", "2026-12-07")),
    ("the week before last", period("2026-11-09", "2026-11-16")),
    ("last weekend", period("2026-11-21", "2026-11-23")),
    ("at the weekend", period("2026-11-21", "2026-11-23")),
    ("last month", period("2026-10-01", "2026-11-01")),
    ("next month", period("2026-12-01", "2027-01-01")),
    ("this year", period("2026-01-01", "2027-01-01")),
    ("last year", period("2025-01-01", "2026-01-01")),
    ("early last year", period("2025-01-01", "2025-05-03")),
    ("in the last 3 days", period("2026-11-22", TODAY_ENDS)),
    ("over the past week", period("2026-11-18", TODAY_ENDS)),
    ("the past two months", period("2026-09-25", TODAY_ENDS)),
    ("in the next 3 days", period("2026-11-25", "2026-11-29")),
    ("last summer", period("2026-06-01", "2026-09-01")),
    ("last fall", period("2025-09-01", "2025-12-01")),
    ("this winter", period("2026-12-01", "2027-03-01")),
    ("last year's summer", period("2025-06-01", "2025-09-01")),
    ("the spring of last year", period("2025-03-01", "2025-06-01")),
    ("last May", period("2026-05-01", "2026-06-01")),
    ("last december", period("2025-12-01", "2026-01-01")),
    ("next May", period("2027-05-01", "2027-06-01")),
    ("in May last year", period("2025-05-01", "2025-06-01")),
    ("last year in May", period("2025-05-01", "2025-06-01")),
    ("last Friday", day("2026-11-20")),
    ("last Wednesday", day("2026-11-18")),
    ("last fri", day("2026-11-20")),
    ("this Friday", day("2026-11-27")),
    ("next Monday", day("2026-11-30")),
    ("on Tuesday last week", day("2026-11-17")),
    ("last week on Tuesday", day("2026-11-17")),
    ("昨日の会議", day("2026-11-24")),
    ("きのう", day("2026-11-24")),
    ("一昨日", day("2026-11-23")),
    ("おとといの話", day("2026-11-23")),
    ("今日", day("2026-11-25")),
    ("今朝", day("2026-11-25")),
    ("昨夜", day("2026-11-24")),
    ("明日", day("2026-11-26")),
    ("3日前", day("2026-11-22")),
    ("３日前", day("2026-11-22")),
    ("三日前に", day("2026-11-22")),
    ("二十三日前", day("2026-11-02")),
    ("数日前", period("2026-11-19", "2026-11-24")),
    ("3週間前", period("2026-11-01", "2026-11-08")),
    ("2ヶ月前", period("2026-09-01", "2026-10-01")),
    ("2か月ほど前", period("2026-09-01", "2026-10-01")),
    ("半年前", period("2026-05-01", "2026-06-01")),
    ("1年前", period("2025-01-01", "2026-01-01")),
    ("3時間前", period("2026-11-25 08:30", "2026-11-25 10:30")),
    ("先週", period("2026-11-16", "2026-11-23")),
    ("先々週", period("2026-11-09", "2026-11-16")),
    ("今週", period("2026-11-23", "2026-11-30")),
    ("来週", period("2026-11-30", "2026-12-07")),
    ("先週末", period("2026-11-21", "2026-11-23")),
    ("週末に何をした", period("2026-11-21", "2026-11-23")),
    ("先週の金曜日", day("2026-11-20")),
    ("来週火曜", day("2026-12-01")),
    ("先月", period("2026-10-01", "2026-11-01")),
    ("先々月", period("2026-09-01", "2026-10-01")),
    ("先月の8日", day("2026-10-08")),
    ("今月末", period("2026-11-21", "2026-12-01")),
    ("去年", period("2025-01-01", "2026-01-01")),
    ("一昨年", period("2024-01-01", "2025-01-01")),
    ("去年の夏", period("2025-06-01", "2025-09-01")),
    ("去年の夏休み", period("2025-06-01", "2025-09-01")),
    ("昨年12月", period("2025-12-01", "2026-01-01")),
    ("今年の3月8日", day("2026-03-08")),
    ("昨年度", period("2025-04-01", "2026-04-01")),
    ("この夏", period("2026-06-01", "2026-09-01")),
    ("過去3日間", period("2026-11-22", TODAY_ENDS)),
    ("ここ一週間", period("2026-11-18", TODAY_ENDS)),
]
IMPLIED = [
    ("on 8 May", day("2026-05-08")),
    ("on may 8", day("2026-05-08")),
    ("on December 24", day("2025-12-24")),
    ("on 25 November", day("2026-11-25")),
    ("the 3rd of march", day("2026-03-03")),
    ("29 February", day("2024-02-29")),
    ("in May", period("2026-05-01", "2026-06-01")),
    ("in may", period("2026-05-01", "2026-06-01")),
    ("in December", period("2025-12-01", "2026-01-01")),
    ("the January report", period("2026-01-01", "2026-02-01")),
    ("during April", period("2026-04-01", "2026-05-01")),
    ("in the summer", period("2026-06-01", "2026-09-01")),
    ("on Monday", day("2026-11-23")),
    ("Wednesday's notes", day("2026-11-18")),
    ("5月7日", day("2026-05-07")),
    ("12月24日のこと", day("2025-12-24")),
    ("五月七日", day("2026-05-07")),
    ("5月", period("2026-05-01", "2026-06-01")),
    ("十一月の予定", period("2026-11-01", "2026-12-01")),
    ("5月上旬", period("2026-05-01", "2026-05-11")),
    ("月曜日の議事録", day("2026-11-23")),
    ("この前の水曜", day("2026-11-18")),
    ("今度の日曜", day("2026-11-29")),
]
RELATED = [
    ("since March", period("2026-03-01", TODAY_ENDS)),
    ("since 2023", period("2023-01-01", TODAY_ENDS)),
    ("since yesterday", period("2026-11-24", TODAY_ENDS)),
    ("after 8 May 2023", period("2023-05-09", TODAY_ENDS)),
    ("before May 2023", period("1000-01-01", "2023-05-01")),
    ("until 2022", period("1000-01-01", "2023-01-01")),
    ("two weeks before August 11, 2023", period("2023-07-28", "2023-08-12")),
    ("the Sunday before October 25, 2022", period("2022-10-18", "2022-10-26")),
    ("2023年5月から", period("2023-05-01", TODAY_ENDS)),
    ("先週以降", period("2026-11-16", TODAY_ENDS)),
    ("2022年まで", period("1000-01-01", "2023-01-01")),
    ("2023年5月以前", period("1000-01-01", "2023-05-01")),
]
NONE = [
    "", " ", "May I ask something?", "you may go", "may", "It may 5 times fail", "march on", "they march on Rome",
    "on the march", "March of the Penguins", "April said so", "a letter from June", "Mark my words", "1999 dollars",
    "in 2000 dollars", "in 2000 steps", "in 20,230 rows", "the 2023 report", "item 2023", "second", "a second",
    "the second one", "the 5 apples", "8 mays", "the 8th", "When did Ann go?", "when will it be",
    "how long ago was it", "long ago", "the last day", "the last one", "last week of school", "every Monday",
    "Mondays", "the fall of Rome", "spring cleaning", "Sun Microsystems", "sat down", "we wed", "v2023.1.2",
    "KOMBU-2023-05", "https://x.org/2023/05/08/post", "2023-02-30", "2023-13", "2023-13-01", "5/8/2023", "127.0.0.1",
    "10.5.2", "1.5.20231", "12:30", "9999 years ago", "99999 days ago", "this is a test", "next to it", "decide",
    "janitor", "marching", "on mayhem", "weekday", "ago", "this day", "in 123", "in 3023", "in 20235", "毎週月曜日",
    "いつ会議があった?", "月がきれい", "火", "三日月", "100年", "2023年前", "10年前半", "午前3時", "13月", "5月40日",
    "一番", "十分", "今日子さん", "明日香", "3人前", "食前", "何月何日", "99999日前", "３ヶ月間",
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), WRITTEN + RELATIVE + IMPLIED + RELATED)
def test_a_time_is_seen(text: str, expected: Period) -> None:
    assert dates.find(text, NOW) == expected


@pytest.mark.parametrize("text", NONE)
def test_no_time_is_seen_where_none_is_meant(text: str) -> None:
    assert dates.find(text, NOW) is None


def test_of_several_times_the_surest_and_shortest_counts() -> None:
    assert dates.find("in 2023, on 8 May 2023", NOW) == day("2023-05-08")
    assert dates.find("last month, on Monday", NOW) == period("2026-10-01", "2026-11-01")
    assert dates.find("yesterday or today", NOW) == day("2026-11-24")


def test_days_are_those_of_the_one_who_asks() -> None:
    tokyo = datetime(2026, 11, 26, 1, 0, tzinfo=ZoneInfo("Asia/Tokyo"))  # in UTC still the 25th
    assert dates.find("今日", tokyo) == period("2026-11-25 15:00", "2026-11-26 15:00")
    assert dates.find("2023-05-08", tokyo) == period("2023-05-07 15:00", "2023-05-08 15:00")
    spring_forward = datetime(2026, 3, 30, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    found = dates.find("yesterday", spring_forward)
    assert found is not None
    assert found.end - found.start == timedelta(hours=23)


@pytest.mark.parametrize("now", [datetime.min, datetime.max, datetime(2024, 2, 29)])
def test_the_ends_of_time_are_no_trouble(now: datetime) -> None:
    for hours in (-14, 0, 14):
        for text, _ in WRITTEN + RELATIVE + IMPLIED + RELATED:
            found = dates.find(text, now.replace(tzinfo=timezone(timedelta(hours=hours))))
            assert found is None or found.start < found.end


PIECES = sorted({piece for text, _ in WRITTEN + RELATIVE + IMPLIED + RELATED for piece in text.split()}) + NONE
TEXTS = st.one_of(
    st.text(), st.lists(st.sampled_from(PIECES)).map(" ".join), st.lists(st.sampled_from(PIECES)).map("".join)
)
ZONES = st.integers(min_value=-23, max_value=23).map(lambda hours: timezone(timedelta(hours=hours)))


@given(TEXTS, st.datetimes(timezones=ZONES))
def test_whatever_is_read_a_period_is_in_utc_and_not_empty(text: str, now: datetime) -> None:
    for found in (dates.find(text, now), dates.read(text, now)):
        if found is not None:
            assert found.start.utcoffset() == found.end.utcoffset() == timedelta()
            assert found.start < found.end
    at = dates.moment(text)
    assert at is None or at.utcoffset() == timedelta()


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2100, 12, 31)))
def test_every_date_is_read_in_every_form(some: date) -> None:
    year, month, number = some.year, some.month, some.day
    at = datetime(year, month, number, tzinfo=UTC)
    for text in (
        at.strftime("%Y-%m-%d"), at.strftime("%Y/%m/%d"), at.strftime("%d %B %Y"), at.strftime("%B %d, %Y"),
        at.strftime("%b %d %Y"), f"{year}年{month}月{number}日",
    ):  # fmt: skip
        assert dates.find(f"so on {text} と", NOW) == Period(at, at + timedelta(days=1))
        assert dates.read(text, NOW) == Period(at, at + timedelta(days=1))
        assert dates.moment(text) == at


@given(st.integers(min_value=1, max_value=500), st.integers(min_value=1, max_value=500))
def test_what_is_longer_ago_is_earlier(one: int, other: int) -> None:
    for unit in ("days ago", "weeks ago", "months ago", "日前", "週間前", "ヶ月前"):
        spaced = " " if unit.isascii() else ""
        first, second = (dates.find(f"{count}{spaced}{unit}", NOW) for count in (one, other))
        assert first is not None
        assert second is not None
        assert (first.start < second.start) == (one > other)


@pytest.mark.parametrize(
    "unit", ['"', "7", "年", "1月", "in ", "may ", "1 ", "一", "last ", "2023-", "１", "\u200b", "\ufdfa", "the "]
)
def test_a_long_text_takes_no_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    started = time.process_time()
    dates.find(text, NOW)
    dates.read(text, NOW)
    dates.moment(text)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2023", "2023-01-01", "2024-01-01"),
        ("2023-05", "2023-05-01", "2023-06-01"),
        ("8 May 2023", "2023-05-08", "2023-05-09"),
        ("may", "2026-05-01", "2026-06-01"),
        ("先週", "2026-11-16", "2026-11-23"),
        ("yesterday", "2026-11-24", "2026-11-25"),
        ("2023-05-08T13:56", "2023-05-08 13:56", "2023-05-08 13:57"),
        ("2023-05-08T13:56+09:00", "2023-05-08 04:56", "2023-05-08 04:57"),
    ],
)
def test_a_text_that_is_a_time_is_read(text: str, start: str, end: str) -> None:
    assert dates.read(text, NOW) == period(start, end)


@pytest.mark.parametrize(
    "text",
    [
        "2023" + " " * 200,
        "",
        "yesterdayish",
        "x",
        "2023x",
        "in",
        "yesterday evening",
        "since 2023",
        "5/8/2023",
        "12:30",
    ],
)
def test_a_text_that_is_not_all_a_time_is_not_read(text: str) -> None:
    assert dates.read(text, NOW) is None
