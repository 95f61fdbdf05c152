"""How much of a question a text covers: BM25 (Robertson and Zaragoza, 2009) as a share of the most it could give.

A term that stands in n of N texts weighs idf = ln(1 + (N - n + 0.5) / (n + 0.5)). A text that holds it f times and is
of length l, where texts have m terms on average, has f / (f + 1.2 (0.25 + 0.75 l / m)) of that weight. The weights add
up to the coverage, 0 to 1, of the question: absolute, so it can be compared between questions and collections. Terms
that stand nowhere weigh most: what nobody has said is not covered.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

K1: Final = 1.2
B: Final = 0.75


@dataclass(frozen=True, slots=True)
class Collection:
    """What is known of all texts of one field: how many, their mean length, and in how many each asked term stands."""

    texts: int
    mean_length: float
    holders: Mapping[str, int]

    def idf(self, term: str) -> float:
        """The weight of a term."""
        holders = self.holders.get(term, 0)
        return math.log1p(max(self.texts - holders + 0.5, 0.0) / (holders + 0.5))

    def ideal(self, terms: Mapping[str, float]) -> float:
        """The weight of a question."""
        return sum(weight * self.idf(term) for term, weight in terms.items())

    def score(self, terms: Mapping[str, float], counts: Mapping[str, int], length: int) -> float:
        """What of that weight a text has, in which the terms stand so often."""
        norm = K1 * (1 - B + B * length / (self.mean_length or max(length, 1)))  # the first text is as long as all
        return sum(
            weight * self.idf(term) * counts[term] / (counts[term] + norm)
            for term, weight in terms.items()
            if counts.get(term)
        )
