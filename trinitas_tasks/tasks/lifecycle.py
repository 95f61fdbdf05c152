"""The jobs that look after memories as time goes by: each runs one service, batch by batch, and leaves a row."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from trinitas_tasks.errors import InvalidQuery, TrinitasError, Unavailable
from trinitas_tasks.model import Key, check_persona
from trinitas_tasks.policy.life import LifeTask
from trinitas_tasks.services import backup
from trinitas_tasks.services.life import (
    ageing,
    analytics,
    consolidating,
    expiring,
    explaining,
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

logger = logging.getLogger(__name__)

BATCH: Final = 500
"""Memories that one step of a task looks at: some 0.1 to 0.5 s."""
BUDGET_SECONDS: Final = 2.0
"""How long one task goes on; what is left then gets a task of its own."""
ASKED_SECONDS: Final = 20.0
"""The same where somebody waits for it."""
LEASE_SECONDS: Final = 60
LEASES: Final = {LifeTask.BACKUP: 3600}
"""Of those that take longer."""
WAIT_SECONDS: Final = 5.0
"""How long somebody who asks for a run waits for the one that is at it."""
DRY_LIMIT: Final = 10_000
"""So much a dry run looks at."""
SHOWN: Final = 1000
"""So many decisions are told to who asked, and a few are kept in the row."""
KEPT: Final = 20
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

    # On request.

    def run(self, task: str, dry: bool, persona: str | None) -> dict[str, Any]:
        """Run a task now, for one persona or all, until nothing is due; what it did, or (``dry``) would do."""
        wanted = _named(task)
        personas = None if persona is None else [check_persona(persona)]
        if dry:
            return self._told(wanted, self._step(wanted, personas, DRY_LIMIT, dry=True), 0.0, dry=True)
        until = time.monotonic() + WAIT_SECONDS
        while (done := self._leased(wanted, personas, ASKED_SECONDS)) is None:
            if time.monotonic() > until:
                raise Unavailable(f"{wanted} runs just now: try again in a moment")
            time.sleep(0.1)
        report, seconds = done
        return self._told(wanted, report, seconds, dry=False)

    def why(self, persona: str, memory_id: str) -> dict[str, Any]:
        """What is known of a memory's life, and what will become of it."""
        run = self.runtime
        self._settle(dry=False)
        key = Key(check_persona(persona), memory_id)
        return explaining.explain(key, Sweep(run.index, run.settings.rules_of, run.clock(), 1, dry=True))

    def undo(self, seq: int) -> dict[str, Any]:
        """Take a consolidation back."""
        done = consolidating.undo(seq, index=self.runtime.index, now=self.runtime.clock())
        self.nudge("ingest")
        return explaining.told(done)

    def consolidations(self, persona: str | None, limit: int) -> list[dict[str, Any]]:
        """What was consolidated, newest first."""
        found = self.runtime.archive.consolidations(persona=persona, limit=limit)
        return [explaining.told(each) for each in found]

    def runs(self, task: str | None, limit: int) -> list[dict[str, Any]]:
        """The rows that runs of a task, or of all, left: newest first."""
        names = [_named(task)] if task else list(LifeTask)
        rows = [run for name in names for run in self.runtime.archive.runs(name, limit)]
        newest = sorted(rows, key=lambda run: run.started, reverse=True)[:limit]
        return [{**run._asdict(), "started": run.started.isoformat(), "detail": dict(run.detail)} for run in newest]

    def analytics(self, persona: str | None) -> dict[str, Any]:
        """Figures on memories and their use, and what they recommend."""
        run = self.runtime
        personas = run.archive.personas() if persona is None else [check_persona(persona)]
        in_force = analytics.InForce(
            cache_size_mb=run.settings.cache_size_mb,
            cache_seconds=run.settings.redis_ttl_cache,
            archive_days=run.settings.sqlite_archive_days,
            dedup_seconds=run.settings.dedup_seconds,
        )
        return analytics.analyse(personas, hot=run.hot, archive=run.archive, in_force=in_force, now=run.clock())

    # How a task runs.

    def _scheduled(self, task: LifeTask) -> dict[str, Any]:
        done = self._leased(task, None, BUDGET_SECONDS)
        if done is None:
            return {"skipped": "another run is at it"}
        report, seconds = done
        if report.more:
            self.nudge(task)
        told = {"examined": report.examined, "changed": report.changed, "errors": len(report.errors)}
        return {**told, "seconds": round(seconds, 3), **by_action(report.decisions), "more": report.more}

    def _leased(self, task: LifeTask, personas: Sequence[str] | None, budget: float) -> tuple[Report, float] | None:
        """One run of a task, of which only one goes on at a time; None where another is."""
        run = self.runtime
        token = run.hot.lease(task, LEASES.get(task, LEASE_SECONDS))
        if token is None:
            return None
        started, began = run.clock(), time.monotonic()
        report = Report()
        try:
            while True:
                report += self._step(task, personas, BATCH, dry=False)
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

    def _step(self, task: LifeTask, personas: Sequence[str] | None, limit: int, *, dry: bool) -> Report:
        """One batch."""
        if task in SETTLED_FIRST:
            self._settle(dry=dry)
        work = self._work(task, limit, dry)
        return work(self.runtime.archive.personas() if personas is None else personas)

    def _work(self, task: LifeTask, limit: int, dry: bool) -> Callable[[Sequence[str]], Report]:
        run, now = self.runtime, self.runtime.clock()
        sweep = Sweep(run.index, run.settings.rules_of, now, limit, dry)
        seconds = int(2 * run.settings.seconds_between(LifeTask.WARM_CACHE)) or run.settings.redis_ttl_cache
        every: dict[LifeTask, Callable[[Sequence[str]], Report]] = {
            LifeTask.SWEEP_OUTBOX: lambda _: Report(int(run.hot.due())) if dry else self._swept(),
            LifeTask.FLUSH_ACCESS: lambda _: self._settle(dry=dry),
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
        for action, job in (("delete", "forget"), (consolidating.KEPT, "ingest")):
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

    def _settle(self, *, dry: bool) -> Report:
        run = self.runtime
        report = Report()
        with run.settling:  # two threads would have the same batch
            while True:
                report += settling.settle(
                    hot=run.hot, archive=run.archive, rules=run.settings.rules_of, limit=BATCH, dry=dry
                )
                if not report.more or run.stopping.is_set():
                    return report

    def _told(self, task: LifeTask, report: Report, seconds: float, *, dry: bool) -> dict[str, Any]:
        return {
            "examined": report.examined,  # first: monitors cut what comes later
            "changed": report.changed,
            "seconds": round(seconds, 3),
            "task": task.value,
            "dry_run": dry,
            "errors": list(report.errors),
            "more": report.more,
            "decided": len(report.decisions),
            "decisions": [_decision(each) for each in report.decisions[:SHOWN]],
            **report.detail,
        }


def _named(task: str) -> LifeTask:
    try:
        found = LifeTask(task)
    except ValueError:
        raise InvalidQuery(f"task: there is no {task!r}; there are {', '.join(sorted(LifeTask))}") from None
    if found is LifeTask.RECONCILE:
        raise InvalidQuery("task: `trinitas verify --repair` runs reconcile now and shows what it does")
    return found


def _decision(decision: Decision) -> dict[str, str]:
    return {**decision.key._asdict(), "action": decision.action, "why": decision.why}


def _row(report: Report) -> dict[str, JsonValue]:
    """What is kept of a run beside its counts."""
    detail: dict[str, JsonValue] = {**by_action(report.decisions), **report.detail}
    if report.errors:
        detail["errors"] = list(report.errors)
    if report.decisions:
        some: list[JsonValue] = [dict(_decision(each)) for each in report.decisions[:KEPT]]
        detail["decisions"] = some
    return detail
