"""Rows for the archives under contract, and what other processes do to one."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support import memory
from trinitas_tasks.model import Key, MemoryItem, Record, utc_now
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.policy.chronology import Span, Stretch
from trinitas_tasks.policy.prediction import Follower
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.archive.driver import sqlite_driver
from trinitas_tasks.tiers.archive.interface import EVERYTHING, UNFILTERED, Archive, Match, Reader, Row
from trinitas_tasks.tiers.archive.lives import Settlement, Turn, Use
from trinitas_tasks.tiers.archive.local import LocalArchive
from trinitas_tasks.tiers.archive.memory import MemoryArchive
from trinitas_tasks.tiers.archive.sql import SqlArchive

MODEL = "model-a"
NAMING = Naming(MODEL)
KINDS = ("memory", "sql", "local")


class LocallyRead(SqlArchive):
    """A SQL archive that clients read by its file alone."""

    def __init__(self, path: Path) -> None:
        super().__init__(url_of(path))
        self._reader = LocalArchive(path)

    def load(self, persona: str, ids: Sequence[str]) -> list[Record | None]:
        """See Reader."""
        return self._reader.load(persona, ids)

    def search_text(
        self, persona: str, terms: Sequence[str], limit: int, *, filters: Filters = UNFILTERED
    ) -> list[Match]:
        """See Reader."""
        return self._reader.search_text(persona, terms, limit, filters=filters)

    def matching(self, persona: str, filters: Filters, limit: int) -> list[str]:
        """See Reader."""
        return self._reader.matching(persona, filters, limit)

    def timeline(
        self,
        persona: str,
        span: Span,
        limit: int,
        *,
        filters: Filters = EVERYTHING,
        shared: Sequence[Key] = (),
    ) -> Stretch:
        """See Reader."""
        return self._reader.timeline(persona, span, limit, filters=filters, shared=shared)

    def followers(self, keys: Sequence[Key]) -> dict[Key, list[Follower]]:
        """See Reader."""
        return self._reader.followers(keys)


@contextmanager
def made(kind: str, folder: Path) -> Iterator[Archive]:
    """An empty archive of one of the `KINDS`."""
    if kind == "memory":
        yield MemoryArchive()
        return
    path = folder / "archive.db"
    archive = LocallyRead(path) if kind == "local" else SqlArchive(url_of(path))
    archive.migrate()
    yield archive
    archive.close()


def row(content: Any = "the staging database moved", version: int = 1, **more: Any) -> Row:
    """A row whose vectors follow from its content and version; ``parts`` (how many), ``terms`` and ``model`` or a
    memory's fields."""
    terms: Sequence[str] = more.pop("terms", str(content).lower().split()[:100])
    model: str = more.pop("model", MODEL)
    parts: int = more.pop("parts", 1)
    item = memory(content, **more)
    return Row(Record(item, version), vectors_of(item, version, parts), model, terms)


def vectors_of(item: MemoryItem, version: int, parts: int = 1) -> NDArray[np.float32]:
    """float32, (parts, 8)."""
    seed = zlib.crc32(str(item.content)[:100].encode()) + version
    return np.random.default_rng(seed).standard_normal((parts, 8)).astype(np.float32)


def key(row: Row) -> Key:
    """The key of a row."""
    return Key(row.record.item.persona, row.record.item.id)


def loaded(archive: Reader, id_: str = "m1", persona: str = "athena") -> Record | None:
    """What the archive has of one id."""
    return archive.load(persona, [id_])[0]


def found(archive: Reader, *terms: str, persona: str = "athena") -> list[str]:
    """The ids that hold any of the terms, best first."""
    return [match.id for match in archive.search_text(persona, terms, 100)]


def url_of(path: Path) -> str:
    """The SQLAlchemy URL of a SQLite file."""
    return f"sqlite:///{path}"


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A connection past the archive; only by the archive's own driver may this process open its file."""
    connection = sqlite_driver().connect(str(path), isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def unprivileged() -> Iterator[None]:
    """As a user for whom permissions count: root may write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def in_processes(work: Any, *calls: tuple[Any, ...]) -> list[Any]:
    """The answers of calls made at once, each by a process of its own."""
    with ProcessPoolExecutor(len(calls), mp_context=get_context("spawn")) as pool:
        return [each.result() for each in [pool.submit(work, *call) for call in calls]]


def migrate_files(paths: Sequence[Path]) -> None:
    """Bring files to the newest schema, one after the other: to be run by several processes at once."""
    for path in paths:
        archive = SqlArchive(url_of(path))
        archive.migrate()
        archive.ping()
        archive.close()


def store_many(path: Path, persona: str, batches: int, size: int) -> int:
    """Store batches of memories of a persona; the number stored."""
    archive = SqlArchive(url_of(path))
    stored = 0
    for batch in range(batches):
        rows = [row(f"batch {batch}", id=f"{batch}-{place}", persona=persona) for place in range(size)]
        stored += len(archive.store(rows))
    archive.close()
    return stored


def store_until_killed(path: Path, size: int) -> None:
    """Store batch after batch and print the number of each that was acknowledged."""
    archive = SqlArchive(url_of(path))
    batch = 0
    while True:
        archive.store([row(f"batch{batch}", id=f"{batch}-{place}") for place in range(size)])
        print(batch, flush=True)  # noqa: T201 - the parent reads it
        batch += 1


def settle_until_killed(path: Path, size: int) -> None:
    """Settle batch after batch, each memory used and turned once in each, and print the number of each."""
    archive = SqlArchive(url_of(path))
    keys = [Key("athena", f"m{n}") for n in range(size)]
    archive.store([row(id=key.id) for key in keys])
    batch = archive.settled()
    while True:
        batch += 1
        archive.turn([Turn(key, 1, cold=True, score=batch / 1e6) for key in keys])
        now = utc_now()
        archive.settle(Settlement(batch, [Use(key, 1, now, float(batch), now) for key in keys]))
        print(batch, flush=True)  # noqa: T201 - the parent reads it


def share_with_a_child(path: Path) -> None:
    """Fork with connections open: both sides must go on, each with locks of its own."""
    archive, reader = SqlArchive(url_of(path)), LocalArchive(path)
    archive.store([row(id="before")])
    assert loaded(archive, "before") == loaded(reader, "before")
    (ready, tell_ready), (go, tell_go) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(tell_go)  # neither side waits for one that failed
        assert loaded(archive, "before") == loaded(reader, "before") == row(id="before").record
        os.write(tell_ready, b".")
        os.read(go, 1)
        archive.store([row(id="child")])
        os._exit(0 if loaded(reader, "parent") else 1)
    os.close(tell_ready)
    assert os.read(ready, 1)
    archive.store([row(id="parent")])
    archive.close()
    assert path.with_name(f"{path.name}-wal").exists(), (
        "the last connection takes the log away: the child's was not seen"
    )
    os.write(tell_go, b".")
    assert os.waitpid(child, 0)[1] == 0
    assert loaded(archive, "child") == loaded(reader, "child") == row(id="child").record
    archive.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["store", path, size]:
            store_until_killed(Path(path), int(size))
        case ["settle", path, size]:
            settle_until_killed(Path(path), int(size))
        case ["fork", path]:
            share_with_a_child(Path(path))
