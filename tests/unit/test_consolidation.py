"""What becomes of working memories, and who stands for several that say the same."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import memory
from trinitas_tasks.model import Key, MemoryType
from trinitas_tasks.policy.consolidation import Candidate, InferType, groups, infer, representative, worth_keeping
from trinitas_tasks.policy.life import DEFAULT, Rules

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PROCEDURES = [
    "1. Stop the worker.\n2. Run the migration.\n3. Start it again.",
    "How to rotate the key: open Settings, choose Keys, press Rotate.",
    "To restore a backup: copy the file to the new host, then run `infra/restore.sh --verify`.",
    "If the kiosk freezes, hold both buttons for ten seconds.",
    "```sh\ngit pull\nmake deploy\n```",
    "First unplug the reader, then wait a minute.",
    "手順：①電源を切る ②一分待つ ③もう一度入れる",
    "まず管理画面を開いてください。次に「返金」を押してください。",
    "鍵を更新するには、設定画面を開いて「更新」を押す。",
]
FACTS = [
    "Mika is allergic to peanuts.",
    "The primary database runs on port 5432.",
    "PH-1303 means that the bank did not answer.",
    "Daniel lives in Lisbon and prefers short messages.",
    "timeout_seconds = 30",
    "Her birthday is always a holiday.",
    {"host": "umi-1", "port": 5432, "owner": "Daniel"},
    "「もやい」とは船を岸につなぐ綱のことです。",
    "美香さんはそばアレルギーです。",
    "大西さんは魚が好きです。",
    "ペットは籠に入れて300円です。",
]
EVENTS = [
    "We deployed the new release yesterday and it broke the gate.",
    "Daniel said that he will come on Monday.",
    "The meeting with Ms. Hamaguchi was moved to Thursday.",
    "Fog this morning, three sailings were cancelled.",
    "On 24 March two people bought the same seat.",
    "昨日、浜口さんと会って話しました。",
    "今朝、三番のキオスクが止まった。",
    "おつかれさまでした！",
    {"event": "outage", "at": "2026-03-24T08:10:00Z", "minutes": 12},
    "Thanks!",
    "了解です、明日やります！",
    "...",
]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        *((content, MemoryType.PROCEDURAL) for content in PROCEDURES),
        *((content, MemoryType.SEMANTIC) for content in FACTS),
        *((content, MemoryType.EPISODIC) for content in EVENTS),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_memory_tells_what_kind_it_is(content: Any, kind: MemoryType) -> None:
    assert infer(memory(content, type="working")) is kind


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"tags": ("Runbook",)}, MemoryType.PROCEDURAL),
        ({"tags": ("staging", "手順書")}, MemoryType.PROCEDURAL),
        ({"tags": ("preference",)}, MemoryType.SEMANTIC),
        ({"metadata": {"kind": "fact"}}, MemoryType.SEMANTIC),
        ({"metadata": {"category": "meeting"}, "tags": ("fact",)}, MemoryType.EPISODIC),
        ({"metadata": {"kind": 7}, "tags": ("red",)}, MemoryType.EPISODIC),
    ],
)
def test_what_its_author_says_counts_most(fields: dict[str, Any], kind: MemoryType) -> None:
    assert infer(memory("We met.", **fields)) is kind


def test_the_sample_is_told_apart_as_well_as_before() -> None:
    """Its authors' own types, which rules can only come near; these are what they reached, less a few."""
    sample = Path(str(files("trinitas_tasks").joinpath("sample", "memories.jsonl"))).read_text("utf-8").splitlines()
    found: Counter[tuple[str, str]] = Counter()
    for line in sample:
        fields = json.loads(line)
        found[fields["type"], infer(memory(fields["content"]))] += 1
    assert found["procedural", "procedural"] >= 13  # of 17
    assert found["semantic", "semantic"] >= 50  # of 84
    assert found["episodic", "episodic"] >= 170  # of 233
    assert found["semantic", "procedural"] + found["episodic", "procedural"] <= 8


WRITTEN = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(str.strip)
JSON = st.recursive(
    st.booleans() | st.integers(-9, 9) | WRITTEN,
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(WRITTEN, inner, min_size=1, max_size=3),
    max_leaves=6,
)


@given(JSON)
def test_whatever_it_holds_it_becomes_a_lasting_memory(content: Any) -> None:
    rule: InferType = infer
    item = memory(content, type="working")
    assert rule(item) is rule(item)
    assert rule(item) is not MemoryType.WORKING


# What is kept.


@pytest.mark.parametrize(
    ("fields", "score", "pinned", "why"),
    [
        ({}, 0.59, False, None),
        ({}, 0.6, False, "importance 0.60 (enough: 0.60)"),
        ({"importance": 0.9}, None, False, "importance 0.90 (enough: 0.60)"),
        ({"importance": 0.9}, 0.2, False, None),
        ({"access_count": 3}, 0.0, False, "read 3 times (enough: 3)"),
        ({"access_count": 2}, 0.0, False, None),
        ({"access_count": 9}, 0.9, True, "pinned"),
    ],
)
def test_what_is_worth_keeping_is_kept(
    fields: dict[str, Any], score: float | None, pinned: bool, why: str | None
) -> None:
    assert worth_keeping(memory(type="working", **fields), score, pinned, DEFAULT) == why


def test_the_rules_decide_what_is_enough() -> None:
    rules = Rules(keep_score=0.3, keep_reads=1)
    assert worth_keeping(memory(type="working"), 0.3, False, rules) is not None
    assert worth_keeping(memory(access_count=1), 0.0, False, rules) == "read once (enough: 1)"


@given(scores=st.tuples(st.floats(0, 1), st.floats(0, 1)), reads=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_what_is_more_important_or_read_is_not_kept_less(scores: tuple[float, float], reads: tuple[int, int]) -> None:
    kept = [
        worth_keeping(memory(access_count=count), score, False, DEFAULT) is not None
        for score, count in zip(sorted(scores), sorted(reads), strict=True)
    ]
    assert kept[0] <= kept[1]


# Who stands for all.


def candidate(name: str, **fields: Any) -> Candidate:
    return Candidate(Key("athena", name), **{"pinned": False, "score": 0.5, "reads": 1, "since": NOW, **fields})


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"pinned": True, "score": 0.1, "reads": 0}, {"score": 0.9, "reads": 9}),
        ({"score": 0.6, "reads": 0}, {"score": 0.5, "reads": 9}),
        ({"reads": 2}, {"since": NOW - timedelta(days=9)}),
        ({"since": NOW - timedelta(days=9)}, {}),
    ],
)
def test_the_pinned_then_the_important_then_the_read_then_the_oldest(
    better: dict[str, Any], worse: dict[str, Any]
) -> None:
    one, other = candidate("z", **better), candidate("a", **worse)
    assert representative([one, other]) == representative([other, one]) == one


@given(
    st.lists(
        st.builds(candidate, st.text("abc", min_size=1), score=st.sampled_from([0.1, 0.5]), pinned=st.booleans()),
        min_size=1,
        unique_by=lambda each: each.key,
    ),
    st.randoms(),
)
def test_who_stands_for_all_does_not_depend_on_the_order(items: list[Candidate], shuffled: random.Random) -> None:
    other = list(items)
    shuffled.shuffle(other)
    assert representative(other) == representative(items)


# Groups.

PAIRS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")), max_size=12).map(
    lambda pairs: [(Key("athena", one), Key("athena", other)) for one, other in pairs]
)


def test_pairs_that_share_a_memory_are_one_group() -> None:
    pairs = [("d", "e"), ("b", "a"), ("c", "b"), ("f", "f")]
    found = groups((Key("athena", one), Key("athena", other)) for one, other in pairs)
    assert [[key.id for key in group] for group in found] == [["a", "b", "c"], ["d", "e"]]


@given(pairs=PAIRS, shuffled=st.randoms())
def test_groups_are_disjoint_and_do_not_depend_on_the_order(
    pairs: list[tuple[Key, Key]], shuffled: random.Random
) -> None:
    found = groups(pairs)
    other = [(two, one) for one, two in pairs]
    shuffled.shuffle(other)
    assert groups(other) == found
    members = [key for group in found for key in group]
    assert len(members) == len(set(members))
    where = {key: number for number, group in enumerate(found) for key in group}
    assert all(one == two or where[one] == where[two] for one, two in pairs)
    assert set(where) == {key for pair in pairs if pair[0] != pair[1] for key in pair}
    assert all(len(group) > 1 for group in found)
