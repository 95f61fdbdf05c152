"""The journals: one JSON line each, what a client was about to do before the call and what came of it after.

An intent without an acknowledgement is ambiguous: it may have been done, or not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Line = dict[str, Any]
"""``at`` (seconds from the start of the run), ``client``, ``n`` (the operation's number), ``what``, and

    intent     ``does`` ("write" or "forget"), ``items``: [persona, id or None, word or None]
    ack        ``ids``, ``took`` (seconds)
    error      ``error``, ``took``
    read       ``does`` ("get" or "recall"), ``persona``, ``took``, and ``error`` or what came: of a get of ``id`` its
               ``word`` or None, of a recall of ``word`` how many ``hits``, and of an own acknowledged one ``found``
    violation  ``kind``, ``persona``, ``id``, ``detail``
"""


class Journal:
    """The journal of one process, continued where it was; a line is on disk when ``write`` returns."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":  # its writer was killed in the middle of a line
            os.write(self._file, b"\n")

    def write(self, line: Line) -> None:
        os.write(self._file, json.dumps(line, ensure_ascii=False).encode() + b"\n")
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)


class Tail:
    """Reads what is added to a journal."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def lines(self) -> Iterator[Line]:
        """Whole lines written since the last call; torn ones are left out."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                self._at += len(raw)
                line = _parsed(raw)
                if line is not None:
                    yield line


def lines(path: Path) -> Iterator[Line]:
    """All whole lines of a journal."""
    return Tail(path).lines()


def _parsed(raw: bytes) -> Line | None:
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
