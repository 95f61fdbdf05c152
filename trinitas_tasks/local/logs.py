"""Reading the processes' log files, also while the supervisor rotates them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

BLOCK_BYTES = 65_536


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file; none where there is no file."""
    text = b""
    try:
        with path.open("rb") as file:
            at = file.seek(0, os.SEEK_END)
            while at > 0 and text.count(b"\n") <= count:
                step = min(BLOCK_BYTES, at)
                at = file.seek(at - step)
                text = file.read(step) + text
    except FileNotFoundError:
        return []
    return text.decode(errors="replace").splitlines()[-count:] if count else []


class Follower:
    """What is written to some files from now on, line by line."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._tails = {name: _Tail(path) for name, path in files.items()}

    def news(self) -> Iterator[tuple[str, str]]:
        """Names and whole lines written since the last call."""
        for name, tail in self._tails.items():
            for line in tail.lines():
                yield name, line

    def close(self) -> None:
        for tail in self._tails.values():
            tail.close()


class _Tail:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._rest = b""
        self._file = self._open()
        if self._file is not None:
            self._file.seek(0, os.SEEK_END)

    def lines(self) -> list[str]:
        fresh = self._file.read() if self._file is not None else b""
        if self._is_another():
            self.close()
            self._file = self._open()
            fresh += self._file.read() if self._file is not None else b""
        *whole, self._rest = (self._rest + fresh).split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self) -> BinaryIO | None:
        return self._path.open("rb") if self._path.exists() else None

    def _is_another(self) -> bool:
        """Whether the name means another file than the one that is open."""
        if not self._path.exists():
            return False
        return self._file is None or not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
