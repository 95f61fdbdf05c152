"""Runs a command of the command line on a running stack, and ends it or what it works with at random moments."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from trinitas_tasks.local.stack import Stack

TRINITAS: Final = Path(sys.executable).with_name("trinitas")
COMMAND, WORKER, VALKEY, CHROMA = "command", "ingest", "valkey", "chroma"
DECK: Final = (*[(COMMAND,)] * 8, *[(WORKER,)] * 4, *[(COMMAND, WORKER)] * 4, *[(VALKEY,)] * 2, *[(CHROMA,)] * 2)
"""Whom twenty kills end."""
LONGEST_SECONDS: Final = 900.0
LOOK_SECONDS: Final = 0.02

Victims = tuple[str, ...]


@dataclass(slots=True)
class Kill:
    """Who was ended, and how far the command had come, in seconds since it was last started and by its own count."""

    victims: Victims
    seconds: float
    progress: int


@dataclass(slots=True)
class Executioner:
    """``command`` is run until it comes to its end by itself, and again whenever it was killed or gave up.

    ``progress`` tells how far it came. A kill comes at a random moment: soon after the command (again) began, or soon
    after it came farther than at the kill before.
    """

    stack: Stack
    command: Sequence[str | Path]
    progress: Callable[[], int]
    chance: random.Random
    kills: list[Kill] = field(default_factory=list)

    def run(self, deck: Sequence[Victims]) -> tuple[int, str]:
        """Deal the deck; the exit code of the last run, and what it said."""
        left = list(deck)
        until = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < until:
            process = self._started()
            began = time.monotonic()
            while left and self._waits(process, began):
                self._kill(left.pop(0), process, began)
            said = process.communicate(timeout=max(until - time.monotonic(), 1.0))[0]
            if process.returncode >= 0 and not self._gave_up(said):
                return process.returncode, said
            time.sleep(0.2)
        raise AssertionError(f"it did not come to an end: {self.kills}")

    def _started(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [TRINITAS, *self.command],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def _waits(self, process: subprocess.Popen[str], began: float) -> bool:
        """Until the moment of the next kill; False if the command ended before it."""
        before, early = self.progress(), self.chance.random() < 0.4
        moment = began + self.chance.uniform(0.3, 3.0) if early else None
        while process.poll() is None:
            if moment is None and self.progress() > before:
                moment = time.monotonic() + self.chance.uniform(0.0, 1.0)
            if moment is not None and time.monotonic() > moment:
                return True
            time.sleep(LOOK_SECONDS)
        return False

    def _kill(self, victims: Victims, process: subprocess.Popen[str], began: float) -> None:
        self.kills.append(Kill(victims, round(time.monotonic() - began, 2), self.progress()))
        for name in victims:
            if name == COMMAND:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            else:
                self._end(name)

    def _end(self, name: str) -> None:
        """All processes of one of the stack; the supervisor starts it again."""
        for each in self.stack.status().processes:
            if each.name == name and each.pid:
                with suppress(psutil.Error):
                    parent = psutil.Process(each.pid)
                    for process in (*parent.children(recursive=True), parent):
                        process.kill()

    @staticmethod
    def _gave_up(said: str) -> bool:
        """It came to no report: Redis or the workers were away too long, or when it began."""
        try:
            report: Any = json.loads(said)
        except ValueError:
            return True
        return not isinstance(report, dict) or "seconds" not in report
