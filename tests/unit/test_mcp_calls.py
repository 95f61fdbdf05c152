"""Calls run side by side, so many at a time, and end when nobody wants them any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import anyio
import pytest

from tests.support import wait_until
from trinitas_tasks.errors import Overloaded
from trinitas_tasks.interfaces.mcp import calls
from trinitas_tasks.interfaces.mcp.calls import Calls
from trinitas_tasks.tasks import patience

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def two() -> Iterator[Calls]:
    made = Calls(2)
    yield made
    made.close()


def patient(ended: threading.Event) -> Callable[[], None]:
    """Waits as whoever waits for a job does."""

    def work() -> None:
        try:
            for _ in range(5000):
                patience.check()
                time.sleep(0.001)
        finally:
            ended.set()

    return work


async def test_calls_run_side_by_side_but_not_too_many(two: Calls) -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def work() -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return "done"

    answers: list[str] = []

    async def one() -> None:
        answers.append(await two.run(work))

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(one)
    assert (answers, most, two.pending) == (["done"] * 10, 2, 0)


async def test_an_error_is_the_callers(two: Calls) -> None:
    def work() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await two.run(work)
    assert two.pending == 0


async def test_whoever_gives_up_frees_the_thread(two: Calls) -> None:
    ended = [threading.Event(), threading.Event()]
    with anyio.move_on_after(0.05):
        async with anyio.create_task_group() as tasks:
            for each in ended:
                tasks.start_soon(two.run, patient(each))
    assert all(each.wait(5) for each in ended)
    assert await two.run(lambda: "the next") == "the next"
    wait_until(lambda: two.pending == 0)


async def test_what_has_not_begun_when_it_is_given_up_never_does(two: Calls) -> None:
    held, begun = threading.Event(), []
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(two.run, lambda: held.wait(5))
        await anyio.sleep(0)
        with anyio.move_on_after(0.05):
            await two.run(lambda: begun.append("it"))
        held.set()
    assert not begun
    wait_until(lambda: two.pending == 0)


async def test_more_than_can_wait_is_refused(two: Calls) -> None:
    held = threading.Event()
    async with anyio.create_task_group() as tasks:
        room = 2 * (1 + calls.WAITING)
        for _ in range(room):
            tasks.start_soon(two.run, lambda: held.wait(5))
        while two.pending < room:
            await anyio.sleep(0)
        with pytest.raises(Overloaded, match="18 calls run or wait already"):
            await two.run(lambda: None)
        held.set()


async def test_whoever_waited_too_long_is_told_before_its_turn() -> None:
    one, held, begun = Calls(1, wait_seconds=0.01), threading.Event(), []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.run, lambda: held.wait(5))
        await anyio.sleep(0)
        with pytest.raises(Overloaded, match="kept this one waiting too long"):
            await one.run(lambda: begun.append("it"))
        assert not held.is_set()
        held.set()
    assert not begun
    wait_until(lambda: one.pending == 0)
    one.close()
