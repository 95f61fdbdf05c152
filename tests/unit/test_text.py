"""Which terms text falls into and what of a memory is embedded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import memory
from trinitas_tasks.policy.text import (
    ASKED,
    EMBEDDED_CHARACTERS,
    LONGEST,
    TITLE_CHARACTERS,
    EmbeddingText,
    content_text,
    coverage,
    embedding_text,
    full_text,
    index_terms,
    matched,
    names,
    query_terms,
    says,
    terms,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Redis 7 を再起動", ["redis", "7", "を再", "再起", "起動"]),
        ("The-quick_brown FOX's", ["the", "quick", "brown", "fox", "s"]),
        ("Straße ＡＢＣ ﾃｽﾄ", ["strasse", "abc", "テス", "スト"]),
        ("東", ["東"]),
        ("東京tower", ["東京", "tower"]),
        ("서울역", ["서울", "울역"]),
        ("𠮷野家", ["𠮷野", "野家"]),
        ("コーヒー", ["コー", "ーヒ", "ヒー"]),
        ("佐々木", ["佐々", "々木"]),
        ("שלום مرحبا Ελλάς", ["שלום", "مرحبا", "ελλάσ"]),
        ("🦊 !? \n", ["🦊"]),
        ("", []),
        ('NEAR("a" OR b*) AND -c', ["near", "a", "or", "b", "and", "c"]),
    ],
)
def test_text_falls_into_words_and_cjk_bigrams(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@given(st.text(), st.text())
def test_lines_are_read_one_by_one(one: str, two: str) -> None:
    assert terms(f"{one}\n{two}") == terms(one) + terms(two)


WRITTEN = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(WRITTEN, WRITTEN)
def test_a_text_is_found_by_every_word_of_it(before: str, after: str) -> None:
    item = memory(f"{before} 東京都庁 {after} tower")
    assert {"東京", "京都", "都庁", "tower", "庁"} <= set(index_terms(item))


def test_single_cjk_characters_can_be_asked_for() -> None:
    assert set(terms("酒")) <= set(index_terms(memory("日本酒")))


NAMES = [
    ("see KOMBU-2498 now", ["kombu-2498"]),
    ("in src/app/main.py:", ["src/app/main.py"]),
    ("v1.2.3, ann@example.com", ["v1.2.3", "ann@example.com"]),
    ("ERR_CONN_0x8007!", ["err_conn_0x8007"]),
    ("https://example.com/a", ["https://example.com/a"]),
    ("a well-known fact. And/or", ["and/or"]),
    ("2026-05-08 の会議", ["2026-05-08"]),
    ("end.Start", []),
    ("東京-大阪", []),
    ("x" * 300 + "-1", []),
]


@pytest.mark.parametrize(("text", "expected"), NAMES)
def test_what_is_one_name_is_one_term_too(text: str, expected: list[str]) -> None:
    assert names(text) == expected
    assert set(expected) <= set(index_terms(memory(text)))
    assert set(expected) <= set(query_terms(text))


def test_stop_words_are_looked_up_only_where_there_is_nothing_else() -> None:
    assert query_terms("what is redis") == {"redis": 1.0}
    assert query_terms("what is") == {"what": 1.0, "is": 1.0}
    assert query_terms("\u200b 😐 !?") == {"😐": 1.0}
    assert query_terms("\u200b !?") == {}


def test_han_characters_count_beside_their_bigrams() -> None:
    assert query_terms("東京で") == {"東京": 1.0, "京で": 1.0, "東": 0.5, "京": 0.5}
    assert query_terms("酒 酒") == {"酒": 3.0}


@pytest.mark.parametrize("hostile", ["x" * 200_000, "a-" * 100_000, "1:" * 100_000, "東" * 200_000, "a b " * 50_000])
def test_a_long_question_looks_up_no_more_terms_than_others(hostile: str) -> None:
    assert 0 < len(query_terms(hostile)) <= ASKED
    assert max(map(len, query_terms(hostile))) <= LONGEST


def test_coverage_is_the_share_of_the_weight_that_is_held() -> None:
    item = memory("green tea", type="semantic")
    assert coverage({"green": 1.0, "grass": 3.0}, item) == 0.25
    assert (coverage({}, item), coverage({"tea": 0.5}, item)) == (0.0, 1.0)
    assert matched(["grass", "tea", "green"], item) == ["tea", "green"]


@pytest.mark.parametrize(
    ("phrase", "said"),
    [
        ("Green  tea", True),
        ("green tea is", True),
        ("ＧＲＥＥＮ", True),
        ("tea green", False),
        ("東京", True),
        ("", True),
    ],
)
def test_a_phrase_is_said_whatever_its_case_width_and_spaces(phrase: str, said: bool) -> None:
    assert says(phrase, memory("Ann: green\ntea is 東京 tea.", type="semantic")) is said


def test_who_said_it_and_when_comes_before_what_was_said() -> None:
    who_when = {"speaker": "Ann", "date": "8 May", "session": 3}
    fact: dict[str, Any] = {"type": "semantic"}
    assert embedding_text(memory("Hi", metadata=who_when)) == EmbeddingText("Ann (8 May): ", "Hi")
    assert embedding_text(memory("Hi", metadata={"speaker": "Ann"}, **fact)) == EmbeddingText("Ann: ", "Hi")
    assert embedding_text(memory("Hi", metadata={"date": "8 May"}, **fact)) == EmbeddingText("(8 May) ", "Hi")
    assert embedding_text(memory("Hi", metadata={"speaker": None, "date": ""}, **fact)) == EmbeddingText("", "Hi")


def test_when_an_event_happened_belongs_to_it() -> None:
    at = datetime(2026, 5, 8, 23, 30, tzinfo=UTC)
    said = memory("Hi", timestamp=at, type="episodic", metadata={"speaker": "Ann"})
    assert embedding_text(said) == EmbeddingText("Ann (8 May 2026): ", "Hi")
    assert embedding_text(memory("Hi", timestamp=at, type="working")).prefix == "(8 May 2026) "
    assert embedding_text(memory("Hi", timestamp=at, type="procedural")).prefix == ""


def test_a_title_comes_before_what_was_said_unless_it_is_said_there() -> None:
    fact: dict[str, Any] = {"type": "semantic"}
    titled = {"speaker": "Ann", "title": " Boats\n"}
    boats = memory("They float.", metadata=titled, **fact)
    assert embedding_text(boats) == EmbeddingText("Ann: Boats: ", "They float.")
    assert embedding_text(memory("\nBoats\nThey float.", metadata=titled, **fact)).prefix == "Ann: "
    for no_title in (None, "", " ", 7, ["Boats"]):
        assert embedding_text(memory("Hi", metadata={"title": no_title}, **fact)) == EmbeddingText("", "Hi")
    assert len(embedding_text(memory("Hi", metadata={"title": "x" * 9999}, **fact)).prefix) == TITLE_CHARACTERS + 2


def test_json_reads_as_lines() -> None:
    content = {"db": {"host": "h", "ports": [1, 2.5]}, "up": True, "note": None, "": "x"}
    assert content_text(memory(content)) == "db host: h\ndb ports: 1\ndb ports: 2.5\nup: true\nx"
    assert content_text(memory([1, "two"])) == "1\ntwo"
    assert content_text(memory(7)) == "7"
    assert content_text(memory({})) == ""


def test_full_text_also_reads_tags_and_the_rest_of_the_metadata() -> None:
    rest = {"speaker": "Ann", "room": {"name": "blue", "floor": 2}, "open": True, "none": None, "of": ["a", 1.5]}
    item = memory("Hi", metadata=rest, tags=("t1", "t2"), type="semantic")
    assert full_text(item) == "Ann: Hi\nt1 t2\nblue\nfloor 2\nopen true\na\nof 1.5"


def test_no_more_is_looked_at_than_parts_can_hold() -> None:
    assert len(embedding_text(memory("x" * 1_000_000)).body) == EMBEDDED_CHARACTERS
