"""Whatever takes Redis away: writes go to the spool, reads to the archive, and all of it heals by itself."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.site import Site, jobs
from tests.support import Valkey, free_port, wait_until
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import Overloaded, Unavailable
from trinitas_tasks.settings import Settings

Fault = Callable[[Valkey], AbstractContextManager[None]]


@contextmanager
def refused(server: Valkey) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def stalled(server: Valkey) -> Iterator[None]:
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    yield
    server.process.send_signal(signal.SIGCONT)


@contextmanager
def out_of_memory(server: Valkey) -> Iterator[None]:
    with server.client() as redis:
        redis.config_set("maxmemory", 1)
        yield
        redis.config_set("maxmemory", 0)


@contextmanager
def a_replica(server: Valkey) -> Iterator[None]:
    with server.client() as redis:
        redis.replicaof("127.0.0.1", str(free_port()))
        yield
        redis.replicaof("NO", "ONE")


@contextmanager
def another_password(server: Valkey) -> Iterator[None]:
    with server.client() as redis:
        redis.config_set("requirepass", "changed")
        redis.client_kill_filter(_type="normal", skipme=True)
        yield
        redis.config_set("requirepass", server.password)


@contextmanager
def black_holed(server: Valkey) -> Iterator[None]:
    """Somebody listens and never answers, not even the handshake: as packets that are dropped on the way."""
    server.kill()
    with ExitStack() as stack:
        hole = stack.enter_context(socket.socket())
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind(("127.0.0.1", server.port))
        hole.listen(0)
        for _ in range(3):  # the queue is full: further handshakes are not answered
            each = stack.enter_context(socket.socket())
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", server.port))
        yield
    server.start()


FAULTS = (refused, stalled, out_of_memory, a_replica, another_password, black_holed)
WRITES_ONLY = (out_of_memory,)
"""Faults that leave reads alone."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path)
    server.start()
    yield server
    if server.process is not None:
        server.process.send_signal(signal.SIGCONT)
    server.stop()


@pytest.fixture
def site(server: Valkey, tmp_path: Path) -> Site:
    return Site(tmp_path, server)


@pytest.fixture
def client(site: Site) -> Iterator[MemoryClient]:
    with site.client() as client:
        yield client


def archive_all(site: Site) -> None:
    runtime = site.runtime()
    jobs(runtime).ingest()
    runtime.close()


def got(client: MemoryClient, memory_id: str) -> object:
    item = client.get(memory_id)
    return None if item is None else item.content


@pytest.mark.parametrize("fault", FAULTS)
def test_writes_are_spooled_reads_are_archived_and_all_of_it_heals(
    fault: Fault, site: Site, client: MemoryClient, server: Valkey
) -> None:
    old = client.remember("The heron stands in field seven.", type="semantic")
    gone = client.remember("The walrus knows the launch code.")
    archive_all(site)
    client.forget(gone)
    with fault(server):
        new = client.remember("The fox sleeps under the bridge.")
        client.remember("The heron moved to field nine.", id=old, type="semantic")
        assert got(client, new) == "The fox sleeps under the bridge."
        assert got(client, old) == "The heron moved to field nine."
        assert "spool" in client.health().parts
        found = client.recall("where does the fox sleep, where stands the heron, who knows the launch code?")
        assert {hit.item.id for hit in found} == {new, old}
        assert any(("redis" if fault not in WRITES_ONLY else "search") in reason for reason in found.degraded)
        client.forget(new)
        with pytest.raises(Unavailable) if fault not in WRITES_ONLY else ExitStack():
            assert got(client, "never") is None
        assert fault in WRITES_ONLY or not client.health().ok
    wait_until(lambda: client.health().parts.get("redis", "") is None and not client._spool.waiting(), 10)
    assert got(client, old) == "The heron moved to field nine."
    assert got(client, new) is None
    assert got(client, gone) is None
    time_left = time.monotonic() + 20
    runtime = site.runtime()
    while client.stats().pending and time.monotonic() < time_left:
        jobs(runtime).ingest()
    archived = runtime.archive.load("athena", [old, new, gone])
    assert [record and record.item.content for record in archived] == ["The heron moved to field nine.", None, None]
    assert jobs(runtime).compare(None)["differences"] == []
    runtime.close()


@pytest.mark.parametrize("fault", [each for each in FAULTS if each not in WRITES_ONLY])
def test_after_the_first_failure_calls_do_not_wait_for_redis(
    fault: Fault, client: MemoryClient, server: Valkey
) -> None:
    client.remember("before")
    with fault(server):
        began = time.monotonic()
        client.remember("first")
        first = time.monotonic() - began
        assert first < 2.0  # docs/benchmarks.md has the figures: this finds a wait without a limit
        began = time.monotonic()
        for number in range(20):
            client.remember(f"note {number}")
        assert time.monotonic() - began < 2.0


def test_what_a_dead_process_spooled_is_replayed_by_whoever_comes_next(site: Site, server: Valkey) -> None:
    server.kill()
    child = os.fork()
    if child == 0:
        try:
            with site.client() as dying:
                os.write(1, dying.remember("left behind", id="left").encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    server.start()
    with site.client() as client:
        assert got(client, "left") == "left behind"
        wait_until(lambda: client._spool.empty())
        assert client.stats().pending == 1
    with site.client() as another:
        server.kill()
        another.remember("by the worker", id="worker")
    server.start()
    runtime = site.runtime()
    jobs(runtime).tick()
    assert runtime.archive.load("athena", ["worker"])[0] is not None
    runtime.close()


def test_of_what_was_written_on_both_sides_the_newest_wins(site: Site, server: Valkey) -> None:
    with site.client() as cut_off, site.client() as reached:
        cut_off.remember("first", id="m")
        reached.remember("first", id="n")
        server.kill()
        cut_off.remember("from the spool", id="m")
        cut_off.remember("from the spool", id="n")
        server.start()
        reached.remember("written directly, later", id="m")
        wait_until(lambda: cut_off._spool.empty())
        for client in (cut_off, reached):
            wait_until(lambda client=client: got(client, "m") == "written directly, later")  # type: ignore[misc]
            assert got(client, "n") == "from the spool"


def test_a_full_outbox_and_a_full_spool_say_so(site: Site, server: Valkey) -> None:
    with site.client(TRINITAS_OUTBOX_LIMIT=3, TRINITAS_SPOOL_LIMIT_MB=1) as client:
        for number in range(3):
            client.remember(f"note {number}")
        with pytest.raises(Overloaded, match="TRINITAS_OUTBOX_LIMIT"):
            client.remember("one too many")
        assert client._spool.empty()
        server.kill()
        with pytest.raises(Overloaded, match="TRINITAS_SPOOL_LIMIT_MB"):
            client.remember_many({"content": os.urandom(40_000).hex()} for _ in range(600))
        server.start()
        archive_all(site)


def test_a_synchronous_write_is_not_spooled(site: Site, server: Valkey) -> None:
    with site.client(ASYNC_WRITES=False) as client:
        server.kill()
        with pytest.raises(Unavailable):
            client.remember("into the archive or not at all")
        assert client._spool.empty()


def test_no_archive_of_another_deployment_answers(site: Site, tmp_path: Path) -> None:
    with site.client() as client:
        kept = client.remember("The heron stands in field seven.")
        archive_all(site)
    unnamed: dict[str, Any] = {"TRINITAS_HOME": tmp_path, "TRINITAS_RETRY_DELAY": 0.2}
    other = Settings(**{**unnamed, "REDIS_URL": f"redis://127.0.0.1:{free_port()}"})
    with MemoryClient.connect(other, persona="athena") as stranger, pytest.raises(Unavailable):
        stranger.get(kept)
    same = Settings(**{**unnamed, "REDIS_URL": site.server.url})
    with MemoryClient.connect(same, persona="athena") as known:
        site.server.kill()
        assert got(known, kept) == "The heron stands in field seven."


def test_health_says_what_a_weaker_append_only_file_costs(client: MemoryClient, server: Valkey) -> None:
    assert client.health().warnings == ()
    with server.client() as redis:
        redis.config_set("appendfsync", "everysec")
        assert any("a second of acknowledged writes" in each for each in client.health().warnings)
        redis.config_set("appendonly", "no")
        assert any("no append-only file" in each for each in client.health().warnings)
