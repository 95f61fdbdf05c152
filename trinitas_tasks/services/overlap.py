"""Two stages of work at a time: what is made of one batch is settled while the next one is being made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def overlapped(made: Iterable[T], settle: Callable[[T], R], abandon: Callable[[T], object]) -> Iterator[R]:
    """What settling each of them came to, in order; one is settled at a time, in a thread beside the caller's.

    So at most one is being settled and one is being made. Where settling one fails, what was made meanwhile is
    abandoned, and the error raised here; where making one fails, what is being settled is settled to its end.
    """
    with ThreadPoolExecutor(1, "settling") as beside:
        settling: Future[R] | None = None
        for each in made:
            if settling is not None:
                try:
                    done = settling.result()
                except BaseException:
                    abandon(each)
                    raise
                yield done
            settling = beside.submit(settle, each)
        if settling is not None:
            yield settling.result()
