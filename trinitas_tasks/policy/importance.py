"""How important a memory is, 0 to 1: evidence for it, weighed and added up.

    logit(score) = logit(prior) + sum of w_i (f_i - base_i) + ln((useful + 1) / (useless + 1))

The prior is the caller's own estimate. Each feature f_i, 0 to 1, moves the log-odds by its weight of evidence (Good,
Probability and the Weighing of Evidence, 1950; the form of naive Bayes and of logistic regression); a memory that has
the usual of each, base_i, is as important as its caller says. Feedback counts as Laplace's rule of succession has it.

Which features: how often and how recently a memory was needed tells best whether it will be (Anderson and Schooler,
Reflections of the environment in memory, Psychological Science 2, 1991); recency and importance rank the memories of
agents (Park et al., Generative Agents, UIST 2023); what only one memory says, what says much, and what much else leads
to is missed more when it is gone. The weights are assumptions, stated before they were tried on anything; feedback
moves them, persona by persona, by logistic regression, one step each.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Final

from trinitas_tasks.model import MemoryItem
from trinitas_tasks.policy.text import CJK, STOP_WORDS, content_text, terms

NEAREST: Final = 3
"""Against so many most similar memories uniqueness is taken."""
OFTEN: Final = 100
"""So many accesses count fully."""
LINKED: Final = 20
"""So do so many links."""
RICH: Final = 80
"""So many different words are as rich as can be."""
CJK_WORDS: Final = 0.5
"""How many words of English a pair of CJK characters says: translations have about two characters for a word."""
_CJK_PAIR = re.compile(f"[{CJK}]{{2}}")
READ: Final = 20_000
"""How many characters of a memory are looked at."""
LABELLED: Final = 3
"""So many tags, or metadata, count fully."""
SUREST: Final = 0.98
"""No caller is surer than that, nor of the opposite."""
RATE: Final = 0.02
"""How far one feedback moves the weights."""
LEEWAY: Final = 4.0
"""By what factor learning may move a weight, either way."""


BIAS: Final = "bias"
"""Among the learned weights: how much likelier than its importance says a memory is praised when one says anything of
it. It is no part of importance; without it, all that memories that are spoken of have in common would be learned."""
BIAS_LIMIT: Final = 4.0


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of a memory; each 0 to 1."""

    uniqueness: float
    recency: float
    frequency: float
    richness: float
    connectivity: float


NAMES: Final = ("uniqueness", "recency", "frequency", "richness", "connectivity")
BASE: Final = Features(uniqueness=0.5, recency=0.5, frequency=0.2, richness=0.5, connectivity=0.2)
DEFAULT_WEIGHTS: Final[Mapping[str, float]] = {
    "uniqueness": 1.0,
    "recency": 1.5,
    "frequency": 3.0,
    "richness": 0.75,
    "connectivity": 1.0,
}


@dataclass(frozen=True, slots=True)
class Scored:
    """An importance, 0 to 1, and the log-odds that it was added up from: ``prior``, the features, ``feedback``."""

    score: float
    parts: dict[str, float]


def uniqueness(similarities: Sequence[float]) -> float:
    """How little the memories nearest to it (their cosines, -1 to 1, in any order) say the same; 1: there are none."""
    nearest = nlargest(NEAREST, similarities)
    return _clipped(1 - math.fsum(nearest) / len(nearest)) if nearest else 1.0


def recency(unused_days: float, half_life_days: float) -> float:
    """How recently it was used."""
    return math.pow(0.5, max(unused_days, 0.0) / half_life_days)


def frequency(count: int) -> float:
    """How often it was read."""
    return _grown(count, OFTEN)


def connectivity(degree: int) -> float:
    """How many other memories it is linked with: read before or after it, or with it."""
    return _grown(degree, LINKED)


def richness(item: MemoryItem) -> float:
    """How much it says: its different words, CJK as well as others, and a fifth for its tags and metadata."""
    words = set(terms(content_text(item)[:READ])) - STOP_WORDS
    pairs = sum(_CJK_PAIR.fullmatch(word) is not None for word in words)
    said = _grown(len(words) - pairs + pairs * CJK_WORDS, RICH)
    labels = min(len(item.tags), LABELLED) + min(len(item.metadata), LABELLED)
    return 0.8 * said + 0.2 * labels / (2 * LABELLED)


def importance(
    prior: float, features: Features, weights: Mapping[str, float], useful: int = 0, useless: int = 0
) -> Scored:
    """The importance of a memory that its caller held for ``prior``, and that was said to be of use, or not, so often.
    Weights that are missing are the default ones."""
    parts = {"prior": _logit(prior)}
    parts |= {name: _weight(weights, name) * _above_base(features, name) for name in NAMES}
    parts["feedback"] = math.log((useful + 1) / (useless + 1))
    return Scored(_share(math.fsum(parts.values())), parts)


def learned(weights: Mapping[str, float], features: Features, score: float, useful: bool) -> dict[str, float]:
    """The weights after one feedback on a memory of these features. ``score`` is its importance before it."""
    bias = weights.get(BIAS, 0.0)
    error = (1.0 if useful else 0.0) - _share(_logit(score) + bias)
    after = {
        name: _bounded(name, _weight(weights, name) + RATE * error * _above_base(features, name)) for name in NAMES
    }
    return after | {BIAS: min(max(bias + RATE * error, -BIAS_LIMIT), BIAS_LIMIT)}


def _weight(weights: Mapping[str, float], name: str) -> float:
    return weights.get(name, DEFAULT_WEIGHTS[name])


def _bounded(name: str, weight: float) -> float:
    usual = DEFAULT_WEIGHTS[name]
    return min(max(weight, usual / LEEWAY), usual * LEEWAY)


def _above_base(features: Features, name: str) -> float:
    value: float = getattr(features, name)
    usual: float = getattr(BASE, name)
    return value - usual


def _grown(count: float, full: int) -> float:
    """0 to 1, each doubling as much as the one before."""
    return min(math.log1p(max(count, 0)) / math.log1p(full), 1.0)


def _clipped(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _logit(share: float) -> float:
    held = min(max(share, 1 - SUREST), SUREST)
    return math.log(held / (1 - held))


def _share(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit > 0 else math.exp(logit) / (1 + math.exp(logit))
