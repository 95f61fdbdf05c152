"""Bringing a backup back: unpacked and checked beside its place, put there only then, undone where that fails."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from trinitas_tasks.errors import BackupError, StackError
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.policy.grants import Grant
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.services import unarchived
from trinitas_tasks.services.rejoin import RESTORED
from trinitas_tasks.settings import Settings
from trinitas_tasks.tasks.dispatch import CeleryDispatcher
from trinitas_tasks.tiers.archive.copying import examined
from trinitas_tasks.tiers.archive.sql import SqlArchive
from trinitas_tasks.tiers.backup import bundle
from trinitas_tasks.tiers.backup.bundle import Manifest, Watch
from trinitas_tasks.tiers.breaker import Breaker
from trinitas_tasks.tiers.spool.interface import Entry
from trinitas_tasks.tiers.spool.sqlite import SqliteSpool

TOGETHER: Final = 200
SPOOL: Final = "spool.db"
DATABASE: Final = ("", "-wal", "-shm")
"""What belongs to a SQLite file."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and where what stood there before lies now."""

    manifest: Manifest
    archive: Path
    aside: tuple[Path, ...] = ()


def restore_into(file: Path, folder: Path, settings: Settings, *, watch: Watch) -> Restored:
    """Restore into a new or empty folder, which becomes a home. Raises: BackupError; the folder is as it was then."""
    folder = folder.expanduser().absolute()
    try:
        is_new = not folder.exists()
        if not is_new and (not folder.is_dir() or any(folder.iterdir())):
            raise BackupError(f"{folder} is not empty: choose a new folder")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with _staged(file, folder, _target(settings), watch) as (manifest, staged):
                _switch([(each, folder / each.name) for each in staged], [], "")
        except BaseException:
            if is_new:
                shutil.rmtree(folder, ignore_errors=True)
            raise
    except OSError as error:
        raise BackupError(f"{folder} cannot become a home: {error.strerror or error}") from error
    return Restored(manifest, folder / bundle.ARCHIVE)


def restore_in_place(file: Path, settings: Settings, *, now: datetime, watch: Watch) -> Restored:
    """Restore into the home of the settings, in place of what is there, which is put aside.

    Raises: BackupError, StackError where something runs there still; what is there is as it was then.
    """
    archive = settings.archive_file()
    if archive is None:
        raise BackupError("ARCHIVE_URL is no SQLite file: restore it with the tools of its database")
    stack = Stack(settings)
    with stack.home.lock():
        check_stopped(stack, settings)
        try:
            archive.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _staged(file, archive.parent, _target(settings), watch) as (manifest, staged):
                check_stopped(stack, settings)
                to = {bundle.ARCHIVE: archive, SPOOL: settings.spool_file(), RESTORED: settings.home / RESTORED}
                stamp = f"before-{now:%Y%m%d-%H%M%S}"
                aside = _switch([(each, to[each.name]) for each in staged], _there(settings, archive), stamp)
        except OSError as error:
            raise BackupError(f"{archive} cannot be put in place: {error.strerror or error}") from error
    return Restored(manifest, archive, tuple(aside))


def check_stopped(stack: Stack, settings: Settings) -> None:
    """Return if nobody works on this home, and no other memories are in its Redis. Raises: StackError, Unavailable."""
    status = stack.status()
    if status.running or status.leftovers:
        raise StackError(f"a stack runs in {stack.home.path}: run `trinitas down` first")
    if not settings.redis_configured:
        return
    with _runtime(settings) as run:
        dispatcher = CeleryDispatcher(settings, redis=Breaker("Redis", retry_seconds=settings.retry_delay))
        try:
            if dispatcher.workers():
                raise StackError("workers run at the Redis of the settings: stop them first")
        finally:
            dispatcher.close()
        cursor = -1
        while cursor:
            cursor, standings = run.hot.scan(max(cursor, 0), TOGETHER)
            if standings:
                raise StackError(
                    f"the Redis of the settings holds memories in namespace {settings.namespace}, which would be mixed "
                    "with those of the backup: empty it, or choose another TRINITAS_NAMESPACE"
                )


@contextmanager
def _runtime(settings: Settings) -> Iterator[Runtime]:
    run = Runtime(settings)
    try:
        yield run
    finally:
        run.close()


def _target(settings: Settings) -> str:
    """Where the spool of the restored home goes: of its own stack, unless the settings name a Redis."""
    return settings.deployment() if settings.redis_configured else f"{settings.namespace}@embedded"


@contextmanager
def _staged(file: Path, beside: Path, target: str, watch: Watch) -> Iterator[tuple[Manifest, list[Path]]]:
    """The files as they are to stand, ready in a folder of their own that goes in the end. Raises: BackupError."""
    with tempfile.TemporaryDirectory(dir=beside, prefix=".trinitas-restore-") as name:
        folder = Path(name)
        manifest = bundle.extract(file, folder, watch=watch)
        facts = examined(folder / bundle.ARCHIVE)
        if any(manifest.counts.get(table) != count for table, count in facts.counts.items()):
            raise BackupError(f"the backup {file} does not hold what its manifest says: {facts.counts}")
        _complete(folder, target)
        yield manifest, [path for each in (bundle.ARCHIVE, SPOOL, RESTORED) if (path := folder / each).exists()]


def _complete(folder: Path, target: str) -> None:
    """Make the archive one of its own, and put what it did not have where the workers look for it."""
    archive = SqlArchive(f"sqlite:///{folder / bundle.ARCHIVE}")
    spool = SqliteSpool(folder / SPOOL, target=target, limit_mb=1 << 20)
    try:
        archive.migrate()
        archive.begin_anew()
        entries: list[Entry] = []
        grants: list[Grant] = []
        with (folder / bundle.UNARCHIVED).open("rb") as lines, (folder / RESTORED).open("wb") as left:
            for text in lines:
                match unarchived.read(text):
                    case Entry() as entry:
                        entries.append(entry)
                    case said:
                        left.write(text)
                        grants += [said] if isinstance(said, Grant) else []
                if len(entries) >= TOGETHER:
                    spool.keep(entries)
                    entries.clear()
        if entries:
            spool.keep(entries)
        archive.put_grants(grants)
    finally:
        spool.close()
        archive.close()


def _there(settings: Settings, archive: Path) -> list[Path]:
    """What belongs to the state before: databases with their logs, and the servers' own folders where they are ours."""
    ours = [settings.home / "valkey", settings.chroma_folder()] if not settings.redis_configured else []
    return [archive, settings.spool_file(), settings.home / RESTORED, *ours]


def _switch(moves: Sequence[tuple[Path, Path]], there: Sequence[Path], stamp: str) -> list[Path]:
    """Put what is there aside and the new files in its place, or leave all as it was; what was put aside."""
    done: list[tuple[Path, Path]] = []
    aside: list[Path] = []
    try:
        for path in there:
            for suffix in DATABASE:
                part = path.with_name(f"{path.name}{suffix}")
                if part.exists():
                    to = path.with_name(f"{path.name}.{stamp}{suffix}")
                    shutil.move(part, to)
                    done.append((to, part))
                    aside += [to] if not suffix else []
        for source, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source, target)
            done.append((target, source))
    except BaseException:
        for now, before in reversed(done):
            shutil.move(now, before)
        raise
    return aside
