"""The composition root of the workers: builds every tier from the settings, each when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property

from trinitas_tasks.embedding.interface import Embedder
from trinitas_tasks.model import MemoryType
from trinitas_tasks.settings import Settings
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.hot.interface import HotTier
from trinitas_tasks.tiers.hot.redis import RedisHotTier
from trinitas_tasks.tiers.vectors.interface import VectorTier

WORKER_TIMEOUT_SECONDS = 5.0
"""A worker can wait for Redis: nobody waits for its answer."""


class Runtime:
    """The tiers of one process. Give any of them to use another, such as a stub."""

    def __init__(
        self,
        settings: Settings,
        *,
        hot: HotTier | None = None,
        archive: Archive | None = None,
        vectors: VectorTier | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        self.settings = settings
        self.embedding_threads = settings.threads
        self._lock = threading.RLock()
        given = {"hot": hot, "archive": archive, "vectors": vectors, "embedder": embedder}
        self.__dict__.update({name: tier for name, tier in given.items() if tier is not None})

    @cached_property
    def hot(self) -> HotTier:
        """Redis."""
        return RedisHotTier(
            self.settings.redis(),
            namespace=self.settings.namespace,
            pool_size=self.settings.connection_pool_size,
            timeout_seconds=WORKER_TIMEOUT_SECONDS,
            connect_seconds=WORKER_TIMEOUT_SECONDS,
        )

    @cached_property
    def archive(self) -> Archive:
        """The SQL archive, its schema brought up to date."""
        from trinitas_tasks.tiers.archive.sql import SqlArchive  # noqa: PLC0415 - beat and Flower need no SQL

        with self._lock:
            archive = SqlArchive(self.settings.archive())
            archive.migrate()
            return archive

    @cached_property
    def vectors(self) -> VectorTier:
        """Chroma, by way of its server."""
        from trinitas_tasks.tiers.vectors.chroma import ChromaVectors  # noqa: PLC0415 - 1 s to import

        return ChromaVectors(
            self.settings.chromadb_host,
            self.settings.chromadb_port,
            namespace=self.settings.namespace,
            model=self.settings.chromadb_model,
            deadline_ms=self.settings.deadline_ms,
        )

    @cached_property
    def embedder(self) -> Embedder:
        """The embedding model: several seconds, 500 MB."""
        # the lifecycle worker must never load torch
        from trinitas_tasks.embedding.sentence_transformer import (  # noqa: PLC0415
            SentenceTransformerEmbedder,
        )

        with self._lock:
            return SentenceTransformerEmbedder(
                self.settings.chromadb_model,
                sha256=self.settings.model_sha256,
                threads=self.embedding_threads,
            )

    @property
    def seconds_by_type(self) -> Mapping[MemoryType, int]:
        """How long an archived memory of each type stays hot."""
        return {kind: self.settings.hot_seconds(kind) for kind in MemoryType}

    def close(self) -> None:
        """Give the connections of what was built back."""
        for name in ("hot", "archive", "vectors"):
            tier = self.__dict__.pop(name, None)
            if tier is not None:
                tier.close()
