"""Synthetic histories of memories of which it is known which were needed later.

Each of some thousand memories belongs to a topic and has a usefulness of its own, both lognormal. How often it is
needed a day is their product, times how busy its topic is on that day (a slow random walk, so what is busy now stays so
for some time, but not for ever), times a power of its age by its type; chance decides on each day (Poisson). Up to DAYS
what can be observed follows from that, with much beside it:

- a need leads to a read in FOUND of all cases; on every day any memory may be read though nobody needs it;
- on some days a job reads dozens of memories once or a few times, whether they are of use or not;
- a part are junk, written in the last days: never needed, short, much like each other, often read once when written;
- a part are old gems: written long ago, never ageing, needed rarely but steadily;
- a part say the same as an older memory, which is needed in their place more often than not;
- callers say how important a memory is with much noise, and most leave it at 0.5; useful memories have somewhat more
  words and tags, with much noise;
- on some reads it is said whether they were of use; one time in ten that is wrong.

Whether a memory is needed in the HORIZON days after that is the truth. No score enters into a history: the features are
computed from what was observed, by the code under test, and its default weights were set before the first history was
made. (The rate of learning was chosen, and its bias added, on histories.) What is not in it: people who search for what
they were shown, needs that follow a calendar, memories that correct others. So it shows that evidence adds up where
usefulness lasts and noise is ample; how much better real memories are told apart it does not show.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trinitas_tasks.model import MemoryItem, MemoryType
from trinitas_tasks.policy.importance import (
    NEAREST,
    Features,
    connectivity,
    frequency,
    recency,
    richness,
    uniqueness,
)
from trinitas_tasks.policy.life import DEFAULT

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAYS: Final = 180
HORIZON: Final = 30
NOW: Final = datetime(2026, 5, 1, tzinfo=UTC)
TOPICS: Final = 40
DIMENSIONS: Final = 24
FOUND: Final = 0.8
NEEDS_A_DAY: Final = 0.02
"""Of the usual memory on its first day."""
NOISE_A_DAY: Final = 0.008
JOBS: Final = 12
TOLD: Final = 0.15
"""On which part of the reads of the last 60 days feedback is given."""
JUNK, GEM, COPY = 0.12, 0.05, 0.10
AGEING: Final = {MemoryType.EPISODIC: 0.7, MemoryType.SEMANTIC: 0.3, MemoryType.PROCEDURAL: 0.2}
"""By which power of its age in days a memory is needed less."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A memory as it was observed, and whether it was needed later."""

    item: MemoryItem
    features: Features
    unused_days: float
    said: tuple[bool, ...]
    """Whether its reads were of use, where that was told, oldest first."""
    needed: bool


class Population:
    """What the memories are."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.size = size
        self.kinds = rng.choice(np.array(list(AGEING)), size, p=[0.6, 0.3, 0.1])
        self.topic = rng.integers(0, TOPICS, size)
        self.created = rng.uniform(0, DAYS, size)
        self.worth = rng.normal(0, 1, size)
        drawn = rng.random(size)
        self.junk = drawn < JUNK
        self.gem = (drawn >= JUNK) & (drawn < JUNK + GEM)
        self.created[self.junk] = rng.uniform(DAYS - 5, DAYS, int(self.junk.sum()))
        self.created[self.gem] = rng.uniform(0, DAYS / 3, int(self.gem.sum()))
        self.worth[self.junk] = -1.5
        self.original = self._originals(drawn >= 1 - COPY, rng)
        self.vectors = self._vectors(rng)

    def _originals(self, copies: NDArray[np.bool_], rng: np.random.Generator) -> Ints:
        """Of copies the older memory that says the same, else -1."""
        original = np.full(self.size, -1)
        sources = np.flatnonzero(~copies & ~self.junk)
        for copy in np.flatnonzero(copies):
            source = rng.choice(sources)
            if self.created[source] < self.created[copy]:
                original[copy] = source
                self.topic[copy] = self.topic[source]
        return original

    def _vectors(self, rng: np.random.Generator) -> Floats:
        centres = rng.normal(0, 1, (TOPICS + 1, DIMENSIONS))
        topic = np.where(self.junk, TOPICS, self.topic)
        vectors: Floats = centres[topic] + rng.normal(0, 1.2, (self.size, DIMENSIONS))
        copies = np.flatnonzero(self.original >= 0)
        vectors[copies] = vectors[self.original[copies]] + rng.normal(0, 0.15, (len(copies), DIMENSIONS))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def needs(self, rng: np.random.Generator) -> Ints:
        """How often each is needed on each day, the horizon included."""
        days = np.arange(DAYS + HORIZON)
        busy = np.exp(0.7 * _wandering(rng, (TOPICS, len(days))) + rng.normal(0, 0.7, (TOPICS, 1)))
        age = days - self.created[:, None]
        power = np.where(self.gem, 0.0, np.array([AGEING[kind] for kind in self.kinds]))
        rate = (
            NEEDS_A_DAY * np.exp(self.worth)[:, None] * busy[self.topic] * (1 + np.maximum(age, 0)) ** -power[:, None]
        )
        rate[self.gem] = NEEDS_A_DAY
        rate[self.junk] = 0
        rate[self.original >= 0] *= 0.2
        return rng.poisson(np.where(age >= 0, rate, 0))


def _wandering(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Random walks that are drawn back to 0 (of variance 1), and forget half of where they were in some weeks."""
    steps = rng.normal(0, 1, shape)
    keep = 0.97
    for day in range(1, shape[1]):
        steps[:, day] = keep * steps[:, day - 1] + np.sqrt(1 - keep * keep) * steps[:, day]
    return steps


@dataclass(frozen=True, slots=True)
class Reads:
    """What could be observed: reads by memory and day, and which of them were of use."""

    useful: Ints
    useless: Ints
    links: Ints
    """With how many others each was read in a row."""


def _reads(people: Population, needs: Ints, rng: np.random.Generator) -> Reads:
    there = np.arange(DAYS) >= people.created[:, None]
    useful = rng.binomial(needs[:, :DAYS], FOUND)
    useless = rng.poisson(NOISE_A_DAY * there)
    first = people.created.astype(int)
    written = people.junk & (rng.random(people.size) < 0.5)
    useless[np.flatnonzero(written), first[written]] += 1
    rows = [
        list(map(int, rng.permutation(np.flatnonzero(topic_day)))) for topic_day in _sessions(people, useful, useless)
    ]
    for day in rng.integers(0, DAYS, JOBS):
        alive = np.flatnonzero(there[:, day])
        job = rng.permutation(alive)[:60]
        useless[job, day] += rng.integers(1, 5, len(job))
        rows.append(job.tolist())
    beside: defaultdict[int, set[int]] = defaultdict(set)
    for row in rows:
        for one, other in pairwise(row):
            beside[one].add(other)
            beside[other].add(one)
    return Reads(useful, useless, np.array([len(beside[i]) for i in range(people.size)]))


def _sessions(people: Population, useful: Ints, useless: Ints) -> list[NDArray[np.bool_]]:
    """What was read of one topic on one day."""
    read = useful + useless > 0
    days = (read & (people.topic == topic)[:, None] for topic in range(TOPICS))
    return [of_topic[:, day] for of_topic in days for day in np.flatnonzero(of_topic.sum(axis=0) > 1)]


def history(seed: int, size: int = 2000) -> list[Remembered]:
    """A history of so many memories; the same one for the same seed."""
    rng = np.random.default_rng(seed)
    people = Population(size, rng)
    needs = people.needs(rng)
    reads = _reads(people, needs, rng)
    cosines = people.vectors @ people.vectors.T
    np.fill_diagonal(cosines, -1)
    nearest = -np.partition(-cosines, NEAREST, axis=1)[:, :NEAREST]
    needed = needs[:, DAYS:].sum(axis=1) > 0
    made = []
    for i in range(size):
        item = _item(i, people, reads, rng)
        unused = (NOW - max(item.timestamp, item.last_access)) / timedelta(days=1)
        features = Features(
            uniqueness=uniqueness(list(map(float, nearest[i]))),
            recency=recency(unused, DEFAULT.half_life_days[item.type]),
            frequency=frequency(item.access_count),
            richness=richness(item),
            connectivity=connectivity(int(reads.links[i])),
        )
        made.append(Remembered(item, features, unused, _said(i, reads, rng), bool(needed[i])))
    return made


def _item(i: int, people: Population, reads: Reads, rng: np.random.Generator) -> MemoryItem:
    created = NOW - timedelta(days=float(DAYS - people.created[i]))
    read = reads.useful[i] + reads.useless[i]
    days = np.flatnonzero(read)
    last = created if not len(days) else max(created, NOW - timedelta(days=float(DAYS - days[-1] - rng.random())))
    worth = float(people.worth[i])
    told = rng.random() < 0.4
    words = 4 if people.junk[i] else max(int(np.exp(rng.normal(2.7 + 0.15 * worth, 0.6))), 2)
    vocabulary = 3 if people.junk[i] else 5000
    return MemoryItem(
        id=f"m{i}",
        persona="athena",
        content=" ".join(f"word{n}" for n in rng.integers(0, vocabulary, words)),
        type=people.kinds[i],
        timestamp=created,
        last_access=last,
        access_count=int(read.sum()),
        importance=float(np.clip(0.5 + 0.1 * worth + rng.normal(0, 0.2), 0, 1)) if told else 0.5,
        tags=tuple(f"tag{n}" for n in range(rng.binomial(3, 0.3 + 0.05 * np.clip(worth, -2, 2)))),
    )


def _said(i: int, reads: Reads, rng: np.random.Generator) -> tuple[bool, ...]:
    said = []
    for day in range(DAYS - 60, DAYS):
        for count, useful in ((reads.useful[i, day], True), (reads.useless[i, day], False)):
            said += [useful is (rng.random() >= 0.1) for _ in range(rng.binomial(count, TOLD))]
    return tuple(said)


def auc(scores: Sequence[float], truths: Sequence[bool]) -> float:
    """How often one that was needed has a higher score than one that was not; equal scores count half."""
    values, order = np.asarray(scores, dtype=float), np.asarray(truths, dtype=bool)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive, negative = int(order.sum()), int((~order).sum())
    return float((ranks[order].sum() - positive * (positive + 1) / 2) / (positive * negative))
