"""One runtime that several threads use."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.unit.lives import lived, read, said, state
from trinitas_tasks.policy.life import LifeTask
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.settings import Settings
from trinitas_tasks.tiers.hot.interface import Said

THREADS = 4


@pytest.mark.parametrize("name", ["hot", "archive", "vectors", "spool"])
def test_threads_that_need_a_tier_at_a_time_have_the_same(name: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"TRINITAS_HOME": tmp_path, "REDIS_URL": "redis://127.0.0.1:1/0"}
    runtime = Runtime(Settings(**given))
    together = threading.Barrier(THREADS)

    def needed() -> object:
        together.wait()
        return getattr(runtime, name)

    with ThreadPoolExecutor(THREADS) as pool:
        found = [each.result() for each in [pool.submit(needed) for _ in range(THREADS)]]
    assert len({id(each) for each in found}) == 1
    runtime.close()


def test_tasks_that_run_at_a_time_count_nothing_twice() -> None:
    alone, together = lived(), lived()
    for workers in (alone, together):
        read(workers, *(f"fact{number}" for number in range(16)))
        for _ in range(20):
            said(workers, "fact5", Said.USEFUL)
    alone.jobs.flush_access()
    with ThreadPoolExecutor(THREADS) as pool:
        runs = [pool.submit(together.jobs.why, "athena", "fact5") for _ in range(2 * THREADS)]
        runs.append(pool.submit(together.jobs.run, LifeTask.FLUSH_ACCESS, False, None))
        assert all(each.result() for each in runs)
    assert state(together) == state(alone)
