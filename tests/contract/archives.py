"""Rows for the archives under contract, and what other processes do to one."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support import memory
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.tiers.archive.interface import Archive, Row
from trinitas_tasks.tiers.archive.sql import SqlArchive

MODEL = "model-a"


def row(content: Any = "the staging database moved", version: int = 1, **more: Any) -> Row:
    """A row whose vector follows from its content and version; ``terms`` and ``model`` or a memory's fields."""
    terms: Sequence[str] = more.pop("terms", str(content).lower().split()[:100])
    model: str = more.pop("model", MODEL)
    item = memory(content, **more)
    return Row(Record(item, version), vector_of(item, version), model, terms)


def vector_of(item: MemoryItem, version: int) -> NDArray[np.float32]:
    """float32, (8,)."""
    seed = zlib.crc32(str(item.content)[:100].encode()) + version
    return np.random.default_rng(seed).standard_normal(8).astype(np.float32)


def key(row: Row) -> Key:
    """The key of a row."""
    return Key(row.record.item.persona, row.record.item.id)


def loaded(archive: Archive, id_: str = "m1", persona: str = "athena") -> Record | None:
    """What the archive has of one id."""
    return archive.load(persona, [id_])[0]


def found(archive: Archive, *terms: str, persona: str = "athena") -> list[str]:
    """The ids that hold any of the terms, best first."""
    return [match.id for match in archive.search_text(persona, terms, 100)]


def url_of(path: Path) -> str:
    """The SQLAlchemy URL of a SQLite file."""
    return f"sqlite:///{path}"


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
        stored += sum(archive.store(rows))
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


if __name__ == "__main__":
    store_until_killed(Path(sys.argv[1]), int(sys.argv[2]))
