"""The composition root of the workers: builds every tier from the settings, each when it is first needed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Self, TypeVar, overload

from trinitas_tasks.embedding.interface import Embedder
from trinitas_tasks.embedding.models import Chosen, Load, Models, Shelf, chosen_by
from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.model import MemoryType, utc_now
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.policy.life import Rules
from trinitas_tasks.policy.personas import Persona
from trinitas_tasks.policy.ttl import Stay
from trinitas_tasks.services.defined import Defined
from trinitas_tasks.services.fulltext import FullText
from trinitas_tasks.services.ingest import Step
from trinitas_tasks.services.life.cooling import Index
from trinitas_tasks.services.reconcile import Cursor
from trinitas_tasks.services.retrievers import Tiers
from trinitas_tasks.services.spaces import Spaces
from trinitas_tasks.settings import Settings
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.owner import claim
from trinitas_tasks.tiers.breaker import Breaker
from trinitas_tasks.tiers.hot.interface import HotTier
from trinitas_tasks.tiers.hot.redis import RedisHotTier
from trinitas_tasks.tiers.lexical.interface import LexicalTier
from trinitas_tasks.tiers.spool.interface import Spool
from trinitas_tasks.tiers.spool.sqlite import SqliteSpool
from trinitas_tasks.tiers.vectors.interface import VectorTier

logger = logging.getLogger(__name__)
T = TypeVar("T")

WORKER_TIMEOUT_SECONDS = 5.0
"""A worker can wait for Redis: nobody waits for its answer."""


class built(cached_property[T]):
    """A part of a runtime: it is built when it is first needed, and once, also where several threads need it."""

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...
    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        if instance is None:
            return self
        with instance.building:
            return super().__get__(instance, owner)


class Runtime:
    """The tiers of one process, and what its jobs remember. Give any tier to use another, such as a stub.

    ``load`` loads a model that personas have of their own. ``step`` is told how far an ingest has come. ``clock`` may
    be simulated.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        hot: HotTier | None = None,
        archive: Archive | None = None,
        vectors: VectorTier | None = None,
        embedder: Embedder | None = None,
        lexical: LexicalTier | None = None,
        spool: Spool | None = None,
        load: Load | None = None,
        step: Step = lambda _: None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.step = step
        self.embedding_threads = settings.threads
        self.stopping = threading.Event()
        self.ingesting = threading.Lock()
        self.told = threading.Event()
        """Whether there may be something to ingest that whoever is at it has not seen."""
        self.settling = threading.Lock()
        self.telling = threading.Lock()
        self.in_trouble = True
        """Whether the hot tier may have a note of a failed ingest; so it is at the start, of the process before."""
        self.compared = Cursor()
        self.rebuilding: list[str] = []
        self.mending_until = 0.0
        self.building = threading.RLock()
        self.shelf = Shelf(load or self._loaded)
        self._models: tuple[object, Models] | None = None
        given: dict[str, object] = {"hot": hot, "archive": archive, "vectors": vectors, "embedder": embedder}
        given |= {"lexical": lexical, "spool": spool}
        self.__dict__.update({name: tier for name, tier in given.items() if tier is not None})

    @built
    def hot(self) -> HotTier:
        """Redis."""
        return RedisHotTier(
            self.settings.redis(),
            namespace=self.settings.namespace,
            pool_size=self.settings.connection_pool_size,
            cache_mb=self.settings.cache_size_mb,
            timeout_seconds=WORKER_TIMEOUT_SECONDS,
            connect_seconds=WORKER_TIMEOUT_SECONDS,
        )

    @built
    def archive(self) -> Archive:
        """The SQL archive, its schema brought up to date."""
        from trinitas_tasks.tiers.archive.sql import SqlArchive  # noqa: PLC0415 - beat and Flower need no SQL

        archive = SqlArchive(self.settings.archive())
        archive.migrate()
        if (file := self.settings.archive_file()) is not None and self.settings.redis_configured:
            claim(file, self.settings.deployment())
        return archive

    @built
    def vectors(self) -> VectorTier:
        """Chroma, by way of its server."""
        from trinitas_tasks.tiers.vectors.chroma import ChromaVectors  # noqa: PLC0415 - 1 s to import

        return ChromaVectors(
            self.settings.chromadb_host,
            self.settings.chromadb_port,
            namespace=self.settings.namespace,
            model=self.settings.chromadb_model,
            deadline_ms=self.settings.deadline_ms,
            query_ms=self.settings.chroma_timeout_ms,
            breaker=Breaker("Chroma", retry_seconds=self.settings.retry_delay),
        )

    @built
    def lexical(self) -> LexicalTier:
        """This process's own full-text index."""
        from trinitas_tasks.tiers.lexical.tantivy import TantivyLexical  # noqa: PLC0415 - searches alone need it

        return TantivyLexical(self.settings.fulltext_folder())

    @built
    def fulltext(self) -> FullText:
        """Full text over the archive."""
        return FullText(self.archive, self.lexical)

    @property
    def model(self) -> str:
        """The name under which the vectors of most personas are kept; asking for it loads no model."""
        embedder: Embedder | None = self.__dict__.get("embedder")
        return self.settings.model_name if embedder is None else embedder.name

    @property
    def usual(self) -> Chosen:
        """The model of whoever has none of their own."""
        return Chosen(self.settings.chromadb_model, self.settings.model_sha256)

    @property
    def models(self) -> Models:
        """The models in force now; asking for it loads none. Raises: Unavailable, ArchiveError."""
        defined, name = self.personas.all(), self.model
        if self._models is None or self._models[0] is not defined or self._models[1].naming.usual != name:
            own = {each.name: its for each in defined.values() if (its := chosen_by(each, self.usual)) is not None}
            self.shelf.keep_only(set(own.values()))
            naming = Naming(name, {persona: its.name for persona, its in own.items()})
            self._models = defined, Models(lambda: self.embedder, naming, own, self.shelf)
        return self._models[1]

    @property
    def naming(self) -> Naming:
        """Under which names whose vectors are kept. Raises: Unavailable, ArchiveError."""
        return self.models.naming

    @property
    def spaces(self) -> Spaces:
        """Where whose vectors are. Raises: Unavailable, ArchiveError."""
        return Spaces(self.vectors, self.naming)

    @property
    def index(self) -> Index:
        """What the lives of memories are about."""
        return Index(self.hot, self.archive, self.spaces)

    @property
    def tiers(self) -> Tiers:
        """What a search asks."""
        try:
            models = self.models
        except TrinitasError as error:  # by words everybody is found all the same
            logger.warning("searching as if nobody had a model of their own: %s", error)
            models = Models(lambda: self.embedder, Naming(self.model))
        return Tiers(self.hot, self.archive, self.vectors, self.fulltext, models)

    @built
    def spool(self) -> Spool:
        """What clients of this machine wrote while Redis was away."""
        return SqliteSpool(
            self.settings.spool_file(), target=self.settings.deployment(), limit_mb=self.settings.spool_limit_mb
        )

    @built
    def embedder(self) -> Embedder:
        """The usual embedding model: several seconds, 500 MB."""
        return self._loaded(self.usual)

    def _loaded(self, chosen: Chosen) -> Embedder:
        # the lifecycle worker must never load torch
        from trinitas_tasks.embedding.sentence_transformer import (  # noqa: PLC0415
            SentenceTransformerEmbedder,
        )

        return SentenceTransformerEmbedder(chosen.model, sha256=chosen.sha256, threads=self.embedding_threads)

    @built
    def personas(self) -> Defined:
        """What is defined of personas."""
        return Defined(self._definitions)

    def _definitions(self) -> Mapping[str, Persona]:
        try:
            return self.archive.defined()
        except TrinitasError:  # a search goes on without the archive, by what the clients read
            if (roster := self.hot.roster()) is None:
                raise
            return roster.defined

    def rules_of(self, persona: str) -> Rules:
        """By which rules a persona's memories live. Raises: Unavailable, ArchiveError."""
        return self.settings.rules_of(persona, self.personas.of(persona).rules)

    def stays_of(self, persona: str) -> Mapping[MemoryType, Stay]:
        """How long a persona's archived memories of each type stay hot. Raises: Unavailable, ArchiveError."""
        settings = self.settings
        routing = {**settings.routing, **self.personas.of(persona).routing}
        return {
            kind: Stay(settings.hot_seconds(kind, tier), slides=tier == "chromadb") for kind, tier in routing.items()
        }

    def close(self) -> None:
        """Give the connections of what was built back."""
        for name in ("hot", "archive", "vectors", "lexical", "spool"):
            tier = self.__dict__.pop(name, None)
            if tier is not None:
                tier.close()
