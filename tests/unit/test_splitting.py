"""Long texts are cut into parts that a model reads whole, and nothing is lost between them."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trinitas_tasks.embedding.splitting import PART_CHARACTERS, Splitter
from trinitas_tasks.embedding.stub import HashEmbedder
from trinitas_tasks.policy.text import MAX_PARTS

WINDOW = 16
EMBEDDER = HashEmbedder(window=WINDOW)
WORDS = st.sampled_from(
    ["a", "boat", "sails,", "home.", "Then?", "\n\n", "船が", "出る。", "🦊", "é", " ", "\u200b", "x" * 90]
)
TEXTS = st.one_of(st.text(max_size=400), st.lists(WORDS, max_size=200).map(" ".join), st.lists(WORDS).map("".join))


def words(text: str) -> list[tuple[int, int]]:
    """A tokenizer whose words stand between spaces."""
    return [match.span() for match in re.finditer(r"\S+", text)]


def uncovered(text: str, pieces: list[str]) -> str:
    """The characters, but for spaces, that no piece holds."""
    held = [character.isspace() for character in text]
    for piece in pieces:
        for match in re.finditer(f"(?={re.escape(piece)})", text):
            held[match.start() : match.start() + len(piece)] = [True] * len(piece)
    return "".join(character for character, here in zip(text, held, strict=True) if not here)


@given(TEXTS, st.sampled_from(["", "Ann: ", "Ann (8 May): ", "A title of several words indeed: "]))
@example("", "Ann: ")
@example(" " * 5000, "")
@example("home. " * 16 + "x", "")
def test_every_character_is_in_a_part_and_every_part_is_read_whole(text: str, prefix: str) -> None:
    parts = EMBEDDER.split(text, prefix=prefix)
    assert parts
    assert all(len(_tokens(part)) <= WINDOW for part in parts)
    head = prefix if parts == [prefix + text] else prefix[: len(_common(parts, prefix))]
    if len(parts) < MAX_PARTS:
        assert uncovered(text, [part.removeprefix(head) for part in parts]) == ""


def _tokens(text: str) -> list[tuple[int, int]]:
    splitter = Splitter(words, 1)
    return [*splitter.offsets(text)]


def _common(parts: list[str], prefix: str) -> str:
    """What of the prefix all parts begin with."""
    return next(prefix[:size] for size in range(len(prefix), -1, -1) if all(p.startswith(prefix[:size]) for p in parts))


@given(st.text(max_size=200), st.text(max_size=20))
def test_what_fits_is_one_text_as_it_is(text: str, prefix: str) -> None:
    assert HashEmbedder(window=220).split(text, prefix=prefix) == [prefix + text]


@given(st.lists(st.sampled_from(["one", "two. ", "三", "。", " ", "four "]), max_size=300).map("".join))
def test_the_prefix_is_before_every_part(text: str) -> None:
    assert all(part.startswith("Ann: ") for part in EMBEDDER.split(text, prefix="Ann: "))


def test_a_text_is_cut_at_its_best_end_near_the_window() -> None:
    def cut(text: str) -> list[str]:
        return [part.strip() for part in Splitter(words, 8, overlap=0).split(text, "")]

    assert cut("a b c d e f. g h i j") == ["a b c d e f.", "g h i j"]
    assert cut("a b c d e f? g.\n\nh i j") == ["a b c d e f? g.", "h i j"]
    assert cut("a b c d e f\ng. h i j") == ["a b c d e f", "g. h i j"]
    assert cut("a. b c d e f g h i j") == ["a. b c d e f g h", "i j"], "too far from the window"
    assert cut("a b c d e f 1.5 h i j") == ["a b c d e f 1.5 h", "i j"], "a point in a number ends nothing"
    assert cut('a b c d e f! g." h i j') == ['a b c d e f! g."', "h i j"]


def test_japanese_is_cut_at_its_sentences() -> None:
    text = "船は朝に出た。昼に着いた！」と兄が言った。" * 3
    parts = EMBEDDER.split(text)
    assert all(part[-1] in "。」" for part in parts)
    assert uncovered(text, parts) == ""


def test_neighbours_share_a_sentence_where_there_is_a_short_one_else_some_words() -> None:
    text = "one two three four five six seven eight nine. ten eleven. twelve thirteen fourteen"
    assert Splitter(words, 12, overlap=4).split(text, "") == [
        "one two three four five six seven eight nine. ten eleven.",
        " ten eleven. twelve thirteen fourteen",
    ]
    numbers = " ".join(map(str, range(20)))
    first, second = Splitter(words, 12, overlap=3).split(numbers, "")
    assert first.split()[-1] == "11"
    assert second.split()[0] == "9"


@pytest.mark.parametrize("prefix", ["word " * 100, "w" * 100_000, "題" * 3000])
def test_a_long_prefix_leaves_room_for_the_text(prefix: str) -> None:
    parts = EMBEDDER.split(" ".join(f"boat {n}" for n in range(50)), prefix=prefix)
    assert len(parts) > 1
    assert all("boat" in part and part[0] == prefix[0] for part in parts)
    assert all(len(part) <= PART_CHARACTERS for part in parts)


@pytest.mark.parametrize(
    "text", ["x" * 1_000_000, "船" * 1_000_000, "ab " * 330_000, " " * 1_000_000, "🦊" * 1_000_000, "." * 1_000_000]
)
def test_of_a_huge_text_no_more_is_tokenized_than_is_needed(text: str) -> None:
    tokenized = 0

    def counted(some: str) -> list[tuple[int, int]]:
        nonlocal tokenized
        tokenized += len(some)
        return words(some) if " " in some else [(place, place + 1) for place in range(len(some))]

    different = "".join(f"{n} {text[n * 100 : n * 100 + 100]}" for n in range(len(text) // 100))
    parts = Splitter(counted, 128).split(different, "Ann: ")
    assert len(parts) == MAX_PARTS
    assert tokenized <= (MAX_PARTS + 2) * 2 * PART_CHARACTERS


def test_a_text_that_is_spelt_out_is_cut_into_smaller_parts() -> None:
    def offsets(text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"[a-z]+|\S", text)]

    splitter = Splitter(offsets, 40, 20)
    assert max(len(offsets(part)) for part in splitter.split("船は朝に出た。" * 20, "")) == 20
    assert len(splitter.split("船は朝に出た。" * 3, "")) == 2
    assert max(len(offsets(part)) for part in splitter.split("the boat sails " * 20, "")) == 40


def test_a_part_is_read_whole_where_its_end_has_more_tokens_than_it_had_in_the_text() -> None:
    def offsets(text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"[a-z]+\.?(?= )|\S", text)]  # the last word is spelt out

    parts = Splitter(offsets, 12, overlap=0).split("boats sail. " * 20, "Ann: ")
    assert max(len(offsets(part)) for part in parts) <= 12


def test_equal_parts_are_told_once() -> None:
    assert EMBEDDER.split("x" * 3 * PART_CHARACTERS) == ["x" * PART_CHARACTERS]


def test_space_alone_is_one_text() -> None:
    assert EMBEDDER.split(" " * 10_000, prefix="Ann: ") == ["Ann: " + " " * PART_CHARACTERS]
    assert EMBEDDER.split("") == [""]


def test_the_stub_reads_no_more_than_its_window() -> None:
    read, beyond = EMBEDDER.encode(["boat " * WINDOW, "boat " * WINDOW + "train " * 100])
    assert read == pytest.approx(beyond)
