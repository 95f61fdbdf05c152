"""What the workers can be asked to do, as plain functions of a runtime: decode, call one service, encode.

The Celery tasks are these functions; the inline dispatcher calls them in its own process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from trinitas_tasks.errors import InvalidQuery, TrinitasError
from trinitas_tasks.model import Key, Query, utc_now
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.services import archived, forget, ingest, letters, rebuild, recall, reconcile, replay
from trinitas_tasks.services.ingest import IngestReport
from trinitas_tasks.services.reconcile import Cursor, Difference, Slice
from trinitas_tasks.tasks.facts import gather
from trinitas_tasks.tiers.archive.interface import DeadLetter, Run

logger = logging.getLogger(__name__)

BUDGET_SECONDS: Final = 10.0
"""How long one ingest task goes on; what is left then gets a task of its own."""
CLAIM_BATCHES: Final = 4
"""How many transactions of BATCH_SIZE one encode serves: longer batches are padded less."""
FLUSH_LIMIT: Final = 1000
COMPARED: Final = 500
"""Memories in one step of a comparison: some 0.1 s."""
COMPARE_SECONDS: Final = 2.0
"""How long one reconcile task goes on."""
NOTE_SECONDS: Final = 120
"""How long the trouble of a worker is told after it last said so."""
MEND_SECONDS: Final = 20.0
"""How long a search that misses vectors leaves it to the one before to have them put back."""
REBUILT: Final = 1000
SHOWN_LETTERS: Final = 1000

Nudge = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs over one runtime. ``nudge`` asks for another run of a job, by name."""

    runtime: Runtime
    nudge: Nudge

    # What is due.

    def tick(self) -> None:
        """What the ingest worker looks for by itself, every few seconds: Redis may have no room for a message, and
        nobody else may be there to send one."""
        run = self.runtime
        try:
            if not run.spool.empty():
                replay.replay(hot=run.hot, spool=run.spool)
        finally:  # a full outbox takes no replayed write before something was archived
            self.ingest()

    def ingest(self) -> dict[str, Any]:
        """Archive, embed and index whatever is due; nothing if this process is at it already."""
        run = self.runtime
        if not run.ingesting.acquire(blocking=False):
            return asdict(IngestReport())
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
        return asdict(report)

    def _ingest(self) -> IngestReport:
        run, settings = self.runtime, self.runtime.settings
        limit = settings.batch_size * CLAIM_BATCHES
        until = time.monotonic() + BUDGET_SECONDS
        report = IngestReport()
        while not run.stopping.is_set():
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
                step=run.step,
            )
            report += batch
            if not batch.claimed:
                break
            if time.monotonic() > until:
                self.nudge("ingest")
                break
        if not report.degraded:
            self._index_missing(limit)
        return report

    def _index_missing(self, limit: int) -> None:
        run = self.runtime
        while not run.stopping.is_set():
            indexed = ingest.index_missing(
                hot=run.hot, archive=run.archive, vectors=run.vectors, model=run.embedder.name, limit=limit
            )
            if indexed < limit:
                break

    def forget(self) -> int:
        """Erase whatever was forgotten from the archive and the vector tier."""
        run, settings = self.runtime, self.runtime.settings
        buried = 0
        while not run.stopping.is_set():
            count = forget.bury(
                hot=run.hot,
                archive=run.archive,
                vectors=run.vectors,
                model=run.embedder.name,
                limit=settings.batch_size,
                lease_seconds=settings.lease_seconds,
            )
            if not count:
                break
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

    # Questions.

    def alive(self) -> bool:
        """Answer."""
        return True

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
        if any(each.startswith("chroma:") for each in answer.degraded):
            self._mend_soon()
        return answer.to_json().decode()

    def _mend_soon(self) -> None:
        """Vectors may be lost or torn: not every search need say so."""
        run, now = self.runtime, time.monotonic()
        if now > run.mending_until:
            run.mending_until = now + MEND_SECONDS
            self.nudge("reconcile")

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

    def facts(self) -> dict[str, Any]:
        """What a doctor wants to know of the workers' side."""
        return gather(self.runtime).model_dump(mode="json")

    # Mending.

    def reconcile(self) -> dict[str, Any]:
        """Compare the tiers and mend what differs, for some seconds; what is left gets a task of its own."""
        run = self.runtime
        started, began = utc_now(), time.monotonic()
        examined, mended, kinds, skipped = 0, 0, dict[str, int](), dict[str, None]()
        while True:
            found = self._compared(run.compared)
            examined += found.examined
            mended += self._mend(found.differences)
            skipped |= dict.fromkeys(found.skipped)
            for each in found.differences:
                kinds[each.kind] = kinds.get(each.kind, 0) + 1
            run.compared = found.mended()
            if found.cursor is None or time.monotonic() - began > COMPARE_SECONDS:
                break
        seconds = time.monotonic() - began
        run.archive.log_run(Run("reconcile", started, seconds, examined, mended, len(skipped), kinds))
        if found.cursor is not None:
            self.nudge("reconcile")
        return {"examined": examined, "mended": mended, "differences": kinds, "skipped": list(skipped)}

    def compare(self, cursor: Sequence[Any] | None) -> dict[str, Any]:
        """One step of a comparison; nothing is changed. ``cursor`` None begins, and is None when that was the last."""
        found = self._compared(Cursor(*cursor) if cursor else Cursor())
        return {
            "cursor": found.cursor and list(found.cursor),
            "examined": found.examined,
            "differences": [[each.kind, *each.key, each.version] for each in found.differences],
            "skipped": list(found.skipped),
        }

    def mend(self, differences: Sequence[Sequence[Any]]) -> int:
        """Mend differences as a comparison told them; how many."""
        return self._mend([Difference(kind, Key(*key), version) for kind, *key, version in differences])

    def _compared(self, cursor: Cursor) -> Slice:
        run = self.runtime
        return reconcile.compare(
            cursor,
            hot=run.hot,
            archive=run.archive,
            vectors=run.vectors,
            model=run.embedder.name,
            limit=COMPARED,
        )

    def _mend(self, differences: Sequence[Difference]) -> int:
        run = self.runtime
        mended = reconcile.mend(
            differences, hot=run.hot, archive=run.archive, vectors=run.vectors, model=run.embedder.name
        )
        bare = [each.key for each in differences if each.kind == reconcile.UNEMBEDDED]
        if bare:
            mended += ingest.embed(bare, archive=run.archive, embedder=run.embedder)
        if mended:
            self._index_missing(COMPARED)
        if torn := sorted({each.key.persona for each in differences if each.kind == reconcile.TORN}):
            mended += self._rebuild_whole(torn)
        return mended

    def _rebuild_whole(self, torn: list[str]) -> int:
        place: int | None = 0
        while place is not None and not self.runtime.stopping.is_set():  # broken off, the next comparison begins anew
            place = self._rebuild(torn, place, torn=True)
        return len(torn)

    def rebuild(self, personas: list[str] | None, after: int) -> int | None:
        """Fill the vector tier anew for these personas (None: all), one step; where to go on, None when it is done."""
        return self._rebuild(personas, after)

    def _rebuild(self, personas: list[str] | None, after: int, *, torn: bool = False) -> int | None:
        run = self.runtime
        if personas is None and after == 0:
            run.rebuilding = run.archive.personas()  # who comes later is in no need of it
        chosen = run.rebuilding if personas is None else personas
        going_on = rebuild.rebuild(
            chosen,
            after,
            archive=run.archive,
            vectors=run.vectors,
            model=run.embedder.name,
            limit=REBUILT,
            torn=torn,
        )
        if going_on is None:
            logger.warning("the vectors of %s were rebuilt", ", ".join(chosen))
            run.hot.changed(chosen)
            run.compared = Cursor()  # what changed meanwhile may lie behind a comparison that is under way
            self.nudge("reconcile")
        return going_on

    # Dead letters.

    def dead_letters(self, persona: str | None) -> list[dict[str, Any]]:
        """The records that could not be archived, oldest first."""
        return [
            {
                "persona": letter.key.persona,
                "id": letter.key.id,
                "version": letter.version,
                "at": letter.at.isoformat(),
                "error": letter.error,
                "body": letter.body.decode(errors="backslashreplace"),
            }
            for letter in self.runtime.archive.dead(SHOWN_LETTERS, persona)
        ]

    def drop_dead(self, persona: str, memory_id: str) -> int:
        """Delete the dead letters of a memory; how many."""
        run = self.runtime
        return letters.drop(self._letters(persona, memory_id), hot=run.hot, archive=run.archive)

    def retry_dead(self, persona: str, memory_id: str) -> int:
        """Queue the newest dead letter of a memory again; how many."""
        count = letters.retry(self._letters(persona, memory_id)[-1:], hot=self.runtime.hot)
        self.nudge("ingest")
        return count

    def _letters(self, persona: str, memory_id: str) -> list[DeadLetter]:
        key = Key(persona, memory_id)
        mine = [letter for letter in self.runtime.archive.dead(SHOWN_LETTERS, persona) if letter.key == key]
        if not mine:
            raise InvalidQuery(f"{persona} has no dead letter {memory_id}")
        return sorted(mine, key=lambda letter: letter.version)


def _complaint(check: Callable[[], None]) -> str | None:
    try:
        check()
    except TrinitasError as error:
        return str(error)
    return None
