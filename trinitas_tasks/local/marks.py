"""The mark that every process of a stack carries in its environment, and what is left of it after a crash."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import psutil

from trinitas_tasks.local.layout import Home

# Not TRINITAS_…: those are settings, and an unknown setting is an error.
MARK = "_TRINITAS_STACK"

KILL_SECONDS = 5.0


def marked(home: Home) -> list[psutil.Process]:
    """Every living process that carries the mark of this home, but for the caller and those it came from."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(home.path) and not is_gone(process):
                found.append(process)
        except (psutil.Error, OSError):  # ended meanwhile, or somebody else's
            continue
    if not found:
        return []
    kin = {os.getpid(), *(each.pid for each in psutil.Process().parents())}
    return [each for each in found if each.pid not in kin]


def is_gone(process: psutil.Process) -> bool:
    """Whether it ended, reaped or not."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end(processes: Sequence[psutil.Process], *, grace_seconds: float, look: Callable[[Sequence[str]], None]) -> None:
    """Ask them to end, and after the grace kill those that did not. ``look`` gets who is still there."""
    for process in processes:
        _signal(process.terminate)
    left = _wait(processes, grace_seconds, look)
    for process in left:
        _signal(process.kill)
    _wait(left, KILL_SECONDS, look)


def _wait(
    processes: Sequence[psutil.Process], seconds: float, look: Callable[[Sequence[str]], None]
) -> list[psutil.Process]:
    left = list(processes)
    waited = 0.0
    while left and waited < seconds:
        look([f"process {each.pid}" for each in left])
        _, left = psutil.wait_procs(left, timeout=0.1)
        left = [each for each in left if not is_gone(each)]
        waited += 0.1
    return left


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return
