"""While one batch is settled the next is made, and neither is lost where the other fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from trinitas_tasks.services.overlap import overlapped


class Broken(Exception):
    """It failed here."""


def test_the_next_is_made_while_one_is_settled() -> None:
    made = [threading.Event() for _ in range(5)]

    def making() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    def settle(number: int) -> int:
        assert number + 1 == len(made) or made[number + 1].wait(10), "the next one waits for this one"
        return number * 10

    assert list(overlapped(making(), settle, _unexpected)) == [0, 10, 20, 30, 40]


def test_one_at_a_time_is_settled_in_order() -> None:
    alone = threading.Lock()
    settled: list[int] = []

    def settle(number: int) -> None:
        with alone:
            settled.append(number)

    def making() -> Iterator[int]:
        for number in range(50):
            assert number - 2 <= len(settled) + 1, "one is being settled, one made: no more wait"
            yield number

    assert len(list(overlapped(making(), settle, _unexpected))) == 50
    assert settled == list(range(50))


def test_what_was_made_while_settling_failed_is_abandoned() -> None:
    given_back: list[int] = []
    made: list[int] = []

    def making() -> Iterator[int]:
        for number in range(5):
            made.append(number)
            yield number

    def settle(number: int) -> int:
        if number == 1:
            raise Broken
        return number

    results = overlapped(making(), settle, given_back.append)
    assert next(results) == 0
    with pytest.raises(Broken):
        next(results)
    assert (made, given_back) == ([0, 1, 2], [2])


def test_the_last_one_may_fail_too() -> None:
    def settle(_: int) -> None:
        raise Broken

    with pytest.raises(Broken):
        list(overlapped([1], settle, _unexpected))


def test_where_making_fails_what_was_made_before_is_settled() -> None:
    settled: list[int] = []

    def making() -> Iterator[int]:
        yield from range(3)
        raise Broken

    with pytest.raises(Broken):
        list(overlapped(making(), settled.append, _unexpected))
    assert settled == [0, 1, 2]


def test_whoever_looks_no_further_waits_for_what_is_settled() -> None:
    settled: list[int] = []
    results = overlapped(range(3), settled.append, _unexpected)
    next(results)
    del results
    assert settled == [0], "the second was only made"


def _unexpected(number: int) -> None:
    raise AssertionError(f"{number} was abandoned")
