"""What silently breaks the promises, judged from facts: nothing here asks anybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from trinitas_tasks.services.doctor import machine, redis, workers
from trinitas_tasks.services.doctor.facts import Facts, WorkerFacts
from trinitas_tasks.services.doctor.verdict import Level, Verdict

Check = Callable[[Facts], Verdict | None]
"""Judges the facts; None where they do not allow it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check came to; of what is not fine there is advice."""

    level: Level
    name: str
    found: str
    advice: str = ""


def examine(facts: Facts) -> list[Finding]:
    """A finding for every check that the facts allow; the last one names those that they do not."""
    verdicts = {name: check(facts) for name, check in CHECKS.items()}
    findings = [Finding(found.level, name, found.found, found.advice) for name, found in verdicts.items() if found]
    if unknown := [name for name, found in verdicts.items() if found is None]:
        advice = "mend what stands above, then ask again"
        findings.append(Finding(Level.WARNING, "not checked", ", ".join(unknown), advice))
    return findings


def _told(check: Callable[[WorkerFacts], Verdict | None]) -> Check:
    return lambda facts: None if facts.worker is None else check(facts.worker)


CHECKS: Final[Mapping[str, Check]] = {
    "redis": redis.redis,
    "redis version": redis.redis_version,
    "append-only file": redis.durability,
    "eviction": redis.eviction,
    "role": redis.role,
    "memory of redis": redis.memory,
    "password": redis.password,
    "clock": redis.clock,
    **{f"{queue} worker": partial(workers.worker, queue=queue) for queue in workers.UNSERVED},
    "outbox": redis.outbox,
    "archive": _told(workers.archive),
    "sqlite": _told(workers.sqlite),
    "writers": workers.writers,
    "dead letters": _told(workers.dead_letters),
    "reconcile": _told(workers.reconcile),
    "full text": _told(workers.full_text),
    "chroma": _told(workers.chroma),
    "chroma's address": _told(workers.chroma_address),
    "model": _told(workers.model),
    "spool": machine.spool,
    "ledger": machine.ledger,
    "disk": machine.disk,
    "packages here": lambda facts: machine.packages(facts.packages),
    "packages of the workers": _told(lambda told: machine.packages(told.packages)),
}
