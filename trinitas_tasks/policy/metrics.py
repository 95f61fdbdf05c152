"""How good rankings are: recall, hit, MRR, nDCG, and whether one way of ranking beats another.

recall@k: the share of a question's relevant documents among the first k. hit@k: 1 if any of them is. mrr: 1 / rank of
the first one (Voorhees, TREC-8, 1999). ndcg@10: the sum of 1 / log2(rank + 1) over the relevant ones in the first ten,
divided by that of the best possible ranking (Järvelin and Kekäläinen, TOIS 2002; every relevant one gains the same).
Only the first 100 of a ranking are looked at. Over several questions all are means.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

DEPTH: Final = 100
"""How much of a ranking counts."""
CUTOFFS: Final = (1, 5, 10)
GAIN_DEPTH: Final = 10
MAX_CATEGORIES: Final = 20
"""More than these are no categories but names, of articles say: nobody reads a table of them."""
BOUNDS: Final = (0.025, 0.975)
"""Percentiles between which a 95 % confidence interval lies."""

Scores = Mapping[str, float]
"""The metrics of one ranking by name, each 0 to 1."""


class Interval(NamedTuple):
    """A mean difference and the bounds of its 95 % confidence interval."""

    difference: float
    low: float
    high: float


def score(ranked: Sequence[str], relevant: Collection[str]) -> dict[str, float]:
    """The metrics of one ranking, best first, of ids; one that comes twice counts where it comes first.

    ``relevant`` holds at least one id.
    """
    first = list(dict.fromkeys(ranked))[:DEPTH]
    ranks = [rank for rank, each in enumerate(first, 1) if each in relevant]
    scores: dict[str, float] = {}
    for cutoff in CUTOFFS:
        found = sum(rank <= cutoff for rank in ranks)
        scores[f"recall@{cutoff}"] = found / len(relevant)
        scores[f"hit@{cutoff}"] = float(found > 0)
    scores["mrr"] = 1 / ranks[0] if ranks else 0.0
    best = sum(_gain(rank) for rank in range(1, min(GAIN_DEPTH, len(relevant)) + 1))
    scores[f"ndcg@{GAIN_DEPTH}"] = sum(_gain(rank) for rank in ranks if rank <= GAIN_DEPTH) / best
    return scores


def _gain(rank: int) -> float:
    return 1 / math.log2(rank + 1)


def mean(rows: Sequence[Scores]) -> dict[str, float]:
    """The mean of each metric, and as ``n`` of how many questions. Of none at all: only ``n``."""
    names = rows[0] if rows else ()
    return {"n": len(rows), **{name: sum(row[name] for row in rows) / len(rows) for name in names}}


def by_category(rows: Sequence[tuple[str, Scores]]) -> dict[str, dict[str, float]]:
    """The means of each category, in order of their names; nothing where there are more than MAX_CATEGORIES."""
    grouped: defaultdict[str, list[Scores]] = defaultdict(list)
    for category, scores in rows:
        grouped[category].append(scores)
    if len(grouped) > MAX_CATEGORIES:
        return {}
    return {category: mean(grouped[category]) for category in sorted(grouped)}


def compare(
    a: Mapping[str, Scores], b: Mapping[str, Scores], metric: str, *, rounds: int = 2000, seed: int = 0
) -> Interval:
    """How much better ``a`` is than ``b`` over the same questions, each given by its id; ``a`` holds at least one.

    A paired bootstrap (Efron and Tibshirani, 1993): questions are drawn again with replacement, ``rounds`` times, and
    the bounds are percentiles of the mean differences. An interval that holds 0 says: no difference was shown.
    """
    differences = [scores[metric] - b[each][metric] for each, scores in a.items()]
    drawing = random.Random(seed)
    means = sorted(sum(drawing.choices(differences, k=len(differences))) / len(differences) for _ in range(rounds))
    low, high = (means[int(bound * rounds)] for bound in BOUNDS)
    return Interval(sum(differences) / len(differences), low, high)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least this share of them does not exceed; there is at least one."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
