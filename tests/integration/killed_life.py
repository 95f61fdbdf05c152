"""Runs lifecycle tasks, each in a process of its own that kills itself at one of its calls of a tier.

Arguments: the file of the archive, when the world began (ISO), the URL of its Redis, the port of its Chroma. Then it
reads lines TASK NUMBER WHEN and answers each with the exit code of the process that ran the task and with how many
calls it came to. It kills itself `before` or `after` call NUMBER (0: not at all). Importing the tiers takes a second,
so these processes are forks of one that has imported all and opened nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.unit.lives import RULES, Still
from tests.unit.workers import Workers
from trinitas_tasks.services.life import expiring
from trinitas_tasks.tasks import lifecycle
from trinitas_tasks.tiers.archive.sql import SqlArchive
from trinitas_tasks.tiers.hot.redis import RedisHotTier
from trinitas_tasks.tiers.vectors.chroma import ChromaVectors

NAMESPACE = "killed"
LEASE_SECONDS = 0.02
BATCH = 3
COPIES_SECONDS = 3000


class Real(Still):
    """On a real Redis, archive file and Chroma; what it holds is what they hold."""

    def __init__(self, archive: Path, begin: datetime, redis_url: str, chroma_port: int) -> None:
        super().__init__()
        self.begin = begin
        self.hot = RedisHotTier(redis_url, namespace=NAMESPACE, pool_size=4, timeout_seconds=10)
        self.archive = SqlArchive(f"sqlite:///{archive}")
        self.vectors = ChromaVectors("127.0.0.1", chroma_port, namespace=NAMESPACE, model="stub", deadline_ms=20_000)

    def close(self) -> None:
        for tier in (self.hot, self.archive, self.vectors):
            tier.close()


def hurry() -> None:
    """Small batches, and leases that end soon."""
    setattr(lifecycle, "LEASE_SECONDS", LEASE_SECONDS)  # noqa: B010 - it is Final
    setattr(lifecycle, "BATCH", BATCH)  # noqa: B010
    setattr(expiring, "WITHIN_SECONDS", COPIES_SECONDS)  # noqa: B010 - all copies leave soon


class Deadly:
    """Tiers that count their calls together, and end this process at one of them."""

    def __init__(self, at: int, when: str) -> None:
        self.calls, self._at, self._when = 0, at, when

    def over(self, tier: Any) -> Any:
        """The tier, deadly."""
        return _DeadlyTier(tier, self)

    def reached(self, when: str) -> None:
        """Here is one more call."""
        self.calls += when == "before"
        if self.calls == self._at and when == self._when:
            os.kill(os.getpid(), signal.SIGKILL)


class _DeadlyTier:
    def __init__(self, tier: Any, counted: Deadly) -> None:
        self._tier, self._counted = tier, counted

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._tier, name)
        if not callable(attribute):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            self._counted.reached("before")
            answer = attribute(*args, **kwargs)
            self._counted.reached("after")
            return answer

        return call


def run(world: Real, task: str, at: int, when: str) -> int:
    """Run the task; how many calls it came to."""
    workers, deadly = Workers(world, **RULES), Deadly(at, when)
    for name in ("hot", "archive", "vectors"):
        workers.runtime.__dict__[name] = deadly.over(getattr(world, name))
    getattr(workers.jobs, task)()
    world.close()
    return deadly.calls


def main(archive: Path, begin: datetime, redis_url: str, chroma_port: int) -> None:
    hurry()
    for line in sys.stdin:
        task, at, when = line.split()
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.write(writing, str(run(Real(archive, begin, redis_url, chroma_port), task, int(at), when)).encode())
            os._exit(0)
        os.close(writing)
        _, status = os.waitpid(child, 0)
        told = os.read(reading, 100).decode()
        os.close(reading)
        print(os.waitstatus_to_exitcode(status), told or 0, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main(Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
