"""The command line on a real terminal, in a real pipe, and under real signals."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.acceptance.conftest import TRINITAS, Run, environment
from tests.documented import differences
from tests.support import wait_until
from trinitas_tasks import MemoryClient

SHOWN, GONE = "\x1b[?1049h", "\x1b[?1049l"
"""What takes a screen of its own, and gives it back."""


class Terminal:
    """A terminal with a command in its foreground."""

    def __init__(self, *arguments: str, home: Path, columns: int = 80, rows: int = 30) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self._seen: list[str] = []
        self.process = subprocess.Popen(
            [TRINITAS, *arguments, "--home", home],
            cwd=home,
            env={**environment(home), "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # closed
            while data := os.read(self._ours, 65536):
                self._seen.append(data.decode(errors="replace"))

    @property
    def seen(self) -> str:
        """All that was written to it."""
        return "".join(self._seen)

    @property
    def now(self) -> list[object]:
        """How its driver is set."""
        return termios.tcgetattr(self._theirs)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._theirs)
        self._reader.join()
        os.close(self._ours)


@contextmanager
def terminal(*arguments: str, home: Path) -> Iterator[Terminal]:
    made = Terminal(*arguments, home=home)
    try:
        yield made
    finally:
        made.close()


def in_a_shell(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(("how", "code"), [("q", 0), (signal.SIGINT, 130)])
def test_top_shows_what_goes_on_and_leaves_the_terminal_as_it_was(
    how: str | signal.Signals, code: int, home: Path
) -> None:
    with terminal("top", "--every", "0.2", home=home) as shell:
        wait_until(lambda: "lifecycle@" in shell.seen and "outbox" in shell.seen, 60)
        assert SHOWN in shell.seen
        assert shell.now != shell.before  # keys count at once
        if isinstance(how, str):
            shell.type(how)
        else:
            shell.process.send_signal(how)
        assert shell.process.wait(20) == code
        wait_until(lambda: GONE in shell.seen)
        assert shell.now == shell.before
        assert "Traceback" not in shell.seen


def test_ctrl_c_at_a_question_is_no_answer(home: Path, client: MemoryClient, persona: str) -> None:
    given = client.remember("The river.")
    with terminal("forget", given, "-p", persona, home=home) as shell:
        wait_until(lambda: "for good?" in shell.seen, 60)
        shell.type("\x03")
        shell.process.send_signal(signal.SIGINT)  # it has no terminal that would send it
        assert shell.process.wait(20) == 130
    assert client.get(given) is not None


def test_a_pipe_that_is_closed_ends_a_command_quietly(home: Path, client: MemoryClient, persona: str) -> None:
    client.remember_many({"content": f"The river {number} " + "long " * 100} for number in range(300))
    command = f"{TRINITAS} list -p {persona} -n 300 --home {home} | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (1, 1, "")


def test_a_log_is_remembered_from_a_pipe_and_the_stack_tells_its_state(
    home: Path, persona: str, trinitas: Run, client: MemoryClient
) -> None:
    command = f"printf 'commit 1\\n\\n    東京\\n' | {TRINITAS} remember -p {persona} --home {home} -"
    item = client.get(in_a_shell(command, home).stdout.strip())
    assert item is not None
    assert item.content == "commit 1\n\n    東京\n"
    assert differences("status", json.loads(trinitas("status", "--json").stdout)) == []
    looked = json.loads(trinitas("top", "--json").stdout)
    assert differences("top", looked) == []
    assert {worker["queues"][0] for worker in looked["workers"]} == {"search", "ingest", "lifecycle"}
    assert looked["counts"]["written"] > 0
    typed = {"_TRINITAS_COMPLETE": "complete_bash", "COMP_WORDS": f"trinitas list -p {persona[:4]}", "COMP_CWORD": "3"}
    done = subprocess.run(
        [TRINITAS],
        env={**environment(home), "TRINITAS_HOME": str(home), **typed},
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    )
    assert persona in done.stdout.split()
    assert done.stderr == ""
