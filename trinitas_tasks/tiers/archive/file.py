"""The file of a SQLite archive as the file system sees it."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from trinitas_tasks.errors import Unavailable

logger = logging.getLogger(__name__)

MB: Final = 1 << 20

Identity = tuple[int, int]
"""Device and inode: two files at one path differ in it while one of them is open."""


def restoring(archive: Path) -> Path:
    """Where it stands written what a restore of the archive is to do, while it does so."""
    return archive.with_name(f"{archive.name}.restoring")


def taking_back(archive: Path) -> Path:
    """Where that stands while a restore that failed is taken back."""
    return archive.with_name(f"{archive.name}.taking-back")


def check_whole(archive: Path) -> None:
    """Return unless a restore of the archive is under way, or was broken off. Raises: Unavailable."""
    if _is_there(restoring(archive)) or _is_there(taking_back(archive)):
        raise Unavailable(
            f"the archive {archive} is being restored, or that was broken off: `trinitas up` brings it to its end, and "
            "so does the same `trinitas restore` again"
        )


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except OSError:  # not there, or where this user may not look: the archive beside it is out of reach then, too
        return False
    return True


class DatabaseFile:
    """A path, and which file was seen there last."""

    def __init__(self, path: str | Path) -> None:
        self.path: Final = Path(path).absolute()
        self._wal: Final = self.path.with_name(f"{self.path.name}-wal")
        self._seen: Identity | None = None
        self._seen_wal: Identity | None = None

    def create(self) -> None:
        """Make an empty file, closed to other users, unless there is one. Raises: Unavailable."""
        check_whole(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
        except OSError as error:
            raise Unavailable(f"the archive {self.path} cannot be created: {error.strerror}") from error

    def identity(self) -> Identity:
        """Of the file that stands here now. Raises: OSError where there is none."""
        return _identity(self.path)

    def replaced(self) -> bool:
        """Whether another file stands here than at the last look. The write-ahead log that the former one
        left behind is then out of the way. Raises: OSError."""
        found = self.identity()
        replaced = self._seen not in (None, found)
        if replaced and self._seen_wal is not None:
            self._set_aside(self._seen_wal)
            self._seen_wal = None
        self._seen = found
        return replaced

    def note_log(self) -> None:
        """Remember the write-ahead log; to be called while a connection has it open, which keeps its inode."""
        wal = _identity_if_any(self._wal)
        if _identity_if_any(self.path) == self._seen:
            self._seen_wal = wal

    def forget(self) -> None:
        """All connections are closed: what comes next may stand under the same inode."""
        self._seen = self._seen_wal = None

    def _set_aside(self, wal: Identity) -> None:
        """SQLite would read a log that was left behind into whatever database stands here now."""
        aside = self.path.with_name(f"{self._wal.name}-{wal[1]}")
        with _locked(self.path.parent):  # another process may be at it
            if _identity_if_any(self._wal) != wal:
                return
            self._wal.rename(aside)
            self.path.with_name(f"{self.path.name}-shm").unlink(missing_ok=True)
        logger.warning(
            "%s was replaced while it was open. The newest changes to the file before are in %s: to use that file "
            "again, put them beside it under its own name and -wal",
            *(self.path, aside),
        )

    @property
    def size_mb(self) -> float:
        """Without its write-ahead log."""
        return _size_mb(self.path)

    @property
    def wal_mb(self) -> float:
        """The size of its write-ahead log."""
        return _size_mb(self._wal)

    @property
    def free_mb(self) -> float:
        """What is left on its disk."""
        return round(shutil.disk_usage(self.path.parent).free / MB, 1)


def _identity(path: Path) -> Identity:
    found = path.stat()
    return found.st_dev, found.st_ino


def _identity_if_any(path: Path) -> Identity | None:
    try:
        return _identity(path)
    except FileNotFoundError:
        return None


def _size_mb(path: Path) -> float:
    return round(path.stat().st_size / MB, 1) if path.exists() else 0.0


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
