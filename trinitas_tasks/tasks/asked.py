"""The jobs that somebody asks for about the lives of memories, and waits for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from trinitas_tasks.errors import InvalidQuery, Unavailable
from trinitas_tasks.model import Key, check_persona
from trinitas_tasks.policy.life import LifeTask, task_named
from trinitas_tasks.services.life import analytics, consolidating, explaining
from trinitas_tasks.services.life.report import Report
from trinitas_tasks.services.life.sweep import Sweep
from trinitas_tasks.tasks.lifecycle import Lifecycle, told

ASKED_SECONDS: Final = 20.0
"""How long a run goes on for which somebody waits."""
WAIT_SECONDS: Final = 5.0
"""How long that waits for another one that is at it."""
DRY_LIMIT: Final = 10_000
"""So much a dry run looks at."""
SHOWN: Final = 1000
"""So many decisions are told."""


@dataclass(frozen=True, slots=True)
class Asked(Lifecycle):
    """These jobs over one runtime."""

    def run(self, task: str, dry: bool, persona: str | None) -> dict[str, Any]:
        """Run a task now, for one persona or all, until nothing is due; what it did, or (``dry``) would do."""
        wanted = task_named(task)
        if wanted is LifeTask.RECONCILE:
            raise InvalidQuery("task: `trinitas verify --repair` runs reconcile now and shows what it does")
        personas = None if persona is None else [check_persona(persona)]
        if dry:
            return _told(wanted, self.step(wanted, personas, DRY_LIMIT, dry=True), 0.0, dry=True)
        until = time.monotonic() + WAIT_SECONDS
        while (done := self.leased(wanted, personas, ASKED_SECONDS)) is None:
            if time.monotonic() > until:
                raise Unavailable(f"{wanted} runs just now: try again in a moment")
            time.sleep(0.1)
        report, seconds = done
        return _told(wanted, report, seconds, dry=False)

    def why(self, persona: str, memory_id: str) -> dict[str, Any]:
        """What is known of a memory's life, and what will become of it."""
        run = self.runtime
        self.settle(dry=False)
        key = Key(check_persona(persona), memory_id)
        return explaining.explain(key, Sweep(run.index, run.rules_of, run.clock(), 1, dry=True))

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
        names = [task_named(task)] if task else list(LifeTask)
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


def _told(task: LifeTask, report: Report, seconds: float, *, dry: bool) -> dict[str, Any]:
    return {
        "examined": report.examined,  # first: monitors cut what comes later
        "changed": report.changed,
        "seconds": round(seconds, 3),
        "task": task.value,
        "dry_run": dry,
        "errors": list(report.errors),
        "more": report.more,
        "decided": len(report.decisions),
        "decisions": [told(each) for each in report.decisions[:SHOWN]],
        **report.detail,
    }
