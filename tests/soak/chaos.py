"""Does the faults of the plan to the running stack, and undoes those that last."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from tests.soak.disk import Disk
from tests.soak.faults import Fault, Kind, timeline
from trinitas_tasks.errors import StackError
from trinitas_tasks.local.stack import Stack

PID_SECONDS = 10.0
"""How long a fault waits for the process that it is meant for to be back."""


@dataclass(slots=True)
class Struck:
    """A fault that was done, ``started`` to ``ended`` seconds from the start of the run. ``note``: to what exactly."""

    fault: Fault
    started: float
    ended: float
    note: str


class Killable(Protocol):
    """The clients of a run."""

    def kill(self, pick: float) -> str:
        """Kill one of them; which."""


class Chaos:
    """Runs in a thread of its own from ``start`` to ``stop``; after that nothing is stopped or full any more."""

    def __init__(
        self,
        plan: list[Fault],
        *,
        stack: Stack,
        chroma: Path,
        disk: Disk,
        clients: Killable,
        now: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._stack = stack
        self._chroma = chroma
        self._disk = disk
        self._clients = clients
        self._now = now
        self._say = say
        self._stopped: dict[Fault, psutil.Process] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos", daemon=True)
        self.struck: list[Struck] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No more faults, and all undone that last."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        for each in self.struck:
            self._undo(each)

    def _run(self) -> None:
        for at, fault, begins in timeline(self._plan):
            if self._over.wait(max(0.0, at - self._now())):
                return
            if begins:
                self._strike(fault)
            else:
                for each in self.struck:
                    if each.fault is fault:
                        self._undo(each)

    def _strike(self, fault: Fault) -> None:
        started = self._now()
        try:
            note = self._done(fault)
        except (StackError, psutil.Error, OSError) as error:
            self._say(f"{fault.name}: could not be done: {error}")
            return
        self._say(f"{fault.name}: {note}")
        self.struck.append(Struck(fault, started, math.inf if fault.seconds else self._now(), note))

    def _done(self, fault: Fault) -> str:
        match fault.kind:
            case Kind.KILL:
                return self._kill(fault.target)
            case Kind.STOP:
                process = psutil.Process(self._pid(fault.target))
                process.suspend()
                self._stopped[fault] = process
                return f"process {process.pid} for {fault.seconds} s"
            case Kind.FILL:
                self._disk.fill()
                return f"for {fault.seconds} s"
            case Kind.DELETE:
                _delete(self._chroma)
                return self._kill("chroma")
            case Kind.TEAR:
                torn = tear(self._chroma, fault.pick)
                return f"{torn}; {self._kill('chroma')}"  # it reads the file when it is started again
            case Kind.KILL_CLIENT:
                return self._clients.kill(fault.pick)

    def _undo(self, struck: Struck) -> None:
        if struck.ended != math.inf:
            return
        if struck.fault.kind is Kind.FILL:
            self._disk.free()
        elif (process := self._stopped.pop(struck.fault, None)) is not None:
            with contextlib.suppress(psutil.NoSuchProcess):  # killed while it was stopped
                process.resume()
        struck.ended = self._now()

    def _kill(self, name: str) -> str:
        pid = self._pid(name)
        os.kill(pid, signal.SIGKILL)
        return f"process {pid}"

    def _pid(self, name: str) -> int:
        ends = time.monotonic() + PID_SECONDS
        while (pid := pid_of(self._stack, name)) is None:
            if time.monotonic() > ends or self._over.wait(0.1):
                raise OSError(f"{name} does not run")
        return pid


def pid_of(stack: Stack, name: str) -> int | None:
    """The process of this name, None while it does not live. Raises: StackError."""
    return next((each.pid for each in stack.status().processes if each.name == name), None)


def tear(folder: Path, pick: float) -> str:
    """Cut one of Chroma's index files in half, its database where no index is on disk yet; which."""
    files = sorted(folder.glob("*/*.bin")) or sorted(folder.glob("chroma.sqlite3"))
    files = [each for each in files if each.stat().st_size]
    if not files:
        raise OSError(f"{folder} holds no index")
    file = files[int(pick * len(files))]
    size = file.stat().st_size
    os.truncate(file, size // 2)
    return f"{file.relative_to(folder)} cut to half of its {size} bytes"


def _delete(folder: Path) -> None:
    for _ in range(3):  # the server goes on writing
        shutil.rmtree(folder, ignore_errors=True)
