"""What the workers are at, and what waits for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Doing:
    """A task that a worker runs: what it was asked, in short and without what people wrote, and since how long."""

    task: str
    asked: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that answered, and the queues that it serves."""

    name: str
    queues: tuple[str, ...]
    doing: tuple[Doing, ...] = ()


@dataclass(frozen=True, slots=True)
class Activity:
    """Messages that wait, by queue, and the workers by name."""

    waiting: Mapping[str, int]
    workers: tuple[Worker, ...] = ()
