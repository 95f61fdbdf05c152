"""Whose an archive file is: a note beside it, which a worker writes and a client reads while Redis is away.

A client that names another Redis may share a data directory with this archive: it must not read from it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from trinitas_tasks.errors import Unavailable


def claim(archive: Path, owner: str) -> None:
    """Note that the archive is this deployment's. Raises: Unavailable."""
    if owner_of(archive) == owner:
        return
    temporary = _beside(archive).with_suffix(f".{os.getpid()}")
    try:
        temporary.write_text(owner, encoding="utf-8")
        temporary.replace(_beside(archive))
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise Unavailable(f"the owner of the archive {archive} cannot be noted: {error}") from error


def owner_of(archive: Path) -> str | None:
    """The deployment whose archive it is, None if nobody noted it."""
    try:
        return _beside(archive).read_text(encoding="utf-8")
    except OSError:
        return None


def _beside(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.owner")
