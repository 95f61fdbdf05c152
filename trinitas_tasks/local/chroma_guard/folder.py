"""The folder of a Chroma server."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import sqlite3
from pathlib import Path

log = logging.getLogger("guard")

DATABASE = "chroma.sqlite3"
INDEX = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ASIDE = ".broken"


class Folder:
    """``path`` may be a link. Nothing is raised for what the file system refuses: it is logged, and stays."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = path / DATABASE

    def identity(self) -> tuple[int, int] | None:
        """Which file the database is; None where there is none."""
        try:
            found = self._database.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def is_fixed(self) -> bool:
        """Whether nothing can be moved out of it: it is on a read-only file system, or not ours."""
        path = self._path.resolve()
        return not os.access(path, os.W_OK) and not os.access(path.parent, os.W_OK)

    def prepare(self) -> None:
        """Make it, and remove the index folders of deleted collections, which Chroma leaves. It must not run.

        https://github.com/chroma-core/chroma/issues/5259
        """
        try:
            self._path.resolve().mkdir(mode=0o700, parents=True, exist_ok=True)
            # the folders first: one that is made meanwhile is not among them
            found = [each for each in self._path.iterdir() if INDEX.fullmatch(each.name)]
            used = self._used() if found else set()
        except (OSError, sqlite3.Error) as error:
            log.warning("%s is left as it is: %s", self._path, error)
            return
        leaked = [each for each in found if each.name not in used]
        removed_bytes = sum(_remove(each) for each in leaked)
        if leaked:
            log.info("removed %d index folders of no collection, %.1f MB", len(leaked), removed_bytes / 1e6)

    def _used(self) -> set[str]:
        # read-only: a missing database must not be made
        connection = sqlite3.connect(f"{self._database.absolute().as_uri()}?mode=ro", uri=True)
        with contextlib.closing(connection):
            return {row[0] for row in connection.execute("SELECT id FROM segments WHERE scope = 'VECTOR'")}

    def set_aside(self, why: str) -> bool:
        """Move what is in it out of the way, over what was moved before; False where there is nothing, or it stays."""
        path = self._path.resolve()
        try:
            if not _entries(path):
                return False
            aside = path.with_name(path.name + ASIDE)
            try:
                _replace(path, aside)
            except OSError:  # a mount point, or a folder beside which nothing may be written
                aside = path / ASIDE
                _move_in(path, aside)
        except OSError as error:
            log.error("%s is broken (%s) but cannot be set aside: %s; remove it by hand", path, why, error)
            return False
        log.warning("%s is set aside as %s: %s; the workers fill a new one from the archive", path, aside, why)
        return True


def _entries(path: Path) -> list[Path]:
    """What is Chroma's: a mount point has other things."""
    if not path.exists():
        return []
    return [each for each in path.iterdir() if INDEX.fullmatch(each.name) or each.name.startswith(DATABASE)]


def _replace(path: Path, aside: Path) -> None:
    if aside.is_dir():
        shutil.rmtree(aside)
    path.replace(aside)


def _move_in(path: Path, aside: Path) -> None:
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(mode=0o700)
    for entry in _entries(path):
        entry.replace(aside / entry.name)


def _remove(folder: Path) -> int:
    """Returns its bytes."""
    size = 0
    with contextlib.suppress(OSError):
        size = sum(entry.stat().st_size for entry in os.scandir(folder))
        shutil.rmtree(folder)
    return size
