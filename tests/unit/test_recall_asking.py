"""What a recall can be asked for: filters, boosts, pages, several personas, context, near-duplicates; and any text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.clients import Bench
from trinitas_tasks.client import EVERYBODY, MemoryClient
from trinitas_tasks.errors import InvalidQuery
from trinitas_tasks.policy.question import understand
from trinitas_tasks.query import Filters, Hit, Recall

T0 = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    for each in made.closing:
        each.close()


@pytest.fixture
def client(bench: Bench) -> MemoryClient:
    """Of athena, who remembers 30 cups of tea, one a day, and a word about coffee."""
    made = bench.client()
    for number in range(30):
        made.remember(
            f"cup {number} of green tea",
            id=f"m{number:02}",
            type=("semantic", "episodic")[number % 2],
            timestamp=T0 + timedelta(days=number),
            importance=number / 30,
            tags=["even" if number % 2 == 0 else "odd", f"n{number}"],
            metadata={"third": number % 3, "session": f"s{number // 10}"},
        )
    made.remember("Bob drinks coffee.", id="coffee", type="semantic", timestamp=T0)
    bench.world.settle()
    return made


def ids(hits: Recall | list[Hit]) -> list[str]:
    return [hit.item.id for hit in hits]


def numbers(recall: Recall) -> set[int]:
    return {int(each.removeprefix("m")) for each in ids(recall) if each != "coffee"}


FILTERS: list[tuple[dict[str, Any], set[int]]] = [
    ({"types": ["episodic"]}, set(range(1, 30, 2))),
    ({"any_tags": ["n3", "n4"]}, {3, 4}),
    ({"all_tags": ["odd", "n3"]}, {3}),
    ({"since": T0 + timedelta(days=25)}, set(range(25, 30))),
    ({"since": T0 + timedelta(days=2), "before": T0 + timedelta(days=5)}, {2, 3, 4}),
    ({"min_importance": 0.9}, {27, 28, 29}),
    ({"metadata": {"third": 2}}, set(range(2, 30, 3))),
    ({"metadata": {"third": "2"}}, set()),
    ({"metadata": {"session": "s1"}, "all_tags": ["even"]}, set(range(10, 20, 2))),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERS)
def test_exactly_what_the_filters_admit_is_found(
    client: MemoryClient, filters: dict[str, Any], expected: set[int]
) -> None:
    for asked in (filters, Filters(**filters)):
        assert numbers(client.recall("green tea", filters=asked, limit=100)) == expected
    paged = client.recall("green tea", filters=filters, limit=2)
    assert len(paged) == min(2, len(expected))
    assert numbers(paged) <= expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("green tea tag:n7", {7}),
        ("type:episodic tag:n7 tea", {7}),
        ("tea type:semantic tag:n7", set()),
        ("tag:n7", {7}),
        ("since:2026-05-29", {28, 29}),
        ("before:2026-05-03 tea", {0, 1}),
        ('"cup 12 of"', {12}),
        ("「cup 12 of」", {12}),
        ('"cup 99 of"', set()),
    ],
)
def test_operators_and_phrases_filter(client: MemoryClient, text: str, expected: set[int]) -> None:
    assert numbers(client.recall(text, limit=100)) == expected


def test_filters_that_exclude_each_other_find_nothing(client: MemoryClient) -> None:
    assert ids(client.recall("tea type:semantic", types="episodic")) == []
    assert ids(client.recall("since:2026-06 tea before:2026-05")) == []


def test_a_question_of_filters_alone_lists_the_newest_first(client: MemoryClient) -> None:
    assert ids(client.recall("tag:odd", limit=3)) == ["m29", "m27", "m25"]
    client.remember("new tea", id="new", tags=["odd"])
    assert ids(client.recall("tag:odd", limit=2)) == ["new", "m29"]
    assert ids(client.recall("")) == []


def test_quoted_words_within_a_question_raise_what_holds_them(client: MemoryClient) -> None:
    found = client.recall('Which "cup 12 of" tea was it?', limit=5)
    assert ids(found)[0] == "m12"
    assert found[0].why["quoted"] == 1.5
    assert len(found) == 5


def test_a_time_that_is_named_raises_what_is_of_it(client: MemoryClient) -> None:
    for text in ("green tea on 2026-05-08", "green tea on 8 May 2026", "2026年5月8日の green tea"):
        assert ids(client.recall(text))[0] == "m07"
    yesterday = client.recall("green tea yesterday", now=T0 + timedelta(days=10))
    assert ids(yesterday)[0] == "m09"
    assert yesterday[0].why["period"] == 1.0
    assert len(yesterday) == 10


def test_boosts_are_off_unless_asked_for_or_set(bench: Bench, client: MemoryClient) -> None:
    plain = client.recall("green tea", limit=30)
    assert not {"recency", "importance", "access"} & {name for hit in plain for name in hit.why}
    for number in range(3):
        at, importance = T0 + timedelta(days=number), (2 - number) / 2
        when = {"date": "once"}
        client.remember("Zoe sings.", id=f"z{number}", timestamp=at, importance=importance, metadata=when)
    bench.world.settle()
    now = T0 + timedelta(days=3)
    for boosts, expected in (({"recency": 1.0}, ["z2", "z1", "z0"]), ({"importance": 1.0}, ["z0", "z1", "z2"])):
        raised = client.recall("Who sings?", boosts=boosts, now=now, collapse=False, limit=3)
        assert ids(raised) == expected
    chosen = bench.client(TRINITAS_BOOSTS={"athena": {"importance": 1.0}})
    assert all(
        hit.why["importance"] == pytest.approx(2 * hit.item.importance, abs=1e-3) for hit in chosen.recall("tea")
    )
    assert "importance" not in chosen.recall("green tea", boosts={})[0].why
    for _ in range(20):
        client.get("z1")
    assert ids(client.recall("Who sings?", boosts={"access": 1.0}, collapse=False))[0] == "z1"


def test_pages_follow_each_other_without_gap_or_overlap(client: MemoryClient) -> None:
    whole = ids(client.recall("green tea", limit=100))
    paged: list[str] = []
    after = None
    while True:
        page = client.recall("green tea", limit=7, after=after)
        paged += ids(page)
        if (after := page.next) is None:
            break
    assert paged == whole
    assert len(set(whole)) == 31


def test_a_cursor_belongs_to_its_question(client: MemoryClient) -> None:
    after = client.recall("green tea", limit=7).next
    assert after is not None
    others: list[tuple[str, list[str]]] = [("coffee", []), ("green tea", ["semantic"])]
    for text, types in others:
        with pytest.raises(InvalidQuery, match="another question"):
            client.recall(text, types=types, after=after)
    for wrong in ("", "x", "7", "7-", f"-1-{after}", after + "0", "7-" + "z" * 16):
        with pytest.raises(InvalidQuery, match="not a cursor"):
            client.recall("green tea", after=wrong)


def test_what_is_less_relevant_is_left_out(client: MemoryClient) -> None:
    every = client.recall("green tea", limit=100)
    assert all(0 <= hit.score <= 1 for hit in every)
    least = every[3].score
    assert ids(client.recall("green tea", limit=100, min_similarity=least)) == [
        h.item.id for h in every if h.score >= least
    ]
    assert ids(client.recall("green tea", min_similarity=1.0)) == []


def test_neighbours_come_with_a_hit_if_asked_for(client: MemoryClient) -> None:
    [hit] = client.recall("tea tag:n12", context=2, limit=1)
    assert [[item.id for item in near] for near in (hit.before, hit.after)] == [["m10", "m11"], ["m13", "m14"]]
    [first] = client.recall("tea tag:n10", context=2, limit=1)
    assert [[item.id for item in near] for near in (first.before, first.after)] == [[], ["m11", "m12"]]
    assert client.recall("tea tag:n12")[0].before == ()


def test_neighbours_that_were_not_shared_are_not_shown(bench: Bench, client: MemoryClient) -> None:
    for each in ("m12", "m13"):
        client.share(each, to="hera")
    [hit] = bench.client(persona="hera").recall("tea tag:n12", context=2)
    assert [[item.id for item in near] for near in (hit.before, hit.after)] == [[], ["m13"]]


def test_near_duplicates_are_one_hit_that_names_the_others(bench: Bench, client: MemoryClient) -> None:
    for number, text in enumerate(["Zoe sings in the choir.", "zoe sings in the choir", "Zoe sings in  the CHOIR!"]):
        client.remember(text, id=f"z{number}", type="semantic")
    bench.world.settle()
    [hit, *_] = client.recall("Who sings in the choir?")
    assert {hit.item.id, *(key.id for key in hit.similar)} == {"z0", "z1", "z2"}
    apart = client.recall("Who sings in the choir?", collapse=False)
    assert set(ids(apart)[:3]) == {"z0", "z1", "z2"}
    assert all(each.similar == () for each in apart)


def test_an_explanation_says_which_words_were_found(client: MemoryClient) -> None:
    [hit] = client.recall("Is there any green tea left?", limit=1, explain=True)
    assert hit.why["words"] == ["green", "tea"]
    assert {"coverage", "similarity", "trust", "dense_rank", "fulltext_rank"} <= hit.why.keys()
    assert "words" not in client.recall("Is there any green tea left?", limit=1)[0].why


# Scopes.


def test_several_personas_are_searched_at_once(bench: Bench, client: MemoryClient) -> None:
    hera, zeus = bench.client(persona="hera"), bench.client(persona="zeus")
    hera.remember("Hera drinks coffee with milk.", id="coffee")
    zeus.remember("Zeus drinks coffee too.", id="his")
    bench.world.settle()
    found = client.recall("coffee drinks", persona=["athena", "hera"])
    assert {(hit.item.persona, hit.item.id) for hit in found if "coffee" in hit.item.content} == {
        ("athena", "coffee"),
        ("hera", "coffee"),
    }
    assert all(hit.item.persona != "zeus" for hit in found)


def test_everybody_is_searched_only_where_that_is_allowed(bench: Bench, client: MemoryClient) -> None:
    with pytest.raises(InvalidQuery, match="TRINITAS_ALL_PERSONAS"):
        client.recall("coffee", persona=EVERYBODY)
    bench.client(persona="hera").remember("Hera drinks coffee with milk.", id="hers")
    bench.world.settle()
    allowed = bench.client(persona=None, TRINITAS_ALL_PERSONAS=True)
    found = allowed.recall("who drinks coffee", persona=EVERYBODY, limit=2)
    assert {hit.item.id for hit in found} == {"hers", "coffee"}


def test_workers_that_do_not_allow_it_search_for_nobody_else(bench: Bench, client: MemoryClient) -> None:
    deceived = bench.client(TRINITAS_ALL_PERSONAS=True)
    deceived._dispatcher = client._dispatcher  # its workers have other settings
    with pytest.raises(InvalidQuery, match="these workers"):
        deceived.recall("coffee", persona=EVERYBODY)


@pytest.mark.parametrize("persona", [[], ["../x"], ["athena", ""], "../x", ["*"]])
def test_bad_personas_are_refused(client: MemoryClient, persona: Any) -> None:
    with pytest.raises(InvalidQuery, match="persona"):
        client.recall("tea", persona=persona)


# Whatever the text is.

HOSTILE = [
    "", " ", "?", '"', '""', '"""', "「", "」「", "'; DROP TABLE memories; --", "a AND (b OR NOT c)", "tea*", "^tea",
    "-tea", "NEAR(tea, 3)", "own:tea", "tea~2", "[tea TO z]", "tag:", "type:nothing", "before:", "since:yesterdayish",
    "http://x", "🦊", "🦊🦊🦊", "of the and", "お茶", "茶", "茶 tea ちゃ 차", "\u200b", "t\u200be\u200ba", "\u202etea",
    "ﾃｨｰ", "tea" * 30_000, "tea " * 25_000, "茶" * 50_000, '"' * 100_000, "tag:x " * 15_000, "1" * 100_000, "\\", "%00",
    "a" + "\u0301" * 5_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_answered_or_refused_with_a_reason(client: MemoryClient, text: str) -> None:
    found = client.recall(text)
    assert found.degraded == ()
    assert len(found) <= 10


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=300))
def test_any_text_is_answered_or_refused_with_a_reason(client: MemoryClient, text: str) -> None:
    try:
        assert client.recall(text).degraded == ()
    except InvalidQuery as refused:
        assert "text" in str(refused)  # noqa: PT017 - either is right
    assert understand(text, now=T0).text is not None


def test_the_plans_own_question(bench: Bench) -> None:
    client = bench.client()
    for text in ("Python programming", "Python development", "Java programming"):
        client.remember(text, type="semantic")
    bench.world.settle()
    assert {hit.item.content for hit in client.recall("Python coding", limit=2)} == {
        "Python programming",
        "Python development",
    }
