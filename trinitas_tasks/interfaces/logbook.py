"""The folder of a migration: how far it came, what was refused, its report. Whoever is killed leaves it whole."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.errors import InvalidQuery
from trinitas_tasks.tiers.legacy.interface import Unreadable

NEW: Final = ".new"
"""Ends the name of a file that is being written."""


class Logbook:
    """What is kept of one migration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.backup = folder / "backup"
        self.unreadable = folder / "unreadable.jsonl"
        self.report = folder / "report.json"
        self._state = folder / "state.json"
        self._refused = folder / "refused.jsonl"

    def begin(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other command works on this migration meanwhile; one that is killed lets go. Raises: InvalidQuery."""
        self.begin()
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InvalidQuery(f"another `trinitas migrate` works on this store ({self.folder})") from None
            yield

    def state(self) -> dict[str, Any]:
        """What was noted last; empty before anything was."""
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def note(self, **changed: Any) -> None:
        """Replace some of the state."""
        replaced(self._state, json.dumps({**self.state(), **changed}, ensure_ascii=False))

    @contextmanager
    def surveyed(self) -> Iterator[Callable[[Unreadable], object]]:
        """Takes what is unreadable, one after the other; all of it stands there in the end, or what stood before."""
        with scratch(self.unreadable).open("w", encoding="utf-8") as aside:
            yield lambda one: aside.write(line(one))
        scratch(self.unreadable).replace(self.unreadable)

    def forget_refused(self) -> None:
        """Copying begins anew."""
        self._refused.unlink(missing_ok=True)

    def refuse(self, refused: Iterable[Unreadable]) -> None:
        """Keep what the workers refused of a step; a step that is repeated tells it again."""
        if lines := [line(one) for one in refused]:
            with self._refused.open("a+b") as aside:
                if aside.tell():
                    aside.seek(-1, os.SEEK_END)
                    aside.write(b"" if aside.read() == b"\n" else b"\n")  # a killed command left a line half written
                aside.writelines(each.encode() for each in lines)

    def set_refused_aside(self) -> int:
        """Put what was refused, in this run and the ones before it, to what could not be read; how many."""
        if not self._refused.exists():
            return 0
        told = self._refused.read_text(encoding="utf-8").splitlines()
        refused = [each for each in dict.fromkeys(told) if _is_whole(each)]
        with self.unreadable.open("a", encoding="utf-8") as aside:
            aside.writelines(f"{each}\n" for each in refused)
        return len(refused)

    def finish(self, report: Mapping[str, Any]) -> None:
        """Keep the report."""
        self.begin()
        replaced(self.report, json.dumps(report, ensure_ascii=False, indent=2, default=str))

    def clear(self) -> None:
        """Take the copies away that were made to be read."""
        shutil.rmtree(self.work, ignore_errors=True)


def line(one: Unreadable) -> str:
    """As it stands in a file."""
    # ASCII: bytes that were no text are lone surrogates, which no encoding but this one carries
    return json.dumps(one._asdict(), default=str) + "\n"


def scratch(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(path.name + NEW)


def replaced(path: Path, text: str) -> None:
    """Write a file at once."""
    scratch(path).write_text(text, encoding="utf-8")
    scratch(path).replace(path)


def _is_whole(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
