"""Which memories are junk; and, more to the point, which are not."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import memory
from trinitas_tasks.policy.junk import junk

TURNS = [
    "Thanks!", "ok", "OK.", "yes", "No, no, no!", "haha", "hahaha", "lol", "thx 👍", "k", "Hi", "hmmmmm", "7", "42",
    "Bye bye!", "Very, very good.", "done", "LGTM", "+1", "Sorry, I'm late.", "了解です", "ありがとう", "はい", "うん",
    "笑", "www", "すごいすごい", "はははは", "おはようございます！", "OKです", "そうですね…", "いいえ", "なるほど〜",
    "ね", "감사합니다", "谢谢", "谢谢谢谢", "Danke!", "да", "ขอบคุณ", "شكرا",
]  # fmt: skip
SENTENCES = [
    "The staging database moved to port 5433.",
    "Never begin an answer with 'As an AI language model', Mika hates it.",
    "As an AI engineer I do not sleep much.",
    "As an AI team we cannot do without GPUs, so budget for four.",
    "The page still shows lorem ipsum in the footer; replace it before Friday.",
    "Lorem ipsum is dummy text that printers use.",
    "Sorry, I cannot come on Monday.",
    "Account 0000000000000000 is the test account.",
    "1111111111",
    "0 0 0 0 0 0 0 0 0 0 0 0",
    "-----------\nRelease notes\n-----------",
    "buffalo buffalo buffalo buffalo buffalo",
    "AIアシスタントとして採用されたのはアテナです。",
    "AIのため、予算を増やしました。",
    "東京都庁の展望台は夜も開いている",
    "手順：①電源を切る ②待つ ③入れる",
    "会議は30分まで、それ以上かかるなら文章にしてください。",
    "ああ、そうだった。鍵は救急箱の裏。",
    "いろはにほへとちりぬるを",
]
CODE = [
    "def f(x):\n    return x\n",
    "\n".join(f"    case {i}:\n        pass" for i in range(12)),
    "}\n" * 9 + "end",
    "SELECT a, b FROM t WHERE a = 1 AND b IN (1, 1, 1, 1, 1, 1);",
    "x = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]",
    "\n".join("0,0,0,0,0,0" for _ in range(400)),
    "| a | b |\n|---|---|\n" + "\n".join(f"| {i} | {' ' * 200} |" for i in range(40)),
    "\n".join(f"{i:02}:00 GET /health 200" for i in range(24)),
    "aGVsbG8gd29ybGQsIHRoaXMgaXMgYmFzZTY0IGFuZCBxdWl0ZSBsb25nIGluZGVlZA==",
    "AAAAB3NzaC1yc2EAAAADAQABAAABAQC7",
]
CONTENTS: list[Any] = [
    0, False, 3.5, [0] * 100, {"done": None}, {"ok": True}, {"rows": [{"a": 1, "b": "x"}] * 300}, ["OK"] * 50,
    {"kiosk": 3, "note": "squeaks"}, [[1, 0], [0, 1]],
]  # fmt: skip


@pytest.mark.parametrize("content", [*TURNS, *SENTENCES, *CODE, *CONTENTS], ids=lambda content: repr(content)[:40])
def test_what_people_and_agents_say_is_no_junk(content: Any) -> None:
    assert junk(memory(content)) is None


def test_no_memory_of_the_sample_is_junk() -> None:
    sample = Path(str(files("trinitas_tasks").joinpath("sample", "memories.jsonl"))).read_text("utf-8").splitlines()
    items = [memory(json.loads(line)["content"]) for line in sample]
    assert [(item.content, why) for item in items if (why := junk(item))] == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({}, "nothing in it"),
        ([], "nothing in it"),
        ("...", "only punctuation or pictures"),
        ("🎉🎉 !!", "only punctuation or pictures"),
        ("。。。", "only punctuation or pictures"),
        (["", "--"], "only punctuation or pictures"),
        ("test test test test test test", "one thing repeated"),
        ("Test, test! TEST test test test.", "one thing repeated"),
        ("テスト" * 7, "one thing repeated"),
        ("buy now " * 500, "one thing repeated"),
        ("あ" * 12, "one thing repeated"),
        ("asdf\n" * 40, "one thing repeated"),
        ("a" * 40 + "rgh", "one letter repeated"),
        ("すごいよ" + "ー" * 40, "one letter repeated"),
        ("connection lost, trying to connect to the server again\n" * 7, "the same lines repeated"),
        ("INFO waiting for the lock of the very long-winded resource manager\nretry\n" * 12, "the same lines repeated"),
        ("I'm sorry, but as an AI language model I cannot browse the web.", "a refusal in stock phrases"),
        ("As an AI, I don't have feelings.", "a refusal in stock phrases"),
        ("申し訳ありませんが、AI言語モデルとして、その質問にはお答えできません。", "a refusal in stock phrases"),
        ("Lorem ipsum dolor sit amet, consectetur adipiscing elit.", "placeholder text"),
        ("All work and no play makes Jack a very dull boy indeed. " * 60, "next to nothing in much text"),
        ("この文章には特に意味がありませんが、とても長く続くようにしてあります。そしてまだまだ続くのです。" * 40,
         "next to nothing in much text"),
    ],
    ids=lambda content: repr(content)[:40],
)  # fmt: skip
def test_junk_is_found_and_named(content: Any, why: str) -> None:
    assert junk(memory(content)) == why


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(str.strip))
def test_any_text_can_be_judged(text: str) -> None:
    why = junk(memory(text))
    assert why is None or why.strip()


WORD = st.text("abcdefghijklmnopqrstuvwxy", min_size=2, max_size=9).filter(lambda word: len(set(word)) > 1)


@given(st.lists(WORD, max_size=60, unique=True))
def test_different_words_are_no_junk(words: list[str]) -> None:
    """Only the first has a z, so nothing is repeated as a whole; no letter makes up nine tenths of any word."""
    assert junk(memory(" ".join(["zo", *words]))) is None


@given(st.text("abcdefgh", min_size=2, max_size=8), st.integers(6, 400))
def test_one_word_repeated_is_junk(word: str, times: int) -> None:
    assert junk(memory(" ".join([word] * times))) is not None
