"""Starting processes and waiting until each does its work."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

from trinitas_tasks.errors import StackError
from trinitas_tasks.local import logs, probes
from trinitas_tasks.local.layout import Home
from trinitas_tasks.local.records import Record
from trinitas_tasks.local.supervision import DEAD, Info, Supervisor
from trinitas_tasks.local.watcher import Watcher
from trinitas_tasks.settings import Settings

LOOK_SECONDS = 0.2
MAX_STARTS = 3
TAIL_LINES = 12


class Start:
    """One attempt to get processes to work: the starts that each needed are counted."""

    def __init__(self, settings: Settings, record: Record, supervisor: Supervisor, deadline_seconds: float) -> None:
        self._settings = settings
        self._record = record
        self._supervisor = supervisor
        self._seconds = deadline_seconds
        self._ends = time.monotonic() + deadline_seconds
        self._starts: defaultdict[str, set[int]] = defaultdict(set)

    def start(self, names: Sequence[str]) -> bool:
        """Start those that do not run. Returns whether there were any."""
        found = self._supervisor.processes()
        idle = [name for name in names if found[name].state in DEAD]
        for name in idle:
            self._supervisor.start(name)
        return bool(idle)

    def wait_ready(self, names: Sequence[str], watcher: Watcher) -> None:
        """Return when all run and answer. Raises: StackError naming the process, with the end of its log."""
        left = list(names)
        while left:
            watcher.waiting(left)
            found = self._supervisor.processes()
            for name in list(left):
                self._check(found[name])
                if found[name].state == "RUNNING" and probes.answers(name, self._record, self._settings):
                    left.remove(name)
                    watcher.ready(name)
            if left and time.monotonic() > self._ends:
                raise StackError(f"not ready after {self._seconds:g} s: {', '.join(left)}. {self._log(left[0])}")
            if left:
                time.sleep(LOOK_SECONDS)

    def _check(self, info: Info) -> None:
        if info.state in ("STARTING", "RUNNING", "BACKOFF"):
            self._starts[info.name].add(info.started)
        starts = len(self._starts[info.name])
        if info.state == "FATAL" or (starts >= MAX_STARTS and info.state != "RUNNING"):
            why = info.note or "it ends at once"
            raise StackError(f"{info.name} does not start ({starts} attempts; {why}). {self._log(info.name)}")

    def _log(self, name: str) -> str:
        path = Home.at(self._settings.home).log(name)
        tail = "".join(f"\n  {line}" for line in logs.last_lines(path, TAIL_LINES))
        return f"The end of {path}:{tail or ' (empty)'}"
