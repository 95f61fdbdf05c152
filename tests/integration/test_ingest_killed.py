"""An ingest worker that is killed after any step of a batch loses nothing and doubles nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.chroma_server import ChromaServer
from tests.integration.killed_ingest import NAMESPACE
from tests.integration.site import Site, jobs
from tests.support import Valkey, wait_until
from trinitas_tasks.services.ingest import STEPS
from trinitas_tasks.tiers.vectors.chroma import ChromaVectors

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Valkey, ChromaServer]]:
    valkey, chroma = Valkey(tmp_path_factory.mktemp("valkey")), ChromaServer(tmp_path_factory.mktemp("chroma"))
    valkey.start()
    chroma.start()
    yield valkey, chroma
    valkey.stop()
    chroma.stop()


def ingest(site: Site, chroma: ChromaServer, step: str, sign: str = "SIGKILL") -> subprocess.Popen[bytes]:
    server = site.server
    arguments = [str(site.folder), str(server.port), server.password, str(chroma.port), step, sign]
    return subprocess.Popen([sys.executable, "-m", "tests.integration.killed_ingest", *arguments], cwd=ROOT)


def settled(site: Site, chroma: ChromaServer, persona: str, expected: dict[str, str]) -> None:
    """Every memory is archived and indexed once, as it was written last, and no tier differs from another."""
    vectors = ChromaVectors("127.0.0.1", chroma.port, namespace=NAMESPACE, model="stub", deadline_ms=10_000)
    runtime = site.runtime(vectors=vectors)
    run = jobs(runtime)
    with site.client(persona) as client:
        wait_until(lambda: run.ingest() and not client.stats().pending, 20)
        for memory_id, content in expected.items():
            item = client.get(memory_id)
            assert item is not None
            assert item.content == content
    assert sum(runtime.archive.stats(persona).by_type.values()) == len(expected)
    assert sorted(vectors.listed(persona, 0, 1000)) == sorted(expected)
    assert run.compare(None)["differences"] == []
    assert runtime.archive.stats(persona).unindexed == 0
    runtime.close()


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_after_any_step_only_delays(step: str, servers: tuple[Valkey, ChromaServer], tmp_path: Path) -> None:
    valkey, chroma = servers
    persona = f"killed-at-{step}"
    site = Site(tmp_path, valkey)
    with site.client(persona) as client:
        ids = client.remember_many({"content": f"the heron of field {number}"} for number in range(20))
        expected = {each: f"the heron of field {number}" for number, each in enumerate(ids)}
        worker = ingest(site, chroma, step)
        assert worker.wait(60) == -signal.SIGKILL
        client.remember("changed in between", id=ids[0])
        client.forget(ids[1])
    expected[ids[0]] = "changed in between"
    del expected[ids[1]]
    settled(site, chroma, persona, expected)


def test_two_workers_at_once_do_nothing_twice(servers: tuple[Valkey, ChromaServer], tmp_path: Path) -> None:
    valkey, chroma = servers
    site = Site(tmp_path, valkey)
    with site.client("two-workers") as client:
        ids = client.remember_many({"content": f"note {number} of two"} for number in range(600))
    workers = [ingest(site, chroma, "none") for _ in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    settled(site, chroma, "two-workers", {each: f"note {number} of two" for number, each in enumerate(ids)})


@pytest.mark.parametrize("step", STEPS[:-1])
def test_a_stopped_worker_that_goes_on_late_spoils_nothing(
    step: str, servers: tuple[Valkey, ChromaServer], tmp_path: Path
) -> None:
    valkey, chroma = servers
    site = Site(tmp_path, valkey)
    persona = f"late-at-{step}"
    with site.client(persona) as client:
        memory_id = client.remember("the first version")
        late = ingest(site, chroma, step, "SIGSTOP")
        os.waitid(os.P_PID, late.pid, os.WSTOPPED)
        client.remember("the second version", id=memory_id)
        settled(site, chroma, persona, {memory_id: "the second version"})
        late.send_signal(signal.SIGCONT)
        assert late.wait(60) == 0
    settled(site, chroma, persona, {memory_id: "the second version"})
