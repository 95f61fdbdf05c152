"""Whoever is killed in the middle of a scheduled task, at any call of any tier, costs time and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.deadly import Deadly, Death, Killed
from tests.unit.lives import LEASE_SECONDS, figures, lived, state
from tests.unit.workers import Workers
from trinitas_tasks.policy.life import LifeTask

TASKS = [task for task in LifeTask if task not in (LifeTask.RECONCILE, LifeTask.SWEEP_OUTBOX)]


Outcome = tuple[dict[str, Any], dict[str, float]]
"""The state, and the figures."""


def broken_off(workers: Workers, task: str, at: int) -> bool:
    """Run it and be killed at this call; whether it came to that."""
    death = Death(at)
    tiers = {name: getattr(workers.world, name) for name in ("hot", "archive", "vectors")}
    for name, tier in tiers.items():
        workers.runtime.__dict__[name] = Deadly(tier, death)
    try:
        getattr(workers.jobs, task)()
    except Killed:
        return True
    finally:
        workers.runtime.__dict__.update(tiers)
    return False


def finished(workers: Workers, task: str) -> Outcome:
    """What it comes to when it is run to its end, and the ingest after it; figures that depend on the time about."""
    workers.world.advance(LEASE_SECONDS)
    for _ in range(2):
        getattr(workers.jobs, task)()
        workers.world.settle()
    workers.jobs.flush_access()
    return state(workers), figures(workers)


def assert_same(found: Outcome, expected: Outcome, what: str) -> None:
    assert found[0] == expected[0], what
    assert found[1] == pytest.approx(expected[1], abs=0.02), what


@pytest.mark.parametrize("task", TASKS)
def test_a_killed_run_changes_nothing_but_time(task: LifeTask) -> None:
    expected, computed = finished(lived(), task)
    at = 1
    while True:
        workers = lived()
        if not broken_off(workers, task, at):
            break
        assert_same(finished(workers, task), (expected, computed), f"killed before call {at}")
        at += 1
    assert at > 3


@pytest.mark.parametrize("task", TASKS)
def test_two_runs_at_a_time_do_no_harm(task: LifeTask) -> None:
    """A lease that lapsed lets a second one in: it finds what the first has not done yet."""
    expected, computed = finished(lived(), task)
    workers = lived()
    broken_off(workers, task, 6)  # it stands still here, and its lease lapses
    workers.world.advance(LEASE_SECONDS)
    getattr(workers.jobs, task)()
    assert_same(finished(workers, task), (expected, computed), "two at a time")
