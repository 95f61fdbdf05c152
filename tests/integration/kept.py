"""A world on real servers that is put back as it was, again and again."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from redis import Redis

from tests.contract.chroma_server import ChromaServer
from tests.integration.killed_life import Real
from tests.support import Valkey
from trinitas_tasks.model import utc_now


class Vector(NamedTuple):
    """What the vector tier has of a memory."""

    id: str
    parts: Any
    version: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What the tiers hold: a copy of the archive, the keys of Redis with their times to live (ms), and vectors."""

    archive: Path
    keys: Mapping[bytes, tuple[Any, int]]
    vectors: Mapping[str, Sequence[Vector]]


@dataclass(slots=True)
class Place:
    """Where it is: nobody else uses these servers. ``folder`` holds the archive."""

    valkey: Valkey
    chroma: ChromaServer
    folder: Path
    begin: datetime = field(default_factory=utc_now)
    _copies: int = 0

    @property
    def archive(self) -> Path:
        """The archive's file."""
        return self.folder / "archive.db"

    def opened(self) -> Real:
        """The world that is there now."""
        return Real(self.archive, self.begin, self.valkey.url, self.chroma.port)

    def copied(self) -> Path:
        """A copy of the archive, which nobody has open."""
        self._copies += 1
        return Path(shutil.copy(self.archive, self.folder / f"copy{self._copies}.db"))

    def keep(self, world: Real, archive: Path | None = None) -> Kept:
        """What it holds, and closes; ``archive`` may be an older copy."""
        vectors = {persona: _vectors(persona, world) for persona in world.archive.personas()}
        world.close()
        with Redis.from_url(self.valkey.url) as redis:
            keys = {name: (redis.dump(name), max(redis.pttl(name), 0)) for name in redis.scan_iter(count=1000)}
        return Kept(archive or self.copied(), keys, vectors)

    def restore(self, kept: Kept) -> None:
        """Put it all back."""
        for each in self.folder.glob("archive.db*"):
            each.unlink()
        shutil.copy(kept.archive, self.archive)
        with Redis.from_url(self.valkey.url) as redis, redis.pipeline() as pipe:
            pipe.flushdb()
            for name, (dump, millis) in kept.keys.items():
                pipe.restore(name, millis, dump)
            pipe.execute()
        world = self.opened()
        for persona, known in kept.vectors.items():
            world.vectors.delete(persona, world.vectors.listed(persona, 0, 10_000))
            columns = [list(column) for column in zip(*known, strict=True)]
            world.vectors.upsert(persona, *columns)
        world.close()


def _vectors(persona: str, world: Real) -> list[Vector]:
    ids = world.vectors.listed(persona, 0, 10_000)
    parts = world.archive.vectors(persona, ids, world.embedder.name)
    versions = world.vectors.versions(persona, ids)
    some = next(each for each in parts if each is not None)  # of what the archive does not know: any
    return [
        Vector(id_, some if each is None else each, version or 0)
        for id_, each, version in zip(ids, parts, versions, strict=True)
    ]
