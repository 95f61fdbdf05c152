"""Several who change one memory at the same time, on a real server: nothing is lost, whatever leaves it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from tests.contract.benches import RedisBench
from tests.support import Valkey
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.embedding.stub import HashEmbedder
from trinitas_tasks.errors import Conflict, NotFound
from trinitas_tasks.model import MemoryItem
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.settings import Settings
from trinitas_tasks.tasks.inline import InlineDispatcher
from trinitas_tasks.tasks.jobs import Jobs
from trinitas_tasks.tiers.archive.memory import MemoryArchive
from trinitas_tasks.tiers.lexical.memory import MemoryLexical
from trinitas_tasks.tiers.spool.memory import MemorySpool
from trinitas_tasks.tiers.vectors.memory import MemoryVectors

ROUNDS = 40


class Quiet(InlineDispatcher):
    """The test itself says when something is archived."""

    def tell(self, job: str) -> None:
        pass


class Site:
    """Clients and a worker of one server."""

    def __init__(self, bench: RedisBench, cache_mb: float) -> None:
        self._bench, self._cache_mb = bench, cache_mb
        self.archive, self._vectors, self._lexical = MemoryArchive(), MemoryVectors(), MemoryLexical()
        self.jobs = Jobs(self._runtime(), nudge=lambda _: None)

    def _runtime(self) -> Runtime:
        return Runtime(
            Settings(),
            hot=self._bench.tier(cache_mb=self._cache_mb),
            archive=self.archive,
            vectors=self._vectors,
            embedder=HashEmbedder(),
            lexical=self._lexical,
            spool=MemorySpool(),
        )

    def client(self) -> MemoryClient:
        run = self._runtime()
        return MemoryClient(run.hot, Quiet(run), run.settings, spool=run.spool, archive=self.archive, persona="athena")


@pytest.fixture(params=[100, 0.00001], ids=["copies stay", "no copy stays"])
def site(request: pytest.FixtureRequest, valkey: Valkey, namespace: str) -> Iterator[Site]:
    bench = RedisBench(valkey, namespace)
    yield Site(bench, request.param)
    bench.close()


def again(call: Callable[[], MemoryItem]) -> MemoryItem:
    """As a caller does whom others were faster than."""
    while True:
        try:
            return call()
        except Conflict:
            continue


def test_changes_of_several_are_all_kept_while_it_is_archived_and_leaves(site: Site) -> None:
    memory_id = site.client().remember("0", tags=("0",), metadata={"n": 0})
    ended = threading.Event()

    def archive() -> int:
        archived = 0
        while not ended.is_set():
            archived += site.jobs.ingest()["archived"]
        return archived

    def change(field: str, value: Callable[[int], Any]) -> None:
        client = site.client()
        for n in range(1, ROUNDS):
            wanted = {field: value(n)}
            found = again(partial(client.update, memory_id, **wanted))
            assert getattr(found, field) == wanted[field]
            read = client.get(memory_id)
            assert read is not None
            assert getattr(read, field) == wanted[field], "acknowledged, and lost to somebody else's change"

    with ThreadPoolExecutor(4) as pool:
        worker = pool.submit(archive)
        changing = [
            pool.submit(change, "content", str),
            pool.submit(change, "tags", lambda n: (str(n),)),
            pool.submit(change, "metadata", lambda n: {"n": n}),
        ]
        try:
            for each in changing:
                each.result(60)
        finally:
            ended.set()
        assert worker.result(10) > 1
    last = str(ROUNDS - 1)
    site.jobs.ingest()
    record = site.archive.load("athena", [memory_id])[0]
    assert record is not None
    assert (record.item.content, record.item.tags, record.item.metadata) == (last, (last,), {"n": ROUNDS - 1})


def test_a_change_and_a_forget_at_the_same_time_leave_nothing(site: Site) -> None:
    one, other = site.client(), site.client()

    def change(memory_id: str) -> None:
        for n in range(100):
            try:
                one.update(memory_id, content=f"changed {n}")
            except NotFound:
                return
        raise AssertionError("forgotten, and still there")

    with ThreadPoolExecutor(1) as pool:
        for _ in range(10):
            memory_id = one.remember("to be forgotten", id="m")
            site.jobs.ingest()
            changing = pool.submit(change, memory_id)
            other.forget(memory_id)
            changing.result(10)
            assert other.get(memory_id) is None
            assert one.timeline().items == ()
