"""The jobs that look after memories as time goes by: each runs one service, batch by batch, and leaves a row."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from trinitas_tasks.errors import TrinitasError, Unavailable
from trinitas_tasks.policy.life import LifeTask
from trinitas_tasks.services import backup
from trinitas_tasks.services.life import (
    ageing,
    consolidating,
    expiring,
    forgetting,
    scoring,
    settling,
    warming,
    watching,
)
from trinitas_tasks.services.life.report import Decision, Report, by_action
from trinitas_tasks.services.life.sweep import Sweep
from trinitas_tasks.tasks.mending import Mending
from trinitas_tasks.tiers.archive.interface import Run
from trinitas_tasks.tiers.archive.lives import KEPT

logger = logging.getLogger(__name__)

BATCH: Final = 500
"""Memories that one step of a task looks at: some 0.1 to 0.5 s."""
BUDGET_SECONDS: Final = 2.0
"""How long one task goes on; what is left then gets a task of its own."""
LEASE_SECONDS: Final = 60
LEASES: Final = {LifeTask.BACKUP: 3600}
"""Of those that take longer."""
SHOWN: Final = 20
"""So many decisions are kept in the row of a run."""
SETTLED_FIRST: Final = frozenset(
    {
        LifeTask.BACKUP,
        LifeTask.ARCHIVE_OLD,
        LifeTask.PRUNE,
        LifeTask.CONSOLIDATE,
        LifeTask.SCORE_IMPORTANCE,
        LifeTask.WARM_CACHE,
    }
)
"""Before these it counts who read or pinned what."""


@dataclass(frozen=True, slots=True)
class Lifecycle(Mending):
    """These jobs over one runtime."""

    # By the clock.

    def sweep_outbox(self) -> dict[str, Any]:
        """Nudge ingest if anything is due: a lost message only delays."""
        run = self.runtime
        started, began = run.clock(), time.monotonic()
        due = run.hot.due()
        if due:  # a row for every look, every 5 s, would tell nothing
            self.nudge("ingest")
            self._log(Run(LifeTask.SWEEP_OUTBOX, started, time.monotonic() - began, 1, 1, 0, {}))
        return {"due": due}

    def flush_access(self) -> dict[str, Any]:
        """Take what was read and said of memories from Redis into the archive."""
        return self._scheduled(LifeTask.FLUSH_ACCESS)

    def archive_expiring(self) -> dict[str, Any]:
        """Make sure that what leaves Redis soon is archived."""
        return self._scheduled(LifeTask.ARCHIVE_EXPIRING)

    def warm_cache(self) -> dict[str, Any]:
        """Load what will probably be read soon into Redis."""
        return self._scheduled(LifeTask.WARM_CACHE)

    def score_importance(self) -> dict[str, Any]:
        """Compute how important memories are."""
        return self._scheduled(LifeTask.SCORE_IMPORTANCE)

    def consolidate(self) -> dict[str, Any]:
        """Keep working memories that are worth it, and link near-duplicates."""
        return self._scheduled(LifeTask.CONSOLIDATE)

    def archive_old(self) -> dict[str, Any]:
        """Take old episodic memories out of the index."""
        return self._scheduled(LifeTask.ARCHIVE_OLD)

    def prune(self) -> dict[str, Any]:
        """Take forgotten memories out of the index."""
        return self._scheduled(LifeTask.PRUNE)

    def detect_anomalies(self) -> dict[str, Any]:
        """Report on what looks wrong."""
        return self._scheduled(LifeTask.DETECT_ANOMALIES)

    def backup(self) -> dict[str, Any]:
        """Write a backup, and delete the oldest of too many."""
        return self._scheduled(LifeTask.BACKUP)

    # How a task runs.

    def _scheduled(self, task: LifeTask) -> dict[str, Any]:
        done = self.leased(task, None, BUDGET_SECONDS)
        if done is None:
            return {"skipped": "another run is at it"}
        report, seconds = done
        if report.more:
            self.nudge(task)
        told = {"examined": report.examined, "changed": report.changed, "errors": len(report.errors)}
        return {**told, "seconds": round(seconds, 3), **by_action(report.decisions), "more": report.more}

    def leased(self, task: LifeTask, personas: Sequence[str] | None, budget: float) -> tuple[Report, float] | None:
        """One run of a task, of which only one goes on at a time; None where another is."""
        run = self.runtime
        token = run.hot.lease(task, LEASES.get(task, LEASE_SECONDS))
        if token is None:
            return None
        started, began = run.clock(), time.monotonic()
        report = Report()
        try:
            while True:
                report += self.step(task, personas, BATCH, dry=False)
                if not report.more or time.monotonic() - began > budget or run.stopping.is_set():
                    break
        except TrinitasError as error:
            report += Report(errors=(str(error),))
            raise
        finally:
            seconds = time.monotonic() - began
            self._log(Run(task, started, seconds, report.examined, report.changed, len(report.errors), _row(report)))
            run.hot.release(task, token)
        return report, seconds

    def _log(self, run: Run) -> None:
        try:
            self.runtime.archive.log_run(run)
        except TrinitasError as error:  # what it did is done all the same
            logger.warning("no row for this run of %s: %s", run.task, error)

    def step(self, task: LifeTask, personas: Sequence[str] | None, limit: int, *, dry: bool) -> Report:
        """One batch."""
        if task in SETTLED_FIRST:
            self.settle(dry=dry)
        work = self._work(task, limit, dry)
        return work(self.runtime.archive.personas() if personas is None else personas)

    def _work(self, task: LifeTask, limit: int, dry: bool) -> Callable[[Sequence[str]], Report]:
        run, now = self.runtime, self.runtime.clock()
        sweep = Sweep(run.index, run.rules_of, now, limit, dry)
        seconds = int(2 * run.settings.seconds_between(LifeTask.WARM_CACHE)) or run.settings.redis_ttl_cache
        every: dict[LifeTask, Callable[[Sequence[str]], Report]] = {
            LifeTask.SWEEP_OUTBOX: lambda _: Report(int(run.hot.due())) if dry else self._swept(),
            LifeTask.FLUSH_ACCESS: lambda _: self.settle(dry=dry),
            LifeTask.ARCHIVE_EXPIRING: lambda _: expiring.archive_expiring(
                hot=run.hot, archive=run.archive, limit=limit, dry=dry
            ),
            LifeTask.WARM_CACHE: lambda personas: warming.warm_cache(
                personas, hot=run.hot, archive=run.archive, seconds=seconds, now=now, dry=dry
            ),
            LifeTask.SCORE_IMPORTANCE: lambda personas: scoring.score_importance(personas, sweep),
            LifeTask.CONSOLIDATE: lambda personas: self._followed(consolidating.consolidate(personas, sweep), dry),
            LifeTask.ARCHIVE_OLD: lambda personas: ageing.archive_old(personas, sweep),
            LifeTask.PRUNE: lambda personas: self._followed(forgetting.prune(personas, sweep), dry),
            LifeTask.DETECT_ANOMALIES: lambda _: watching.detect_anomalies(
                hot=run.hot, archive=run.archive, now=now, limit=limit, dry=dry
            ),
            LifeTask.BACKUP: lambda _: self._backup(dry),
        }
        return every[task]

    def _followed(self, report: Report, dry: bool) -> Report:
        """Have the ingest worker take over at once what was decided; it would find it by itself."""
        actions = {each.action for each in report.decisions}
        for action, job in (("delete", "forget"), (KEPT, "ingest")):
            if action in actions and not dry:
                self.nudge(job)
        return report

    def _backup(self, dry: bool) -> Report:
        run, settings = self.runtime, self.runtime.settings
        file = settings.archive_file()
        here = file is not None and run.archive.facts()["where"] == str(file)
        origin = backup.Origin(run.hot, run.spool, file) if file is not None and here else None
        return backup.scheduled(
            settings.backup_folder(), origin, keep=settings.backup_keep, clock=run.clock, stopped=self._go_on, dry=dry
        )

    def _go_on(self, *_: object) -> None:
        if self.runtime.stopping.is_set():
            raise Unavailable("this worker stops: a backup was broken off")

    def _swept(self) -> Report:
        return Report(1, changed=int(self.sweep_outbox()["due"]))

    def settle(self, *, dry: bool) -> Report:
        """Take what was read and said of memories into the archive."""
        run = self.runtime
        report = Report()
        with run.settling:  # two threads would have the same batch
            while True:
                report += settling.settle(hot=run.hot, archive=run.archive, rules=run.rules_of, limit=BATCH, dry=dry)
                if not report.more or run.stopping.is_set():
                    return report


def told(decision: Decision) -> dict[str, str]:
    """For people and programs."""
    return {**decision.key._asdict(), "action": decision.action, "why": decision.why}


def _row(report: Report) -> dict[str, JsonValue]:
    """What is kept of a run beside its counts."""
    detail: dict[str, JsonValue] = {**by_action(report.decisions), **report.detail}
    if report.errors:
        detail["errors"] = list(report.errors)
    if report.decisions:
        some: list[JsonValue] = [dict(told(each)) for each in report.decisions[:SHOWN]]
        detail["decisions"] = some
    return detail
