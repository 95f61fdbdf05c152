"""What the workers can be asked to do, as plain functions of a runtime: decode, call one service, encode.

The Celery tasks are these functions; the inline dispatcher calls them in its own process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.model import Query, utc_now
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.services import archived, forget, ingest, recall

BUDGET_SECONDS: Final = 10.0
"""How long one ingest task goes on; what is left then gets a task of its own."""
CLAIM_BATCHES: Final = 4
"""How many transactions of BATCH_SIZE one encode serves: longer batches are padded less."""
FLUSH_LIMIT: Final = 1000

Nudge = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs over one runtime. ``nudge`` asks for another run of a job, by name."""

    runtime: Runtime
    nudge: Nudge

    def ingest(self) -> dict[str, Any]:
        """Archive, embed and index whatever is due."""
        run, settings = self.runtime, self.runtime.settings
        limit = settings.batch_size * CLAIM_BATCHES
        until = time.monotonic() + BUDGET_SECONDS
        report = ingest.IngestReport()
        while True:
            self.forget()
            batch = ingest.ingest(
                hot=run.hot,
                archive=run.archive,
                vectors=run.vectors,
                embedder=run.embedder,
                seconds_by_type=run.seconds_by_type,
                limit=limit,
                lease_seconds=settings.lease_seconds,
                now=utc_now(),
            )
            report += batch
            if not batch.claimed:
                break
            if time.monotonic() > until:
                self.nudge("ingest")
                break
        if not report.degraded:
            self._index_missing(limit)
        return asdict(report)

    def _index_missing(self, limit: int) -> None:
        run = self.runtime
        while (
            ingest.index_missing(
                hot=run.hot, archive=run.archive, vectors=run.vectors, model=run.embedder.name, limit=limit
            )
            == limit
        ):
            pass

    def forget(self) -> int:
        """Erase whatever was forgotten from the archive and the vector tier."""
        run, settings = self.runtime, self.runtime.settings
        buried = 0
        while count := forget.bury(
            hot=run.hot,
            archive=run.archive,
            vectors=run.vectors,
            limit=settings.batch_size,
            lease_seconds=settings.lease_seconds,
        ):
            buried += count
        return buried

    def sweep_outbox(self) -> bool:
        """Nudge ingest if anything is due: a lost message only delays."""
        due = self.runtime.hot.due()
        if due:
            self.nudge("ingest")
        return due

    def flush_access(self) -> int:
        """Move access counts from Redis to the archive."""
        run = self.runtime
        flushed = 0
        while count := archived.flush_access(hot=run.hot, archive=run.archive, limit=FLUSH_LIMIT):
            flushed += count
        return flushed

    def search(self, query: Mapping[str, Any]) -> str:
        """Find memories by meaning and words; ids and scores only."""
        run, settings = self.runtime, self.runtime.settings
        answer = recall.recall(
            Query.build(**query),
            hot=run.hot,
            archive=run.archive,
            vectors=run.vectors,
            embedder=run.embedder,
            cache_seconds=settings.redis_ttl_cache,
        )
        return answer.to_json().decode()

    def fetch(self, persona: str, ids: list[str]) -> list[str]:
        """Bring archived memories back into Redis; the ids of those that exist."""
        run, settings = self.runtime, self.runtime.settings
        return archived.fetch(persona, ids, hot=run.hot, archive=run.archive, cache_seconds=settings.redis_ttl_cache)

    def count(self, persona: str) -> dict[str, Any]:
        """How many memories of a persona the archive and the vector tier hold."""
        stats = self.runtime.archive.stats(persona)
        by_type = {kind.value: number for kind, number in stats.by_type.items()}
        return {
            "by_type": by_type,
            "unindexed": stats.unindexed,
            "dead_letters": stats.dead_letters,
            "vectors": self.runtime.vectors.count(persona),
        }

    def examine(self) -> dict[str, str | None]:
        """What is wrong with each tier behind the workers; None where nothing is."""
        return {
            "archive": _complaint(lambda: self.runtime.archive.ping()),
            "chroma": _complaint(lambda: self.runtime.vectors.ping()),
        }


def _complaint(check: Callable[[], None]) -> str | None:
    try:
        check()
    except TrinitasError as error:
        return str(error)
    return None
