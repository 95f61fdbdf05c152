"""What the workers can be asked to do, as plain functions of a runtime: decode, call one service, encode.

The Celery tasks are these functions; the inline dispatcher calls them in its own process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from trinitas_tasks.errors import InvalidQuery, TrinitasError
from trinitas_tasks.query import Query
from trinitas_tasks.services import archived, forget, granting, ingest, recall, rejoin, replay, stretches
from trinitas_tasks.services.answer import Answer
from trinitas_tasks.services.ingest import Batch, IngestReport
from trinitas_tasks.services.overlap import overlapped
from trinitas_tasks.tasks.asked import Asked
from trinitas_tasks.tasks.defining import Defining
from trinitas_tasks.tasks.exchanging import Exchanging
from trinitas_tasks.tasks.facts import gather
from trinitas_tasks.tasks.migrating import Migrating

logger = logging.getLogger(__name__)

BUDGET_SECONDS: Final = 10.0
"""How long one ingest task goes on; what is left then gets a task of its own."""
CLAIM_BATCHES: Final = 4
"""How many transactions of BATCH_SIZE one encode serves: longer batches are padded less."""
NOTE_SECONDS: Final = 120
"""How long the trouble of a worker is told after it last said so."""
MEND_SECONDS: Final = 20.0
"""How long a search that misses vectors leaves it to the one before to have them put back."""


@dataclass(frozen=True, slots=True)
class Jobs(Asked, Defining, Exchanging, Migrating):
    """All jobs over one runtime: what is due, what clients ask, and what operators do."""

    # What is due.

    def tick(self) -> None:
        """What the ingest worker looks for by itself, every few seconds: Redis may have no room for a message, and
        nobody else may be there to send one."""
        run = self.runtime
        try:
            if not run.spool.empty():
                replay.replay(hot=run.hot, spool=run.spool)
            rejoin.rejoin(run.settings.home / rejoin.RESTORED, hot=run.hot, archive=run.archive, naming=run.naming)
        finally:  # a full outbox takes no replayed write before something was archived
            self.ingest()
        self.tell_roster()

    def ingest(self) -> dict[str, Any]:
        """Archive, embed and index whatever is due; if this process is at it already, it looks once more."""
        run, report = self.runtime, IngestReport()
        run.told.set()
        # looked at after the lock is given back: whoever was told in between did not get it
        while run.told.is_set() and run.ingesting.acquire(blocking=False):
            run.told.clear()
            report += self._ingested()
        return asdict(report)

    def _ingested(self) -> IngestReport:
        """One ingest by whoever holds the lock, which is given back."""
        run = self.runtime
        try:
            report = self._ingest()
        except TrinitasError as error:
            run.in_trouble = True
            run.hot.note("ingest", str(error), NOTE_SECONDS)
            raise
        finally:
            run.ingesting.release()
        if run.in_trouble and (report.claimed or not run.hot.stats("trouble").outbox):
            # not while what failed waits for another try
            run.hot.note("ingest", None, 0)
            run.in_trouble = False
        return report

    def _ingest(self) -> IngestReport:
        """One batch is archived and indexed while the next one is embedded."""
        run = self.runtime
        report, until = IngestReport(), time.monotonic() + BUDGET_SECONDS
        for each in overlapped(self._claimed(until), self._settled, self._abandoned):
            report += each
        if not report.degraded:
            self._index_missing(run.settings.batch_size * CLAIM_BATCHES)
        return report

    def _claimed(self, until: float) -> Iterator[Batch]:
        """What is due, batch by batch, embedded."""
        run, lease_seconds = self.runtime, self.runtime.settings.lease_seconds
        began = time.monotonic()
        while not run.stopping.is_set():
            self.forget()
            self.archive_grants()
            batch = ingest.claim(
                hot=run.hot,
                models=run.models,
                limit=run.settings.batch_size * CLAIM_BATCHES,
                lease_seconds=lease_seconds,
                now=run.clock(),
                step=run.step,
            )
            if batch is None:
                return
            began, before = time.monotonic(), began
            if began - before > lease_seconds / 2:  # many long memories: else they would be claimed again, by us
                ingest.give_back(batch, run.hot, lease_seconds)
            yield batch
            if began > until:
                self.nudge("ingest")
                return

    def _settled(self, batch: Batch) -> IngestReport:
        run = self.runtime
        return ingest.settle(
            batch,
            hot=run.hot,
            archive=run.archive,
            spaces=run.spaces,
            stays_of=run.stays_of,
            now=run.clock(),
            step=run.step,
        )

    def _abandoned(self, batch: Batch) -> None:
        ingest.give_back(batch, self.runtime.hot, ingest.AGAIN_SECONDS)

    def forget(self) -> int:
        """Erase whatever was forgotten from the archive and the vector tier."""
        run, settings = self.runtime, self.runtime.settings
        buried = 0
        while not run.stopping.is_set():
            count = forget.bury(
                hot=run.hot,
                archive=run.archive,
                spaces=run.spaces,
                limit=settings.batch_size,
                lease_seconds=settings.lease_seconds,
            )
            if not count:
                break
            buried += count
        return buried

    def archive_grants(self) -> int:
        """Tell the archive who was granted what, and who no longer; of how many memories."""
        run, settings = self.runtime, self.runtime.settings
        told = 0
        while not run.stopping.is_set():
            count = granting.archive_grants(
                hot=run.hot, archive=run.archive, limit=settings.batch_size, lease_seconds=settings.lease_seconds
            )
            if not count:
                break
            told += count
        return told

    # Questions.

    def alive(self) -> bool:
        """Answer."""
        return True

    def search(self, query: Mapping[str, Any]) -> str:
        """Find memories by meaning and words; ids and scores only."""
        run = self.runtime
        asked = Query.build(**query)
        if asked.everybody:
            if not run.settings.all_personas:
                raise InvalidQuery("persona: these workers search for single personas only (TRINITAS_ALL_PERSONAS)")
            asked = asked.model_copy(update={"everybody": False, "among": tuple(run.archive.personas())})
            if not asked.among:
                return Answer((), (), ()).to_json().decode()
        cache_seconds, began = run.settings.redis_ttl_cache, time.monotonic()
        answer = recall.recall(asked, tiers=run.tiers, cache_seconds=cache_seconds, now=run.clock())
        millis = (time.monotonic() - began) * 1000
        run.hot.searched(asked.persona, millis, len(answer.found), asked.text)
        if any(each.startswith("chroma:") for each in answer.degraded):
            self._mend_soon()
        return answer.to_json().decode()

    def tend(self) -> int:
        """Bring this process's full-text index up to the archive."""
        return self.runtime.fulltext.tend()

    def _mend_soon(self) -> None:
        """Vectors may be lost or torn: not every search need say so."""
        run, now = self.runtime, time.monotonic()
        if now > run.mending_until:
            run.mending_until = now + MEND_SECONDS
            self.nudge("reconcile")

    def fetch(self, persona: str, ids: list[str]) -> list[str]:
        """Bring archived memories back into Redis; the ids of those that exist."""
        run, settings = self.runtime, self.runtime.settings
        return archived.fetch(
            persona, ids, hot=run.hot, archive=run.archive, cache_seconds=settings.redis_ttl_cache, now=run.clock()
        )

    def timeline(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """A stretch of a timeline, from the archive."""
        return stretches.answer(question, self.runtime.archive)

    def count(self, persona: str) -> dict[str, Any]:
        """How many memories of a persona the archive and the vector tier hold."""
        stats = self.runtime.archive.stats(persona)
        by_type = {kind.value: number for kind, number in stats.by_type.items()}
        return {
            "by_type": by_type,
            "unindexed": stats.unindexed,
            "dead_letters": stats.dead_letters,
            "vectors": self.runtime.spaces.of(persona).count(persona),
        }

    def examine(self) -> dict[str, str | None]:
        """What is wrong with each tier behind the workers; None where nothing is."""
        return {
            "archive": _complaint(lambda: self.runtime.archive.ping()),
            "chroma": _complaint(lambda: self.runtime.vectors.ping()),
        }

    def facts(self) -> dict[str, Any]:
        """What a doctor wants to know of the workers' side."""
        return gather(self.runtime).model_dump(mode="json")


def _complaint(check: Callable[[], None]) -> str | None:
    try:
        check()
    except TrinitasError as error:
        return str(error)
    return None
