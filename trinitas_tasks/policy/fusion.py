"""One ranking out of several.

Weighted reciprocal rank fusion: score(d) = sum over the lists of weight / (60 + rank(d))
(Cormack, Clarke and Büttcher, SIGIR 2009). The weights say how far each list can be trusted for this query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trinitas_tasks.policy.text import cjk_share

RANK_CONSTANT = 60


def weights(text: str) -> dict[str, float]:
    """How far to trust the dense and the full-text list for a query.

    all-MiniLM-L6-v2 knows little Japanese (29 % of its tokens are unknown to it; on JSQuAD dense search finds 36 %
    where full text finds 97 %), so the more of the query is CJK the less its vector counts.
    """
    dense = 1.0 - cjk_share(text)
    return {"dense": max(dense, 0.05), "fulltext": 1.0}


def fuse(lists: Mapping[str, Sequence[str]], trust: Mapping[str, float]) -> list[tuple[str, float]]:
    """Ids with their fused scores, best first; ties keep the order of the first list that named them."""
    scores: dict[str, float] = {}
    for name, ids in lists.items():
        for rank, each in enumerate(ids, 1):
            scores[each] = scores.get(each, 0.0) + trust.get(name, 1.0) / (RANK_CONSTANT + rank)
    return sorted(scores.items(), key=lambda pair: -pair[1])
