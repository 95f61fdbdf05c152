"""Bringing a backup back: unpacked and checked beside its place, put there only then, undone where that fails."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from trinitas_tasks.errors import BackupError, StackError
from trinitas_tasks.local import switch
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.local.switch import Plan, Spooled
from trinitas_tasks.policy.grants import Grant
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.services import unarchived
from trinitas_tasks.services.rejoin import RESTORED
from trinitas_tasks.settings import Settings
from trinitas_tasks.tasks.dispatch import CeleryDispatcher
from trinitas_tasks.tiers.archive.copying import Facts, examined
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
    """Restore into a new or empty folder, which becomes a home. Raises: BackupError; the folder is as it was then.

    Killed in between, the same call again completes it.
    """
    folder = folder.expanduser().absolute()
    archive = folder / bundle.ARCHIVE
    try:
        is_new = not folder.exists()
        if not is_new and not folder.is_dir():
            raise BackupError(f"{folder} is no folder: choose a new one")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(folder):
            if (done := _completed(file, archive, watch)) is not None:
                return done
            if any(folder.iterdir()):
                raise BackupError(f"{folder} is not empty: choose a new folder")
            try:
                to = {bundle.ARCHIVE: archive, RESTORED: folder / RESTORED}
                return _restored(file, archive, to, folder / SPOOL, _target(settings), watch=watch)
            except BaseException:
                if is_new:
                    shutil.rmtree(folder, ignore_errors=True)
                raise
    except OSError as error:
        raise BackupError(f"{folder} cannot become a home: {error.strerror or error}") from error


def restore_in_place(file: Path, settings: Settings, *, now: datetime, watch: Watch) -> Restored:
    """Restore into the home of the settings, in place of what is there, which is put aside.

    Raises: BackupError, StackError where something runs there still; what is there is as it was then. Killed in
    between, the same call again completes it, and so does `trinitas up`.
    """
    archive = settings.archive_file()
    if archive is None:
        raise BackupError("ARCHIVE_URL is no SQLite file: restore it with the tools of its database")
    stack = Stack(settings)
    with stack.home.lock():
        check_stopped(stack, settings)
        try:
            archive.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (done := _completed(file, archive, watch)) is not None:
                return done
            to = {bundle.ARCHIVE: archive, RESTORED: settings.home / RESTORED}
            aside = _there(settings, archive), f"before-{now:%Y%m%d-%H%M%S}"

            def check() -> None:
                check_stopped(stack, settings)

            return _restored(
                file, archive, to, settings.spool_file(), _target(settings), watch=watch, check=check, aside=aside
            )
        except OSError as error:
            raise BackupError(f"{archive} cannot be put in place: {error.strerror or error}") from error


def _completed(file: Path, archive: Path, watch: Watch) -> Restored | None:
    """Bring what was broken off to its end; what was restored then, if it was this file."""
    plan = switch.settle(archive)
    if plan is None or plan.manifest != bundle.verify(file, watch=watch):
        return None
    return _told(plan, archive)


def _restored(
    file: Path,
    archive: Path,
    to: Mapping[str, Path],
    spool: Path,
    target: str,
    *,
    watch: Watch,
    check: Callable[[], None] = lambda: None,
    aside: tuple[Sequence[Path], str] = ((), ""),
) -> Restored:
    """Make all of it ready, then put it in its place. ``check`` comes between."""
    there, stamp = aside
    with _staged(file, archive, target, watch) as (manifest, folder):
        check()
        plan = Plan(
            manifest=manifest,
            scratch=folder,
            aside=tuple(_moves(there, stamp)),
            place=tuple((path, where) for name, where in to.items() if (path := folder / name).exists()),
            spool=Spooled(
                file=spool,
                staged=folder / SPOOL,
                target=target,
                upto=_newest(spool, target),
                aside=spool.with_name(f"{spool.name}.{stamp}") if spool.exists() else None,
            ),
        )
        switch.switch(archive, plan)
    return _told(plan, archive)


def _newest(file: Path, target: str) -> int:
    spool = SqliteSpool(file, target=target, limit_mb=1 << 20)
    try:
        return spool.newest()
    finally:
        spool.close()


def _told(plan: Plan, archive: Path) -> Restored:
    aside = [target for source, target in plan.aside if not source.name.endswith(DATABASE[1:])]
    return Restored(plan.manifest, archive, (*aside, *([plan.spool.aside] if plan.spool.aside else [])))


def _moves(there: Sequence[Path], stamp: str) -> Iterator[tuple[Path, Path]]:
    """What is there and where it goes; a database after its logs, which belong to it."""
    for path in there:
        for suffix in reversed(DATABASE):
            part = path.with_name(f"{path.name}{suffix}")
            if part.exists():
                yield part, path.with_name(f"{path.name}.{stamp}{suffix}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other restore into this folder goes on meanwhile. Raises: BackupError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BackupError(f"another restore into {folder} goes on") from None
    try:
        yield
    finally:
        os.close(descriptor)


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
def _staged(file: Path, archive: Path, target: str, watch: Watch) -> Iterator[tuple[Manifest, Path]]:
    """A folder, on the archive's disk, with the files as they are to stand; it goes in the end. Raises: BackupError."""
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=switch.scratch_name(archive)) as name:
        folder = Path(name)
        manifest = bundle.extract(file, folder, watch=watch)
        facts = examined(folder / bundle.ARCHIVE)
        told = {table: manifest.counts.get(table, -1) for table in facts.counts}
        said = Facts(manifest.revision, told, manifest.models, manifest.highest, manifest.change)
        if facts._asdict() != said._asdict():
            raise BackupError(f"the backup {file} holds {facts}, and its manifest says {said}: it was altered")
        _complete(folder, target)
        yield manifest, folder


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
    """What belongs to the state before, but for the spool: the archive, and the servers' own folders where they are
    ours."""
    ours = [settings.home / "valkey", settings.chroma_folder()] if not settings.redis_configured else []
    return [archive, settings.home / RESTORED, *ours]
