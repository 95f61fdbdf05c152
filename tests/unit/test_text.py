"""Which terms text falls into and what of a memory is embedded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import memory
from trinitas_tasks.policy.text import (
    EMBEDDED_CHARACTERS,
    cjk_share,
    content_text,
    content_words,
    embedding_text,
    full_text,
    index_terms,
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
        ("🦊 !? \n", []),
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


def test_meaningless_words_count_only_where_there_is_nothing_else() -> None:
    assert content_words(["what", "is", "redis"]) == {"redis"}
    assert content_words(["what", "is"]) == {"what", "is"}
    assert content_words([]) == set()


@pytest.mark.parametrize(
    ("text", "share"), [("", 0), ("🦊!", 0), ("abc", 0), ("東京", 1), ("ab東京", 0.5), ("ＡＢ東京", 0.5), ("한글", 1)]
)
def test_the_share_of_cjk_is_that_of_letters(text: str, share: float) -> None:
    assert cjk_share(text) == share


def test_who_said_it_and_when_comes_before_what_was_said() -> None:
    who_when = {"speaker": "Ann", "date": "8 May", "session": 3}
    assert embedding_text(memory("Hi", metadata=who_when)) == "Ann (8 May): Hi"
    assert embedding_text(memory("Hi", metadata={"speaker": "Ann"})) == "Ann: Hi"
    assert embedding_text(memory("Hi", metadata={"date": "8 May"})) == "(8 May) Hi"
    assert embedding_text(memory("Hi", metadata={"speaker": None, "date": ""})) == "Hi"


def test_json_reads_as_lines() -> None:
    content = {"db": {"host": "h", "ports": [1, 2.5]}, "up": True, "note": None, "": "x"}
    assert content_text(memory(content)) == "db host: h\ndb ports: 1\ndb ports: 2.5\nup: true\nx"
    assert content_text(memory([1, "two"])) == "1\ntwo"
    assert content_text(memory(7)) == "7"
    assert content_text(memory({})) == ""


def test_full_text_also_reads_tags_and_the_rest_of_the_metadata() -> None:
    item = memory("Hi", metadata={"speaker": "Ann", "room": {"name": "blue"}}, tags=("t1", "t2"))
    assert full_text(item) == "Ann: Hi\nt1 t2\nroom name: blue"


def test_no_more_is_embedded_than_a_model_reads() -> None:
    assert len(embedding_text(memory("x" * 100_000, metadata={"speaker": "Ann"}))) == EMBEDDED_CHARACTERS
