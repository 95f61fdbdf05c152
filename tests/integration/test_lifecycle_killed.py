"""Whoever runs a lifecycle task and is killed at any call of a real tier costs time and nothing else."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis

from tests.contract.chroma_server import ChromaServer
from tests.integration.kept import Kept, Place
from tests.integration.killed_life import NAMESPACE, hurry
from tests.support import Valkey, wait_until
from tests.unit.lives import RULES, SEMANTIC, figures, lived, made, remembered, said, state
from tests.unit.workers import Workers
from trinitas_tasks.model import Key
from trinitas_tasks.policy.life import LifeTask
from trinitas_tasks.services.life import expiring
from trinitas_tasks.services.reconcile import Cursor
from trinitas_tasks.tasks import lifecycle
from trinitas_tasks.tiers.hot.interface import Said

ROOT = Path(__file__).parents[2]
SEED = 20
POINTS = 5
"""At so many points each task is killed."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    valkey, chroma = Valkey(tmp_path_factory.mktemp("valkey")), ChromaServer(tmp_path_factory.mktemp("chroma"))
    valkey.start()
    chroma.start()
    yield Place(valkey, chroma, tmp_path_factory.mktemp("archive"))
    valkey.stop()
    chroma.stop()


@pytest.fixture(scope="module")
def kept(place: Place) -> Kept:
    """The world as it was when it had lived for a while."""
    world = place.opened()
    world.archive.migrate()
    lived(world)
    return place.keep(world)


@pytest.fixture(scope="module")
def runner(place: Place) -> Iterator[Callable[[str, int, str], tuple[int, int]]]:
    """Runs a task in a process that is killed at this call: its exit code, and the calls it came to."""
    arguments = [str(place.archive), place.begin.isoformat(), place.valkey.url, str(place.chroma.port)]
    command = [sys.executable, "-m", "tests.integration.killed_life", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def run(task: str, at: int, when: str) -> tuple[int, int]:
            print(task, at, when, file=asked, flush=True)
            code, calls = answers.readline().split()
            return int(code), int(calls)

        yield run
        asked.close()
        assert process.wait(20) == 0


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `hurry` changes is put back."""
    for module, name in ((lifecycle, "LEASE_SECONDS"), (lifecycle, "BATCH"), (expiring, "WITHIN_SECONDS")):
        monkeypatch.setattr(module, name, getattr(module, name))
    hurry()


def outdated(workers: Workers, place: Place) -> Path:
    """Some memories came after the archive was copied to where it is restored from."""
    workers.world.archive.close()
    older = place.copied()
    remembered(workers, *(made(workers.world, f"A late fact {n}", id=f"late{n}", type=SEMANTIC) for n in range(4)))
    return older


def said_of_what_waits(workers: Workers, _: Place) -> None:
    """Something is said of memories before they are archived."""
    workers.world.remember(*(made(workers.world, f"Fresh news {n}", id=f"fresh{n}") for n in range(2)))
    for given in (Said.USEFUL, Said.PIN):
        said(workers, "fresh0", given)


def waiting(workers: Workers, _: Place) -> None:
    """A memory is to be archived."""
    workers.world.remember(made(workers.world, "Fresh news", id="fresh"))


def drifted(workers: Workers, _: Place) -> None:
    """The vector tier lost some and has others that nobody knows."""
    vectors, archive = workers.world.vectors, workers.world.archive
    known = archive.vectors("athena", ["fact7"], workers.world.embedder.name)[0]
    vectors.upsert("athena", ["ghost0", "ghost1"], [known, known], [7, 8])
    vectors.delete("athena", ["fact5", "fact6"])


def suspicious(workers: Workers, _: Place) -> None:
    """The same was written again and again."""
    again = "The disk is full, the disk is full"
    remembered(workers, *(made(workers.world, again, id=f"again{n}", type=SEMANTIC) for n in range(25)))


def forgetful(_: Workers, place: Place) -> None:
    """Redis has no room for copies any more, and then it has."""
    with Redis.from_url(place.valkey.url) as redis:
        redis.delete(*redis.scan_iter(f"{NAMESPACE}:rec:*"))


PREPARED: dict[LifeTask, Callable[[Workers, Place], Path | None]] = {
    LifeTask.ARCHIVE_EXPIRING: outdated,
    LifeTask.FLUSH_ACCESS: said_of_what_waits,
    LifeTask.SWEEP_OUTBOX: waiting,
    LifeTask.RECONCILE: drifted,
    LifeTask.DETECT_ANOMALIES: suspicious,
    LifeTask.WARM_CACHE: forgetful,
}
"""What a task needs besides to have something to do."""


def finished(place: Place, task: LifeTask) -> tuple[dict[str, Any], dict[str, float]]:
    """What it comes to when it is run to its end, and the ingest after it."""
    with closing(place.opened()) as world:
        workers = Workers(world, **RULES)
        for _ in range(2):
            wait_until(lambda: has_run(workers, task), 5)
            world.settle()
        workers.jobs.flush_access()
        return state(workers) | {"copies": copies(workers), "findings": findings(workers)}, figures(workers)


def copies(workers: Workers) -> set[Key]:
    """What may be read from Redis."""
    keys = [change.key for change in workers.runtime.archive.changes(0, 10_000)]
    return {each.key for each in workers.runtime.hot.standings(keys) if each is not None and not each.gone}


def findings(workers: Workers) -> list[tuple[str, str]]:
    """What was found suspicious, in whichever run."""
    rows = workers.runtime.archive.runs(LifeTask.DETECT_ANOMALIES, 100)
    told: list[Any] = [each for row in rows for each in cast(list[Any], row.detail.get("findings", []))]
    return sorted((each["kind"], each["evidence"]) for each in told)


def has_run(workers: Workers, task: LifeTask) -> bool:
    """Run it to its end; False where the lease of another one still stands."""
    done = getattr(workers.jobs, task)()
    while done.get("more") or workers.runtime.compared != Cursor():
        done = getattr(workers.jobs, task)()
    return not done.get("skipped")


def points(calls: int, seed: int) -> list[tuple[int, str]]:
    """Before the first call, after the last one, and some between."""
    every = [(at, when) for at in range(1, calls + 1) for when in ("before", "after")]
    ends = [every[0], every[-1]]
    chosen = random.Random(seed).sample(every[1:-1], min(POINTS, len(every)) - len(ends))
    return sorted({*ends, *chosen})


# a backup changes nothing but its own file (see test_backup), and its lease lasts an hour
@pytest.mark.parametrize("task", [task for task in LifeTask if task is not LifeTask.BACKUP])
def test_a_killed_run_costs_time_and_nothing_else(
    task: LifeTask, place: Place, kept: Kept, runner: Callable[[str, int, str], tuple[int, int]]
) -> None:
    if (prepared := PREPARED.get(task)) is not None:
        place.restore(kept)
        world = place.opened()
        kept = place.keep(world, prepared(Workers(world, **RULES), place))
    place.restore(kept)
    code, calls = runner(task, 0, "never")
    assert code == 0
    expected, computed = finished(place, task)
    assert expected["findings"] or task is not LifeTask.DETECT_ANOMALIES
    for at, when in points(calls, SEED):
        place.restore(kept)
        assert runner(task, at, when) == (-signal.SIGKILL, 0)
        found, recomputed = finished(place, task)
        assert found == expected, f"seed {SEED}: killed {when} call {at} of {calls}"
        assert recomputed == pytest.approx(computed, abs=0.02)
