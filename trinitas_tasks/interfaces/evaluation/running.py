"""Remembering the documents, waiting until all of them can be found, asking the questions."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import DatasetError, Overloaded, Unavailable
from trinitas_tasks.interfaces.evaluation.preparing import Prepared
from trinitas_tasks.interfaces.evaluation.report import Report
from trinitas_tasks.policy.metrics import score
from trinitas_tasks.query import Query, Ranking
from trinitas_tasks.services.answer import Answer
from trinitas_tasks.services.condition import Stats

BATCH: Final = 200
LOOK_SECONDS: Final = 0.2
STALLED_SECONDS: Final = 300.0
"""So long without one more document indexed: nobody does it any more."""
ASK_MS: Final = 60_000
"""An evaluation can wait; how long a recall takes is measured apart."""
TIMED: Final = 200
"""How many questions the latency is measured on, at most."""
TIMED_LIMIT: Final = 10
WARM_UP: Final = 5
"""Recalls before the first that is timed: the search worker may still be loading its model."""
WARM_UP_SECONDS: Final = 60.0

Watch = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much. What it raises ends the evaluation."""
Sleep = Callable[[float], None]


@dataclass(slots=True)
class Evaluation:
    """One evaluation by way of a client whose stack holds nothing else."""

    client: MemoryClient
    prepared: Prepared
    watch: Watch
    sleep: Sleep = time.sleep
    clock: Callable[[], float] = time.perf_counter

    def run(self, *, seed: int = 0) -> Report:
        """Do all of it. Raises: Unavailable, DatasetError when a document cannot be archived."""
        seconds: dict[str, float] = {}
        degraded: dict[str, None] = {}
        with self._timed(seconds, "indexing"):
            self.remember()
            self.settle()
        with self._timed(seconds, "asking"):
            latencies = self.latencies(degraded, seed=seed)
            rankings = self.rankings(degraded)
        dataset = self.prepared.dataset
        scores = {
            ranking: {each: score(ids, dataset.relevant[each]) for each, ids in ranked.items()}
            for ranking, ranked in rankings.items()
        }
        return Report(dataset, scores, latencies, seconds, tuple(degraded))

    def remember(self) -> None:
        """Remember all documents; while too much of it waits to be archived, wait too."""
        memories, done = self.prepared.memories, 0
        batches = [memories[start : start + BATCH] for start in range(0, len(memories), BATCH)]
        while batches:
            self.watch("remembering", done, len(memories))
            some = batches.pop(0)
            try:
                self.client.remember_many(some)
                done += len(some)
            except Overloaded:  # in halves: else a batch for which there is never room is sent again and again
                middle = len(some) // 2
                batches[:0] = [some[:middle], some[middle:]] if middle else [some]
                self.sleep(LOOK_SECONDS)

    def settle(self) -> None:
        """Return when every document is archived and indexed."""
        total = len(self.prepared.memories)
        waiting = list(self.prepared.sizes)
        left, idle_seconds = total, 0.0
        while waiting:
            stats = self.client.stats(persona=waiting[0])
            if self._is_settled(stats):
                waiting.pop(0)
                continue
            idle_seconds = 0.0 if stats.outbox < left else idle_seconds + LOOK_SECONDS
            left = min(left, stats.outbox)
            if idle_seconds > STALLED_SECONDS:
                raise Unavailable(f"{_trouble(stats)} for {STALLED_SECONDS:.0f} s: {self.client.health().parts}")
            self.watch("embedding and indexing", total - left, total)
            self.sleep(LOOK_SECONDS)

    def _is_settled(self, stats: Stats) -> bool:
        if stats.dead_letters:
            raise DatasetError(f"the archive refused {stats.dead_letters} documents of {stats.persona}")
        waits = stats.outbox or stats.spooled or stats.pending or stats.unindexed
        return not waits and sum((stats.by_type or {}).values()) == self.prepared.sizes[stats.persona]

    def latencies(self, degraded: dict[str, None], *, seed: int) -> list[float]:
        """How long recalls take, in ms; asked before all else, and each text once, so that nothing is cached."""
        apart = list({query.text: query for _, query in self.prepared.queries}.values())
        chosen = random.Random(seed).sample(apart, min(TIMED, len(apart)))
        self._warm_up(chosen[0].persona)
        taken = []
        for number, query in enumerate(chosen):
            self.watch("timing recalls", number, len(chosen))
            began = self.clock()
            found = self.client.recall(query.text, persona=query.persona, limit=TIMED_LIMIT)
            taken.append((self.clock() - began) * 1000)
            degraded |= dict.fromkeys(found.degraded)
        return taken

    def _warm_up(self, persona: str) -> None:
        warm, waited = 0, 0.0
        while warm < WARM_UP and waited < WARM_UP_SECONDS:
            self.watch("warming up", warm, WARM_UP)
            if self.client.recall(f"warming up, {warm}", persona=persona, limit=TIMED_LIMIT).degraded:
                self.sleep(LOOK_SECONDS)
                waited += LOOK_SECONDS
            else:
                warm += 1

    def rankings(self, degraded: dict[str, None]) -> dict[Ranking, dict[str, list[str]]]:
        """What each way of ranking answers to each question, by the question's id: ids of documents, best first."""
        found: dict[Ranking, dict[str, list[str]]] = {ranking: {} for ranking in Ranking}
        queries = self.prepared.queries
        for number, (question, query) in enumerate(queries):
            self.watch("asking", number, len(queries))
            for ranking in Ranking:
                answer = self._answer(query.model_copy(update={"ranking": ranking}))
                degraded |= dict.fromkeys(answer.degraded)
                found[ranking][question.id] = [self.prepared.documents[each.id] for each in answer.found]
        return found

    def _answer(self, query: Query) -> Answer:
        """Of the search itself: nobody needs a hundred memories to see their order."""
        told: str = self.client.ask("search", query.model_dump(mode="json"), deadline_ms=ASK_MS)
        return Answer.from_json(told.encode())

    @contextmanager
    def _timed(self, seconds: dict[str, float], phase: str) -> Iterator[None]:
        began = self.clock()
        yield
        seconds[phase] = round(self.clock() - began, 1)


def _trouble(stats: Stats) -> str:
    waits = f"{stats.outbox} documents wait to be archived" if stats.outbox else "not all documents are indexed"
    return f"{waits}, and nothing changed"
