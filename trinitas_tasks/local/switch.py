"""Putting what was restored in the place of what is there: all of it or nothing, whoever is killed in between.

What is to be done is written down beside the archive before anything is touched. From then on it is done: whoever finds
the list goes on with it, and every step may be repeated. Where a step fails, the list is turned round first, and then
all is taken back. Nobody opens an archive beside which such a list stands.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from trinitas_tasks.errors import BackupError
from trinitas_tasks.local.layout import write_private
from trinitas_tasks.model import complaint
from trinitas_tasks.tiers.archive.file import restoring, taking_back
from trinitas_tasks.tiers.backup.bundle import Manifest
from trinitas_tasks.tiers.spool.interface import Entry
from trinitas_tasks.tiers.spool.sqlite import SqliteSpool

logger = logging.getLogger(__name__)

READ: Final = 50
"""Entries of a spool at a time: they may be large."""
PATIENCE_SECONDS: Final = 30.0
"""How long other processes may hold the spool."""
PLAN: Final = "plan.json"
NEW: Final = ".new"

Moves = tuple[tuple[Path, Path], ...]
"""Files or folders, each with where it is to stand."""


class Spooled(BaseModel):
    """What is to wait in the spool of ``target``, in the place of what was acknowledged up to the entry of number
    ``upto``; ``aside`` gets a copy of what was there."""

    model_config = ConfigDict(frozen=True)

    file: Path
    staged: Path
    target: str
    upto: int
    aside: Path | None


class Plan(BaseModel):
    """All that is to be done. ``scratch`` is the folder where what is restored lies ready."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    manifest: Manifest
    scratch: Path
    aside: Moves
    place: Moves
    spool: Spooled


def scratch_name(archive: Path) -> str:
    """How the names of the folders begin where a restore of this archive makes itself ready."""
    return f".trinitas-restore-{archive.name}-"


def pending(archive: Path) -> Plan | None:
    """What was broken off, if anything was. Raises: OSError, BackupError."""
    for file in (taking_back(archive), restoring(archive)):
        try:
            return Plan.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            continue
        except ValidationError as error:
            raise BackupError(
                f"{file} says what a restore has to do, and cannot be read: was it begun by a newer version? "
                f"{complaint(error)}"
            ) from error
    return None


def switch(archive: Path, plan: Plan) -> None:
    """Do all of it, for good. Raises: OSError, TrinitasError; all is as it was then."""
    written = plan.scratch / PLAN
    write_private(written, plan.model_dump_json(indent=1))
    _sync(plan.scratch, *(staged for staged, _ in plan.place))
    written.rename(restoring(archive))
    _sync(archive.parent)
    _forward(archive, plan)


def settle(archive: Path) -> Plan | None:
    """Bring what was broken off to its end, and clear away what it left; what is restored now by that, if anything.
    Raises: as `switch`."""
    plan = pending(archive)
    done = None
    if plan is not None and taking_back(archive).exists():
        _take_back(archive, plan)
        logger.warning("a restore of %s had failed: all is as it was before", archive)
    elif plan is not None:
        _forward(archive, plan)
        logger.warning("a restore of %s that was broken off is complete now", archive)
        done = plan
    for left in archive.parent.glob(f"{scratch_name(archive)}*") if archive.parent.is_dir() else ():
        shutil.rmtree(left, ignore_errors=True)
    return done


def _forward(archive: Path, plan: Plan) -> None:
    try:
        for source, target in plan.aside:
            if not target.exists() and source.exists():
                source.rename(target)
        for source, target in plan.place:
            if source.exists():
                _put(source, target)
        _sync(*_folders(plan))
        if plan.scratch.exists():  # it goes after this
            _respool(plan.spool, plan.scratch)  # the last one, which is done or not: then nothing is taken back
    except BaseException:
        restoring(archive).rename(taking_back(archive))
        _take_back(archive, plan)
        raise
    _end(restoring(archive), plan)


def _take_back(archive: Path, plan: Plan) -> None:
    for source, target in reversed(plan.place):
        if not source.exists() and target.exists():
            _put(target, source)
    for source, target in reversed(plan.aside):
        if not source.exists() and target.exists():
            target.rename(source)
    if plan.spool.aside is not None:
        plan.spool.aside.unlink(missing_ok=True)
    _sync(*_folders(plan))
    _end(taking_back(archive), plan)


def _end(file: Path, plan: Plan) -> None:
    file.unlink()
    _sync(file.parent)
    shutil.rmtree(plan.scratch, ignore_errors=True)


def _put(source: Path, target: Path) -> None:
    """Move a file; where its place is on another disk, it gets its name there when it is whole."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy = target.with_name(target.name + NEW)
        shutil.copy2(source, copy)
        _sync(copy)
        copy.replace(target)
        source.unlink()


def _respool(what: Spooled, scratch: Path) -> None:
    """Clients may go on writing to the spool meanwhile: what they write waits behind what was restored."""
    live = SqliteSpool(what.file, target=what.target, limit_mb=1 << 20, patience_seconds=PATIENCE_SECONDS)
    staged = SqliteSpool(what.staged, target=what.target, limit_mb=1 << 20)
    try:
        if what.aside is not None and what.file.exists():
            live.copy(copied := scratch / what.aside.name)
            _put(copied, what.aside)
        if what.file.exists() or not staged.empty():
            live.replace(_waiting(staged), upto=what.upto, mark=scratch.name)
    finally:
        live.close()
        staged.close()


def _waiting(spool: SqliteSpool) -> Iterator[Entry]:
    after = 0
    while entries := spool.take(READ, after=after):
        yield from entries
        after = entries[-1].number


def _folders(plan: Plan) -> Iterable[Path]:
    return {path.parent for pair in (*plan.aside, *plan.place) for path in pair if path.parent.is_dir()}


def _sync(*paths: Path) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
