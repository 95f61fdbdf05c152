"""After one failure calls fail at once, until a probe in the background finds the service again."""

from __future__ import annotations

import os
import threading

import pytest

from tests.support import wait_until
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.tiers.breaker import Breaker


class Service:
    """Something that is there or not."""

    def __init__(self) -> None:
        self.there = True
        self.probed = 0
        self.breaker = Breaker("the service", retry_seconds=0.02)
        self.breaker.probe = self.probe

    def probe(self) -> None:
        self.probed += 1
        if not self.there:
            raise Unavailable("nobody there")


def threads() -> int:
    return sum(thread.name == "breaker of the service" for thread in threading.enumerate())


def test_calls_pass_while_the_service_is_there() -> None:
    service = Service()
    service.breaker.check()
    service.breaker.succeeded()
    assert threads() == 0


def test_after_a_failure_calls_fail_at_once_and_say_why() -> None:
    service = Service()
    service.there = False
    service.breaker.failed(Unavailable("connection refused"))
    with pytest.raises(Unavailable, match=r"connection refused \(tried again every 0.02 s\)"):
        service.breaker.check()
    service.breaker.failed(Unavailable("refused again"))
    wait_until(lambda: service.probed > 3)
    assert threads() == 1
    assert service.breaker.is_open
    service.breaker.close()
    wait_until(lambda: threads() == 0)


def test_the_probe_finds_the_service_again_and_tells() -> None:
    service = Service()
    service.there = False
    service.breaker.failed(Unavailable("gone"))
    wait_until(lambda: service.probed > 1)
    service.there = True
    wait_until(lambda: not service.breaker.is_open)
    service.breaker.check()
    wait_until(lambda: threads() == 0)


def test_somebody_else_who_reaches_it_closes_it_too() -> None:
    service = Service()
    service.there = False
    service.breaker.failed(Unavailable("gone"))
    service.breaker.succeeded()
    service.breaker.check()
    wait_until(lambda: threads() == 0)


def test_a_forked_child_tries_for_itself() -> None:
    service = Service()
    service.there = False
    service.breaker.failed(Unavailable("gone"))
    child = os.fork()
    if child == 0:
        try:
            service.breaker.check()
        except Unavailable:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert service.breaker.is_open
    service.breaker.close()
