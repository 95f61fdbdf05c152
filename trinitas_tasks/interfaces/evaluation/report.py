"""What an evaluation came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from trinitas_tasks.interfaces.evaluation.folder import Dataset
from trinitas_tasks.policy.metrics import Interval, Scores, by_category, compare, mean, percentile
from trinitas_tasks.query import Ranking

COMPARED: Final = ("recall@10", "mrr")
SINGLE: Final = (Ranking.DENSE, Ranking.FULLTEXT)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much better the fused ranking is than the better of the two single ones, by one metric."""

    against: Ranking
    interval: Interval


@dataclass(frozen=True)
class Report:
    """The scores of each question by ranking and id, recall latencies in ms, how long each phase took, and why answers
    were not what they should be (the scores then are not either)."""

    dataset: Dataset
    scores: Mapping[Ranking, Mapping[str, Scores]]
    latencies: Sequence[float]
    seconds: Mapping[str, float]
    degraded: tuple[str, ...] = ()

    def overall(self, ranking: Ranking) -> dict[str, float]:
        """The means over all questions."""
        return mean(list(self.scores[ranking].values()))

    def by_category(self, ranking: Ranking) -> dict[str, dict[str, float]]:
        """The means over the questions of each category."""
        categories = {each.id: each.category for each in self.dataset.questions}
        return by_category([(categories[each], scores) for each, scores in self.scores[ranking].items()])

    @cached_property
    def compared(self) -> dict[str, Comparison]:
        """By metric."""
        return {metric: self._compared(metric) for metric in COMPARED}

    def _compared(self, metric: str) -> Comparison:
        better = max(SINGLE, key=lambda ranking: self.overall(ranking)[metric])
        return Comparison(better, compare(self.scores[Ranking.FUSED], self.scores[better], metric))

    @property
    def p50_ms(self) -> float:
        """Half of the recalls took no longer."""
        return percentile(self.latencies, 0.5)

    @property
    def p99_ms(self) -> float:
        """99 of 100 recalls took no longer."""
        return percentile(self.latencies, 0.99)

    def as_json(self) -> dict[str, Any]:
        """As `trinitas eval --json` prints it."""
        return {
            **{each.value: {"overall": self.overall(each), "by_category": self.by_category(each)} for each in Ranking},
            "compared": {
                metric: {"against": each.against.value, **each.interval._asdict()}
                for metric, each in self.compared.items()
            },
            "latency_ms": {
                "p50": round(self.p50_ms, 2),
                "p99": round(self.p99_ms, 2),
                "calls": len(self.latencies),
            },
            "folder": str(self.dataset.folder),
            "documents": len(self.dataset.documents),
            "groups": len(self.dataset.groups),
            "queries": len(self.dataset.questions),
            "seconds": dict(self.seconds),
            "degraded": list(self.degraded),
        }
