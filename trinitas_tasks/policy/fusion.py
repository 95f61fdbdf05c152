"""One relevance out of what the two retrievers say of a memory.

Full text says which part of the question's words, weighed by their rarity, a memory holds (its *coverage*); dense
search says how like the question it is (its *cosine*). Both are absolute, so no list is scaled by its own best entry:
where the words of a question are rare and none of them is found, full text is silent and the vectors decide, and where
the model cannot read the question (its *trust*, see Embedder.fluency), the words do.

    evidence  = 2 coverage + trust cosine
    relevance = logistic(4 evidence - 1.5 trust - 2.4 + boosts)

A convex combination of scores beats reciprocal ranks where both lists are judged (Bruch, Gai and Ingber, TOIS 2023).
The ratio of the two is a plateau: 1 to 3 change recall@10 of the development sets by less than a point. Slope and
offsets were fitted there by logistic regression at even odds (docs/retrieval.md has the sets and the table): of
memories with a relevance of 0.5 as many are answers as are not, where both come equally often.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trinitas_tasks.model import MemoryItem, MemoryType
from trinitas_tasks.policy.text import says
from trinitas_tasks.query import Boosts, Query

COVERAGE: Final = 2.0
SLOPE: Final = 4.0
TRUSTED: Final = -1.5
OFFSET: Final = -2.4
BOOST: Final = 2.0
"""What a boost of 1 adds to the logit of a memory that has all there is of it: a relevance of 0.5 becomes 0.88."""
IN_PERIOD: Final = 1.0
"""The same for a memory from the time that the question names."""
QUOTED: Final = 1.5
"""The same for a memory that holds what the question quotes."""
STAND_IN: Final = 0.5
"""The coverage of typical answers, where it is not known."""
OFTEN: Final = 100
"""So many accesses count fully."""

HALF_LIFE_DAYS: Final[Mapping[MemoryType, float]] = {
    MemoryType.WORKING: 1 / 24,
    MemoryType.EPISODIC: 7.0,
    MemoryType.SEMANTIC: 180.0,
    MemoryType.PROCEDURAL: 365.0,
}
"""After how many days the boost of recency is half of what it was."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for one memory: coverage 0 to 1, cosine -1 to 1, trust in the cosine 0 to 1."""

    coverage: float
    cosine: float
    trust: float

    @property
    def logit(self) -> float:
        """The logit of its relevance, without boosts."""
        weighed = COVERAGE * self.coverage + self.trust * self.cosine
        return SLOPE * weighed + TRUSTED * self.trust + OFFSET


def relevance(logit: float) -> float:
    """0 to 1, to six digits: what is shown is what ``min_similarity`` is compared with.

    >>> relevance(0.0)
    0.5
    """
    share = 1 / (1 + math.exp(-logit)) if logit > 0 else math.exp(logit) / (1 + math.exp(logit))
    return round(share, 6)


def boosted(query: Query) -> bool:
    """Whether anything but relevance counts."""
    return query.period is not None or bool(query.quoted) or query.boosts != Boosts()


def boosts(item: MemoryItem, query: Query, now: datetime) -> dict[str, float]:
    """What a memory has more in its logit, by name: by the boosts asked for, and by what the question names."""
    age_days = max((now - item.timestamp).total_seconds(), 0.0) / 86_400
    has = {
        "recency": 0.5 ** (age_days / HALF_LIFE_DAYS[item.type]),
        "importance": item.importance,
        "access": min(math.log1p(item.access_count) / math.log1p(OFTEN), 1.0),
    }
    added = {name: BOOST * weight * has[name] for name, weight in query.boosts if weight}
    if query.period is not None and query.period[0] <= item.timestamp < query.period[1]:
        added["period"] = IN_PERIOD
    if held := sum(says(phrase, item) for phrase in query.quoted):
        added["quoted"] = QUOTED * held / len(query.quoted)
    return added


def by_words_alone(share: float) -> Evidence:
    """What speaks for a memory of which only a share of the words is known, 0 to 1: not how rare they are."""
    return Evidence(STAND_IN * share, 0.0, 0.0)
