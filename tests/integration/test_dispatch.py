"""A client that waits for workers while Redis fails: it is told in time, and goes on when Redis is back."""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.site import Site, breaker
from tests.support import Valkey, wait_until
from trinitas_tasks.errors import DeadlineExceeded, Unavailable
from trinitas_tasks.tasks.activity import Activity, Doing
from trinitas_tasks.tasks.dispatch import CeleryDispatcher, doing


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def dispatcher(server: Valkey, tmp_path: Path) -> Iterator[CeleryDispatcher]:
    made = CeleryDispatcher(Site(tmp_path, server).settings(), redis=breaker())
    yield made
    made.close()


def test_nobody_to_ask_is_told_at_the_deadline(dispatcher: CeleryDispatcher) -> None:
    with pytest.raises(DeadlineExceeded, match="no worker answered count within 300 ms"):
        dispatcher.ask("count", ["athena"], deadline_ms=300)


def test_messages_that_wait_are_counted_by_queue_and_a_broker_that_is_away_is_told(
    dispatcher: CeleryDispatcher, server: Valkey
) -> None:
    for job in ("ingest", "ingest", "prune"):
        dispatcher.tell(job)
    assert dispatcher.activity() == Activity({"search": 0, "ingest": 2, "lifecycle": 1}, ())
    server.kill()
    with pytest.raises(Unavailable, match="the broker at"):
        dispatcher.activity()


def test_what_a_worker_says_of_its_tasks_is_told_in_short() -> None:
    request = {"name": "trinitas.search", "args": "persona: athena, text: (16 characters)", "time_start": 100.0}
    assert doing(request, 101.5) == Doing("search", "persona: athena, text: (16 characters)", 1.5)
    assert doing({"name": "trinitas.ingest", "args": "()", "time_start": None}, 101.5) == Doing("ingest", "", 0.0)


@pytest.mark.parametrize("when", ["before", "while waiting"])
@pytest.mark.parametrize("how", ["stalled", "killed"])
def test_redis_that_goes_is_told_in_time_and_found_again(
    when: str, how: str, dispatcher: CeleryDispatcher, server: Valkey
) -> None:
    with pytest.raises(DeadlineExceeded):
        dispatcher.ask("count", ["athena"], deadline_ms=100)
    assert server.process is not None
    going = threading.Timer(
        0.0 if when == "before" else 0.5,
        lambda: server.process.send_signal(signal.SIGSTOP) if how == "stalled" and server.process else server.kill(),
    )
    going.start()
    if when == "before":
        going.join()
    began = time.monotonic()
    with pytest.raises(Unavailable):
        dispatcher.ask("count", ["athena"], deadline_ms=2000)
    assert time.monotonic() - began < 10  # it was 240 s
    going.join()
    if how == "stalled":
        server.process.send_signal(signal.SIGCONT)
    else:
        server.start()
    for _ in range(2):
        with pytest.raises(DeadlineExceeded):
            dispatcher.ask("count", ["athena"], deadline_ms=300)


def test_when_no_search_worker_answers_the_next_searches_fail_at_once(dispatcher: CeleryDispatcher) -> None:
    with pytest.raises(DeadlineExceeded):
        dispatcher.ask("search", [{}], deadline_ms=300)
    began = time.monotonic()
    for _ in range(10):
        with pytest.raises(Unavailable, match=r"tried again every 0\.2 s"):
            dispatcher.ask("search", [{}], deadline_ms=5000)
    assert time.monotonic() - began < 3


@pytest.fixture
def _nothing_collected() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_nothing_collected")
def test_close_gives_the_connections_back_on_which_threads_waited(dispatcher: CeleryDispatcher, server: Valkey) -> None:
    def ask() -> None:
        with pytest.raises(DeadlineExceeded):
            dispatcher.ask("count", ["athena"], deadline_ms=500)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    with server.client() as redis:
        before = len(redis.client_list())
        dispatcher.close()
        # two of each thread: for commands and for the news of results
        wait_until(lambda: len(redis.client_list()) <= before - 2 * len(threads))
