"""`trinitas eval` as users run it: real stacks, several at once, broken off and killed; nothing of them is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.acceptance.conftest import TRINITAS
from tests.documented import differences
from tests.support import wait_until
from tests.unit.folders import written
from trinitas_tasks.local.marks import MARK, is_gone
from trinitas_tasks.settings import GUARDED, environment_name

OURS = tuple(map(environment_name, ("redis_host", "redis_port", "redis_password", "redis_db", "redis_url")))


class Place:
    """A machine of its own as far as a command can tell: a home, a temporary folder, and settings that lead astray."""

    def __init__(self, folder: Path) -> None:
        self.home, self.temporary, self.data = (folder / name for name in ("home", "tmp", "data"))
        for each in (self.home, self.temporary, self.data):
            each.mkdir()
        written(self.data)
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith((*OURS, *GUARDED))}
        self.environment = kept | {
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "TRINITAS_HOME": str(self.home / "own"),
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "ARCHIVE_URL": f"sqlite:///{self.home}/archive.db",
            "CHROMADB_PATH": str(self.home / "chroma"),
            "TRINITAS_SPOOL_PATH": str(self.home / "spool.db"),
        }

    def run(self, *options: str) -> Run:
        return Run(self, [str(TRINITAS), "eval", str(self.data), *options])

    def left(self) -> list[str]:
        """Files and processes that are still there."""
        files = [str(each) for folder in (self.home, self.temporary) for each in folder.iterdir()]
        return files + [str(each) for each in self.running()]

    def running(self) -> list[psutil.Process]:
        """The processes of stacks under the temporary folder."""
        return [each for each in psutil.process_iter() if self._runs_here(each)]

    def _runs_here(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK, "").startswith(str(self.temporary)) and not is_gone(process)
        except (psutil.Error, OSError):
            return False


class Run:
    """One evaluation; what it says is read while it goes on."""

    def __init__(self, place: Place, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command, cwd=place.home, env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(iter(self.process.stderr.readline, ""))

    def send(self, what: signal.Signals, *, after: str) -> None:
        wait_until(lambda: after in "".join(self.said) or self.process.poll() is not None, 120)
        self.process.send_signal(what)

    def end(self) -> tuple[int, str, str]:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        told = self.process.stdout.read()
        code = self.process.wait(120)
        self._reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return code, told, "".join(self.said)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Whatever a failed test leaves running there is ended."""
    made = Place(tmp_path)
    yield made
    for process in made.running():
        process.kill()


def test_one_goes_through_while_another_is_broken_off_and_nothing_of_either_is_left(place: Place) -> None:
    whole, broken = place.run("--json"), place.run()
    broken.send(signal.SIGINT, after="remembering")
    code, told, said = broken.end()
    assert (code, told) == (128 + signal.SIGINT, ""), said
    assert "nothing is left" in said
    assert "Traceback" not in said
    code, told, said = whole.end()
    assert code == 0, said
    check(json.loads(told))
    assert place.left() == []


def check(report: dict[str, Any]) -> None:
    """The real model and the real index, in two languages; `展望台` is found by its words."""
    assert differences("eval", report) == []
    for ranking in ("fused", "dense", "fulltext"):
        assert report[ranking]["overall"]["n"] == 3
        assert report[ranking]["overall"]["recall@10"] == 1.0
        assert set(report[ranking]["by_category"]) == {"4", "tea"}
    assert report["fulltext"]["overall"]["hit@1"] == 1.0
    assert report["compared"]["recall@10"]["difference"] == 0.0
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p99"]
    assert (report["documents"], report["queries"], report["degraded"]) == (5, 3, [])


def test_what_a_killed_one_leaves_is_removed_by_the_next(place: Place) -> None:
    killed = place.run()
    killed.send(signal.SIGKILL, after="valkey is ready")
    killed.end()
    assert place.left()
    ended = place.run()
    ended.send(signal.SIGTERM, after="valkey is ready")
    code, _, said = ended.end()
    assert code == 128 + signal.SIGTERM, said
    assert place.left() == []


def test_a_broken_folder_is_one_clear_line_and_starts_nothing(place: Place) -> None:
    (place.data / "queries.jsonl").write_text('{"id": "q1", "group": "conv 26"}\n')
    code, told, said = place.run().end()
    assert (code, told) == (1, "")
    assert said == f"error: {place.data / 'queries.jsonl'} line 1: text is missing\n"
    assert place.left() == []
