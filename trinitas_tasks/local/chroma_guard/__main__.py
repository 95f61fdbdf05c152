"""The program: one server after another, as its child, until a signal comes."""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Final, NamedTuple

from trinitas_tasks.local.chroma_guard.canary import Answer, Canary
from trinitas_tasks.local.chroma_guard.diagnosis import Exit, Step, Verdict, after_answers, after_exits
from trinitas_tasks.local.chroma_guard.folder import Folder

log = logging.getLogger("guard")

SERVER: Final = (sys.executable, "-m", "trinitas_tasks.local.chroma_guard.child", "run")
LOOKS_A_WRITE: Final = 12
STOP_SECONDS: Final = 5.0
REMEMBERED: Final = 16


class Next(NamedTuple):
    """What to do after the life of a server, and why."""

    step: Step
    why: str
    code: int = 0


class Guard:
    """Keeps a server running over ``path``; asks it every ``interval`` seconds."""

    def __init__(self, host: str, port: int, path: Path, interval: float) -> None:
        self._command = (*SERVER, "--host", host, "--port", str(port), "--path", str(path))
        self._folder = Folder(path)
        self._address = host, port
        self._interval = interval
        self._answers: deque[Verdict] = deque(maxlen=REMEMBERED)
        self._exits: deque[Exit] = deque(maxlen=REMEMBERED)
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def stop(self) -> None:
        """Have the server end, and `run` return; may be called by a signal."""
        self._stopping = True
        if self._child is not None:
            self._child.terminate()

    def run(self) -> int:
        """Returns the exit code: that of a server that ended by itself, 0 after `stop`."""
        while True:
            self._folder.prepare()
            then = self._life()
            if self._stopping:
                return 0
            if then.step is Step.SET_ASIDE:
                self._answers.clear()
                self._exits.clear()
                if not self._folder.set_aside(then.why) and then.code:
                    return then.code
            elif then.step is Step.LEAVE:
                return then.code
            log.warning("starting again: %s", then.why)
            time.sleep(min(self._interval, 1.0))  # whatever goes wrong, the machine is not kept busy with it

    def _life(self) -> Next:
        """Of one server, from its start to its end."""
        with subprocess.Popen(self._command, stdin=subprocess.PIPE) as child:
            self._child = child
            if self._stopping:  # a signal came before there was a child
                child.terminate()
            canary = Canary(*self._address, write_seconds=LOOKS_A_WRITE * self._interval)
            database = None
            while not self._ended(child, self._interval):
                answer = self._ask(canary, database)
                step = self._step()
                if step is not Step.GO_ON:
                    self._end(child)
                    return Next(step, answer.said)
                if answer.verdict is Verdict.SOUND:
                    database = database or self._folder.identity()
        code = child.returncode
        self._exits.append(Exit(code, time.monotonic()))
        return Next(after_exits(list(self._exits)), f"Chroma ended with {code}", code if code >= 0 else 128 - code)

    def _ask(self, canary: Canary, database: tuple[int, int] | None) -> Answer:
        if database is not None and self._folder.identity() != database:
            answer = Answer(Verdict.GONE, "its database was deleted or replaced")
        else:
            answer = canary.ask()
        self._answers.append(answer.verdict)
        if answer.verdict is not Verdict.SOUND:
            log.warning("Chroma is not well: %s", answer.said)
        return answer

    def _step(self) -> Step:
        step = after_answers(list(self._answers))
        if step is Step.SET_ASIDE and self._folder.is_fixed():
            log.error("Chroma's folder is broken, but the file system lets nothing be moved: make it writable")
            self._answers.clear()
            return Step.GO_ON  # searches may still work
        return step

    def _ended(self, child: subprocess.Popen[bytes], seconds: float) -> bool:
        """Whether it ends within these seconds; once it was told to by a signal, it is waited for."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(None if self._stopping else seconds)
        return child.returncode is not None

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        child.terminate()
        if not self._ended(child, STOP_SECONDS):
            child.kill()


def main() -> int:
    """Parse the options of `chroma run` and guard it."""
    parser = argparse.ArgumentParser(prog="python -m trinitas_tasks.local.chroma_guard", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two looks at the server")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s guard: %(message)s")
    guard = Guard(options.host, options.port, options.path, options.interval)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: guard.stop())
    return guard.run()


if __name__ == "__main__":
    sys.exit(main())
