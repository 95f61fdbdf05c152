"""Evaluating a folder by way of a client: it waits for what it must, and the figures are those of the answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.clients import Bench, Held
from tests.unit.folders import DOCUMENTS, Lines, prepared, written
from tests.unit.world import Away
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.interfaces.evaluation.folder import load
from trinitas_tasks.interfaces.evaluation.running import STALLED_SECONDS, Evaluation
from trinitas_tasks.policy.metrics import compare
from trinitas_tasks.query import Ranking
from trinitas_tasks.tiers.hot.memory import MemoryHotTier


class Time:
    """A clock that passes where somebody sleeps, and what happens meanwhile."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.meanwhile = meanwhile
        self.slept = 0.0
        self.told: list[tuple[str, int, int]] = []

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.meanwhile()

    def watch(self, doing: str, done: int, total: int) -> None:
        self.told.append((doing, done, total))


def evaluation(client: MemoryClient, folder: Path, time: Time) -> Evaluation:
    return Evaluation(client, prepared(load(folder)), time.watch, time.sleep)


def test_the_figures_are_those_of_the_answers(bench: Bench, tmp_path: Path) -> None:
    time = Time()
    report = evaluation(bench.client(persona=None), written(tmp_path), time).run()
    assert report.degraded == ()
    for ranking in Ranking:
        assert report.scores[ranking].keys() == {"q1", "q2", "q3"}
        assert report.overall(ranking)["n"] == 3
        assert {name: each["n"] for name, each in report.by_category(ranking).items()} == {"4": 1, "tea": 2}
    words = report.overall(Ranking.FULLTEXT)
    assert (words["recall@10"], words["hit@1"]) == (1.0, 1.0)
    assert report.scores[Ranking.FULLTEXT]["q1"]["recall@1"] == 0.5
    assert len(report.latencies) == 3
    assert {doing for doing, _, _ in time.told} >= {"remembering", "timing recalls", "asking"}
    assert all(0 <= done <= total for _, done, total in time.told)


def test_the_report_says_all_of_it_as_json(bench: Bench, tmp_path: Path) -> None:
    report = evaluation(bench.client(persona=None), written(tmp_path), Time()).run()
    told = json.loads(json.dumps(report.as_json()))
    assert told["fused"]["overall"] == report.overall(Ranking.FUSED)
    assert set(told) >= {"fused", "dense", "fulltext", "compared", "latency_ms"}
    assert {"n", "recall@1", "recall@5", "recall@10", "hit@1", "mrr", "ndcg@10"} <= told["dense"]["overall"].keys()
    assert set(told["fulltext"]["by_category"]) == {"4", "tea"}
    assert 0 < told["latency_ms"]["p50"] <= told["latency_ms"]["p99"]
    assert (told["documents"], told["groups"], told["queries"]) == (5, 2, 3)
    for metric in ("recall@10", "mrr"):
        better = max(("dense", "fulltext"), key=lambda name: float(told[name]["overall"][metric]))
        expected = compare(report.scores[Ranking.FUSED], report.scores[Ranking(better)], metric)
        assert told["compared"][metric] == {"against": better, **expected._asdict()}


def test_each_way_of_ranking_is_its_own_list(bench: Bench, tmp_path: Path) -> None:
    client = bench.client(persona=None)
    made = evaluation(client, written(tmp_path), Time())
    made.remember()
    found = made.rankings({})
    assert found[Ranking.FULLTEXT]["q2"] == ["D1:1"]
    assert set(found[Ranking.DENSE]["q2"]) == {"D1:1", "D1:2", "D1:3"}  # a vector is near to all, more or less
    assert set(found[Ranking.FUSED]["q2"]) == {"D1:1", "D1:2", "D1:3"}
    for ranked in found.values():
        assert set(ranked["q3"]) <= {"東京/1", "東京/2"}  # of its group alone


def test_a_full_outbox_is_waited_for(bench: Bench, tmp_path: Path) -> None:
    bench.world.hot = MemoryHotTier(clock=bench.world.now, outbox_limit=3)
    time = Time(bench.world.settle)
    many: Lines = [*DOCUMENTS, *({"id": f"x{each}", "group": "日本", "text": f"memory {each}"} for each in range(40))]
    made = evaluation(bench.client(Held, persona=None), written(tmp_path, documents=many), time)
    made.remember()
    made.settle()
    assert time.slept > 0
    stats = bench.world.archive.stats("group-1"), bench.world.archive.stats("group-2")
    assert [sum(each.by_type.values()) for each in stats] == [3, 42]


def test_the_questions_wait_until_everything_is_indexed(bench: Bench, tmp_path: Path) -> None:
    made = evaluation(bench.client(Held, persona=None), written(tmp_path), Time(bench.world.settle))
    report = made.run()
    assert report.overall(Ranking.FULLTEXT)["recall@10"] == 1.0


def test_a_stack_that_does_nothing_is_given_up(bench: Bench, tmp_path: Path) -> None:
    time = Time()
    made = evaluation(bench.client(Held, persona=None), written(tmp_path), time)
    with pytest.raises(Unavailable, match="5 documents wait to be archived, and nothing changed for 300 s"):
        made.run()
    assert STALLED_SECONDS - 1 < time.slept < STALLED_SECONDS + 1


def test_an_answer_without_a_tier_is_told(bench: Bench, tmp_path: Path) -> None:
    made = evaluation(bench.client(persona=None), written(tmp_path), Time())
    made.remember()
    bench.world.vectors = Away(bench.world.vectors, "query")
    degraded: dict[str, None] = {}
    made = evaluation(bench.client(persona=None), tmp_path, Time())
    made.rankings(degraded)
    assert [each.partition(":")[0] for each in degraded] == ["chroma"]


def test_what_the_watch_raises_ends_it(bench: Bench, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(doing: str, done: int, total: int) -> None:  # noqa: ARG001 - see Watch
        if doing == "asking":
            raise Stop

    with pytest.raises(Stop):
        Evaluation(bench.client(persona=None), prepared(load(written(tmp_path))), stop).run()
