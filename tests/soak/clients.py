"""The client processes of a run: started, killed by the chaos, and started again."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path

from tests.soak.client import Errand, encoded

ROOT = Path(__file__).parents[2]
LAST_CALL_SECONDS = 60.0


class Clients:
    """One process for each errand. Errors of theirs are in a log beside the journal."""

    def __init__(self, errands: Sequence[Errand], say: Callable[[str], None]) -> None:
        self._errands = errands
        self._say = say
        self._lock = threading.Lock()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._killed: set[int] = set()
        self.crashes: list[str] = []

    def start(self) -> None:
        for each in self._errands:
            self._start(each)

    def restart(self) -> None:
        """Start again what was killed or crashed."""
        with self._lock:
            for each in self._errands:
                process = self._running[each.client]
                if process.poll() in (None, 0):
                    continue
                self._note_crash(each, process)
                self._start(each)

    def kill(self, pick: float) -> str:
        """Kill one of them; which."""
        with self._lock:
            living = sorted(number for number, process in self._running.items() if process.poll() is None)
            if not living:
                raise OSError("no client runs")
            number = living[int(pick * len(living))]
            self._running[number].kill()
            self._killed.add(self._running[number].pid)
            return f"client {number}"

    def wait(self) -> None:
        """Return when all have come to their end; those that do not come to it are a crash."""
        for each in self._errands:
            process = self._running[each.client]
            try:
                process.wait(LAST_CALL_SECONDS)
            except subprocess.TimeoutExpired:
                self.crashes.append(f"client {each.client} did not end within {LAST_CALL_SECONDS:g} s of its time")
                process.kill()
            self._note_crash(each, process)

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._running.values():
            if process.poll() is None:
                process.kill()
            process.wait()

    def _start(self, errand: Errand) -> None:
        command = [sys.executable, "-m", "tests.soak.client", encoded(errand)]
        with _log(errand).open("ab") as log:
            # a Ctrl-C is for the soak, which ends them
            self._running[errand.client] = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _note_crash(self, errand: Errand, process: subprocess.Popen[bytes]) -> None:
        if process.returncode in (0, None) or process.pid in self._killed:
            return
        cause = signal.Signals(-process.returncode).name if process.returncode < 0 else _error(_log(errand))
        self.crashes.append(f"client {errand.client} crashed: {cause[:500]}")
        self._say(self.crashes[-1])


def _error(log: Path) -> str:
    """What stands below the last traceback."""
    told = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " ".join(reversed(list(takewhile(lambda line: not line.startswith(" "), reversed(told)))))


def _log(errand: Errand) -> Path:
    return Path(errand.journal).with_suffix(".log")
