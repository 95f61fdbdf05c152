"""A world whose archive is a real file, its backups, and what is restored from them."""

from __future__ import annotations

import gzip
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support import memory
from tests.unit.workers import Workers
from tests.unit.world import World
from trinitas_tasks.local.restoring import Restored, restore_into
from trinitas_tasks.model import MemoryItem
from trinitas_tasks.services import backup
from trinitas_tasks.settings import Settings, load_settings
from trinitas_tasks.tiers.archive.sql import SqlArchive
from trinitas_tasks.tiers.backup.bundle import Manifest
from trinitas_tasks.tiers.spool.sqlite import SqliteSpool

TARGET = "trinitas@embedded"


def quiet(*_: object) -> None:
    """Nobody watches."""


def note(number: int, **fields: Any) -> MemoryItem:
    return memory(f"heron {number} stands in field {number * 7}", **{"id": f"m{number:03}", **fields})


class Site:
    """A home with an archive of its own over stubs of Redis and Chroma. What is done by hand counts as Redis'."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.file = home / "archive.db"
        world = World()
        world.archive = SqlArchive(f"sqlite:///{self.file}")
        world.archive.migrate()
        world.spool = SqliteSpool(home / "spool.db", target=TARGET, limit_mb=64)
        self.world = world
        self.workers = Workers(world, TRINITAS_HOME=home)

    @property
    def origin(self) -> backup.Origin:
        return backup.Origin(self.world.hot, self.world.spool, self.file)

    def remember(self, *items: MemoryItem) -> None:
        self.world.remember(*items)

    def backup(self, file: Path, **more: Any) -> Manifest:
        return backup.backup(file, self.origin, clock=self.world.now, watch=more.pop("watch", quiet), **more)

    def contents(self) -> dict[str, Any]:
        """Everything that the archive holds of athena's memories, but when and as which number it came."""
        lives = self.world.archive.named("athena", "", 10_000)
        return {each.record.item.id: each._replace(seq=0, archived_at=datetime.min) for each in lives}

    def close(self) -> None:
        self.world.archive.close()
        self.world.spool.close()


def settings_of(home: Path) -> Settings:
    return load_settings(folder=home.parent, overrides={"home": home}, stack=False)


def restored(file: Path, home: Path) -> tuple[Site, Restored]:
    """A site that begins with what the backup holds, and nothing in Redis or Chroma."""
    done = restore_into(file, home, settings_of(home), watch=quiet)
    return Site(home), done


@contextmanager
def full_beyond(octets: int) -> Iterator[None]:
    """No file can be written beyond this size, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def repacked(file: Path, change: Any) -> None:
    """Alter what is packed in a backup, with a checksum of gzip that fits."""
    file.write_bytes(gzip.compress(change(gzip.decompress(file.read_bytes())), mtime=0))
