"""A backup: all that is acknowledged when it begins, in one file, while writers go on.

What moves from the spool to the hot tier and on to the archive is read in this order, the archive as one snapshot: so
nothing slips through behind the reader. What is found twice is left out the second time. Each memory is in it as it was
at some moment between the beginning and the end; of what was written meanwhile some may be missing.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.errors import BackupError
from trinitas_tasks.model import Key, Record
from trinitas_tasks.policy.grants import Grant
from trinitas_tasks.services import unarchived
from trinitas_tasks.services.life.report import Report
from trinitas_tasks.tiers.archive import copying
from trinitas_tasks.tiers.archive.copying import Copy
from trinitas_tasks.tiers.backup import bundle
from trinitas_tasks.tiers.backup.bundle import Manifest, Watch
from trinitas_tasks.tiers.hot.interface import HotTier, Signal, Standing
from trinitas_tasks.tiers.spool.interface import Entry, Spool

logger = logging.getLogger(__name__)

DISTRIBUTION: Final = "trinitas-tasks"
SCANNED: Final = 500
READ: Final = 50
"""Memories in one round trip: they may be large."""
NAMED: Final = re.compile(r"trinitas-\d{8}-\d{6}\.tar\.gz")
SCRATCH: Final = ".trinitas-backup-"
MB: Final = 1 << 20
PAGE: Final = 4096


@dataclass(frozen=True, slots=True)
class Origin:
    """What is backed up: the tiers, and the file of the archive."""

    hot: HotTier
    spool: Spool
    archive: Path


@dataclass(slots=True)
class _Found:
    """What is not in the archive yet, counted."""

    records: int = 0
    forgotten: int = 0
    grants: int = 0
    signals: int = 0
    unreadable: int = 0


def file_name(now: datetime) -> str:
    """How a backup of this time is called.

    >>> file_name(datetime(2026, 5, 6, 7, 8, 9))
    'trinitas-20260506-070809.tar.gz'
    """
    return f"trinitas-{now:%Y%m%d-%H%M%S}.tar.gz"


def backup(
    file: Path, origin: Origin, *, clock: Callable[[], datetime], level: int = bundle.LEVEL, watch: Watch
) -> Manifest:
    """Write a backup and read it back; what is in it. ``watch`` may raise to break off: then nothing is left.

    Raises: BackupError, ArchiveError, Unavailable.
    """
    check_room(file.parent, origin.archive)
    try:
        with _scratch(file.parent) as folder:
            return _written(file, folder, origin, clock, level, watch)
    except OSError as error:
        raise BackupError(f"no backup can be written to {file.parent}: {error.strerror or error}") from error


def _written(
    file: Path, scratch: Path, origin: Origin, clock: Callable[[], datetime], level: int, watch: Watch
) -> Manifest:
    began = clock()
    found, waiting = _Found(), scratch / "waiting"
    with waiting.open("wb") as out:
        out.writelines(_waiting(origin, found))
    copy = scratch / bundle.ARCHIVE
    copying.snapshot(origin.archive, copy, watch=lambda done, pages: watch("copying", done * PAGE, pages * PAGE))
    facts = copying.examined(copy)
    left = scratch / bundle.UNARCHIVED
    counts = _filtered(waiting, copy, left)
    manifest = Manifest(
        package=metadata.version(DISTRIBUTION),
        began=began,
        created=clock(),
        revision=facts.revision,
        models=facts.models,
        counts=facts.counts | counts,
        highest=facts.highest,
        change=facts.change,
        unreadable=found.unreadable,
    )
    members = {bundle.ARCHIVE: copy, bundle.UNARCHIVED: left}
    return bundle.write(file, manifest, members, scratch=scratch / "packed", level=level, watch=watch)


def check_room(folder: Path, archive: Path) -> None:
    """Return if there is a folder with room for a backup: a copy, and what it is packed into. Raises: BackupError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        need = 2 * archive.stat().st_size
    except FileNotFoundError as error:
        raise BackupError(f"there is no archive to back up: {error.filename} is missing") from error
    except OSError as error:
        raise BackupError(f"no backup can be written to {folder}: {error.strerror or error}") from error
    if free < need:
        raise BackupError(
            f"no backup was made: {folder} has {free // MB:,} MB free, and it takes up to {need // MB:,} MB"
        )


def scheduled(
    folder: Path, origin: Origin | None, *, keep: int, clock: Callable[[], datetime], stopped: Watch, dry: bool
) -> Report:
    """Make the backup that is due, and delete the oldest of more than ``keep``. ``stopped`` raises when it is to end.

    ``origin`` None: the archive is none that can be copied here.
    """
    if not keep or origin is None:
        why = "TRINITAS_BACKUP_KEEP is 0" if origin else "the archive is no SQLite file: back it up with its own tools"
        return Report(detail={"skipped": why})
    file = folder / file_name(clock())
    if dry:
        return Report(1, detail={"file": str(file)})
    _clear(folder)
    try:
        made = backup(file, origin, clock=clock, watch=stopped)
    except BackupError as error:
        logger.warning("%s", error)
        return Report(1, errors=(str(error),))
    dropped: list[Any] = retain(folder, keep)
    memories = made.counts["memories"]
    return Report(memories, changed=1, detail={"file": str(file), "bytes": file.stat().st_size, "deleted": dropped})


def retain(folder: Path, keep: int) -> list[str]:
    """Delete the oldest backups of a folder but for so many; their names. Other files are left alone."""
    made = sorted(each for each in folder.iterdir() if NAMED.fullmatch(each.name))
    old = made[:-keep]
    for each in old:
        each.unlink(missing_ok=True)
    return [each.name for each in old]


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder beside the backup that goes in the end, and is locked until then: one that is not was left behind."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=SCRATCH) as name:
        descriptor = os.open(name, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield Path(name)
        finally:
            os.close(descriptor)


def _clear(folder: Path) -> None:
    """Take away what backups that were killed left behind; not what one that goes on is writing."""
    for each in folder.glob(f"{SCRATCH}*") if folder.is_dir() else ():
        descriptor = os.open(each, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
        shutil.rmtree(each, ignore_errors=True)


def _waiting(origin: Origin, found: _Found) -> Iterator[bytes]:
    """The lines of what the archive does not have, or did not have a moment ago."""
    hot = origin.hot
    for entry in _spooled(origin.spool):
        yield unarchived.line(entry)
    cursor = 0
    while True:
        cursor, standings = hot.scan(cursor, SCANNED)
        yield from map(unarchived.line, _standing([each for each in standings if not each.copy], hot, found))
        if not cursor:
            break
    for grants in hot.untold():
        yield from map(unarchived.line, grants.grants)
    yield from map(unarchived.line, hot.unsettled())


def _spooled(spool: Spool) -> Iterator[Entry]:
    after = 0
    while entries := spool.take(READ, after=after):
        yield from entries
        after = entries[-1].number


def _standing(standings: Iterable[Standing], hot: HotTier, found: _Found) -> Iterator[Entry]:
    """What stands there alone: records, and marks of forgotten ones that are still to be erased below."""
    records: list[Key] = []
    for each in standings:
        if not each.gone:
            records.append(each.key)
        elif each.queued:
            yield Entry(0, each.key, each.version, None)
    for persona, group in groupby(sorted(records), key=lambda key: key.persona):
        mine = [key.id for key in group]
        for start in range(0, len(mine), READ):
            yield from _read(persona, mine[start : start + READ], hot, found)


def _read(persona: str, ids: list[str], hot: HotTier, found: _Found) -> Iterator[Entry]:
    missing: list[Key] = []
    for id_, record in zip(ids, hot.read(persona, ids, touch=False), strict=True):
        key = Key(persona, id_)
        if isinstance(record, Record):
            yield Entry(0, key, record.version, record.item)
        else:
            missing.append(key)
    for standing in hot.standings(missing):
        if standing is None or standing.copy:
            continue  # it was archived meanwhile: the snapshot comes later
        if standing.gone:
            yield Entry(0, standing.key, standing.version, None)
        else:  # on its way to the dead letters
            logger.warning("%s:%s cannot be read: it is not in the backup", *standing.key)
            found.unreadable += 1


def _filtered(waiting: Path, copy: Path, left: Path) -> dict[str, int]:
    """Keep of what waited what the copy does not have; how much of which kind."""
    counts = _Found()
    with waiting.open("rb") as lines, left.open("wb") as out, copying.opened(copy) as archive:
        for text in lines:
            said = unarchived.read(text)
            if not _is_in(said, archive):
                _count(said, counts)
                out.write(text)
    return {
        "unarchived": counts.records,
        "unburied": counts.forgotten,
        "untold_grants": counts.grants,
        "unsettled_signals": counts.signals,
    }


def _is_in(said: Entry | Grant | Signal, archive: Copy) -> bool:
    match said:
        case Entry(item=None):
            return archive.has_erased(said.key, said.version)
        case Entry():
            return archive.has(said.key, said.version)
        case Signal():
            return archive.has_heard(said.key, said.by, said.said, said.at)
        case _:
            return False


def _count(said: Entry | Grant | Signal, counts: _Found) -> None:
    match said:
        case Entry(item=None):
            counts.forgotten += 1
        case Entry():
            counts.records += 1
        case Signal():
            counts.signals += 1
        case _:
            counts.grants += 1
