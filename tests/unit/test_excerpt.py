"""Long texts are told in pieces that can be put together again."""

from __future__ import annotations

import json

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from trinitas_tasks.policy.excerpt import Excerpt, excerpt, level
from trinitas_tasks.policy.hygiene import marked

PIECES = st.sampled_from(
    ["a", "word ", "\n", "漢", "か\u3099", "👩\u200d👩\u200d👧", "🇯🇵", "é", "\u202e", "\x1b", "\\", '"', "क्\u200dष"]
)
TEXTS = st.lists(PIECES, max_size=80).map("".join)


def pieces(text: str, limit: int, *, whole_lines: bool = False) -> list[Excerpt]:
    made = [excerpt(text, limit, whole_lines=whole_lines)]
    while made[-1].end < len(text):
        made.append(excerpt(text, limit, made[-1].end, whole_lines=whole_lines))
    return made


def test_what_fits_is_whole() -> None:
    assert excerpt("short", 5) == Excerpt("short", 0, 5, 5)
    assert excerpt("short", 5).whole


def test_a_cut_says_how_much_there_is() -> None:
    cut = excerpt("word " * 10, 12)
    assert (cut.start, cut.end, cut.total, cut.whole) == (0, 12, 50, False)


def test_a_piece_ends_with_a_line_where_one_is_near() -> None:
    assert excerpt("123456\n89012345", 8).text == "123456\n"
    assert excerpt("12\n456789012345", 8).text == "12\n45678"


@pytest.mark.parametrize("start", [-3, 7, 1000])
def test_any_place_may_be_asked_for(start: int) -> None:
    assert excerpt("1234567890", 4, start).text == {-3: "1234", 7: "890", 1000: ""}[start]


def test_a_grapheme_without_end_is_cut_all_the_same() -> None:
    text = "👩\u200d" * 1000
    assert "".join(each.text for each in pieces(text, 100)) == text


@given(TEXTS, st.integers(20, 50))
def test_pieces_make_the_whole_and_break_nothing(text: str, limit: int) -> None:
    shown: str = marked(text).value
    cut = pieces(shown, limit)
    assert "".join(each.text for each in cut) == shown
    assert all(0 < len(each.text) <= limit for each in cut if shown)
    ends = {0} | {each.end() for each in regex.finditer(r"\X", shown)}
    inside = {at for mark in regex.finditer(r"⟨U\+[0-9A-F]+⟩", shown) for at in range(mark.start() + 1, mark.end())}
    assert {each.end for each in cut} <= ends - inside


VALUES = st.dictionaries(TEXTS, st.lists(TEXTS | st.integers() | st.none(), max_size=5), max_size=6)


@given(VALUES, st.integers(30, 60))
def test_pieces_of_json_end_between_tokens_or_within_a_long_string(value: dict[str, list[str]], limit: int) -> None:
    document = json.dumps(marked(value).value, ensure_ascii=False, indent=1)
    cut = pieces(document, limit, whole_lines=True)
    assert json.loads("".join(each.text for each in cut)) == marked(value).value
    for each in cut[:-1]:
        line = document[document.rfind("\n", 0, each.end - 1) + 1 :].partition("\n")[0]
        assert each.text.endswith("\n") or len(line) >= limit
        assert not regex.search(r"(?<!\\)(?:\\\\)*\\\Z", each.text)


@given(st.lists(st.integers(0, 400), max_size=12), st.integers(0, 900), st.integers(1, 200))
def test_what_is_told_together_keeps_to_its_limits(lengths: list[int], total: int, most: int) -> None:
    share = level(lengths, total, most)
    told = [min(length, share) for length in lengths]
    assert sum(told) <= total
    assert share <= most
    if any(length > share for length in lengths) and share < most:
        assert sum(min(length, share + 1) for length in lengths) > total  # no more could have been told
