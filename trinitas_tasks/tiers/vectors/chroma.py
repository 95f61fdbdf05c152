"""The vector tier on a Chroma server: one collection of ids and vectors for each persona and embedding model.

`chromadb.HttpClient` waits for ever, and its constructor already calls the server. So this uses the layer below
it, the library's `FastAPI` class, over an HTTP session of our own: every request there gets the time that is left
to the operation, and every answer that is not one becomes one of our errors.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import httpx
import numpy as np
from chromadb.api.collection_configuration import CreateCollectionConfiguration, CreateHNSWConfiguration
from chromadb.api.fastapi import FastAPI
from chromadb.api.models.Collection import Collection
from chromadb.config import Settings, System
from chromadb.errors import ChromaError, NotFoundError

from trinitas_tasks.errors import DeadlineExceeded, Unavailable
from trinitas_tasks.tiers.vectors.interface import Near

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trinitas_tasks.tiers.vectors.interface import Vectors

CHUNK: Final = 200
"""Ids in one request. A server takes 0.1 s to insert so many, but 0.7 s to overwrite them (measured on 2 cores)."""

T = TypeVar("T")


class ChromaVectors:
    """The vectors of one embedding model at a Chroma server; safe to share between threads.

    Nothing is connected before the first call. ``deadline_ms`` bounds every operation; one on more than `CHUNK` ids
    is several operations. A stopped server is found again when it is back, and so is one that lost its files.
    """

    def __init__(self, host: str, port: int, *, namespace: str, model: str, deadline_ms: int) -> None:
        self._host, self._port = host, port
        self._where = f"Chroma at {host}:{port}"
        self._namespace, self._model = namespace, model
        self._deadline_seconds = deadline_ms / 1000
        self._lock = threading.Lock()
        self._api: FastAPI | None = None
        self._collections: dict[str, Collection] = {}
        self._thread = threading.local()

    def upsert(self, persona: str, ids: Sequence[str], vectors: Vectors) -> None:
        """See VectorTier. Of an id that is given twice the last vector counts."""
        last = {id_: place for place, id_ in enumerate(ids)}
        for chunk in _chunks(list(last)):
            rows = np.asarray(vectors, dtype=np.float32)[[last[id_] for id_ in chunk]]
            self._use("upsert", persona, partial(Collection.upsert, ids=chunk, embeddings=rows), create=True)

    def query(self, persona: str, vector: NDArray[np.float32], limit: int) -> list[Near]:
        """See VectorTier."""
        asked = np.asarray(vector, dtype=np.float32)[np.newaxis]
        found = self._use(
            "query",
            persona,
            partial(Collection.query, query_embeddings=asked, n_results=limit, include=["distances"]),
        )
        if found is None or found["distances"] is None:
            return []
        near = zip(found["ids"][0], found["distances"][0], strict=True)
        return [Near(id_, max(-1.0, min(1.0, 1.0 - distance))) for id_, distance in near]

    def delete(self, persona: str, ids: Sequence[str]) -> None:
        """See VectorTier."""
        for chunk in _chunks(list(dict.fromkeys(ids))):
            self._use("delete", persona, partial(Collection.delete, ids=chunk))

    def count(self, persona: str) -> int:
        """See VectorTier."""
        return self._use("count", persona, Collection.count) or 0

    def ping(self) -> None:
        """See VectorTier."""
        with self._bounded("ping"):
            self._connected().heartbeat()

    def close(self) -> None:
        """See VectorTier."""
        with self._lock:
            if self._api is not None:
                self._api._session.close()
            self._api = None
            self._collections.clear()

    def _use(self, what: str, persona: str, call: Callable[[Collection], T], *, create: bool = False) -> T | None:
        """The call's result, or None where the persona has no collection."""
        with self._bounded(what):
            for _ in range(2):
                collection = self._collection(persona, create=create)
                if collection is None:
                    return None
                try:
                    return call(collection)
                except NotFoundError:  # the server lost it: look again
                    self._collections.pop(persona, None)
        raise Unavailable(f"{self._where} failed to {what}: it loses the collection of {persona} again and again")

    def _collection(self, persona: str, *, create: bool) -> Collection | None:
        known = self._collections.get(persona)
        if known is not None:
            return known
        api = self._connected()
        name = collection_name(self._namespace, persona, self._model)
        try:
            model = (
                api.get_or_create_collection(
                    name,
                    configuration=CreateCollectionConfiguration(hnsw=CreateHNSWConfiguration(space="cosine")),
                )
                if create
                else api.get_collection(name)
            )
        except NotFoundError:
            return None
        collection: Collection = Collection(client=api, model=model, embedding_function=None)
        return self._collections.setdefault(persona, collection)

    def _connected(self) -> FastAPI:
        with self._lock:
            if self._api is None:
                self._api = self._build()
            return self._api

    def _build(self) -> FastAPI:
        """The library's API without a word to the server."""
        settings = Settings(
            _env_file=None,
            chroma_api_impl="chromadb.api.fastapi.FastAPI",
            chroma_server_host=self._host,
            chroma_server_http_port=self._port,
            anonymized_telemetry=False,
        )
        api = System(settings).instance(FastAPI)
        theirs, api._session = (
            api._session,
            httpx.Client(
                headers=api._session.headers,
                limits=api.http_limits,
                trust_env=False,  # no proxy stands between us and a server on loopback
                event_hooks={"request": [self._limit], "response": [self._judge]},
            ),
        )
        theirs.close()
        return api

    @contextmanager
    def _bounded(self, what: str) -> Iterator[None]:
        """Give the block the deadline, and its errors our names."""
        failed = f"{self._where} failed to {what}"
        self._thread.ends = time.monotonic() + self._deadline_seconds
        try:
            yield
        except httpx.TimeoutException as error:
            within = f"within {self._deadline_seconds:g} s"
            raise DeadlineExceeded(f"{failed}: no answer {within}; is the server busy or stopped?") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"{failed}: {error}; does the server run?") from error
        except (ChromaError, ValueError, LookupError, TypeError) as error:  # refused, or not an answer of Chroma's
            raise Unavailable(f"{failed}: {error}") from error

    def _limit(self, request: httpx.Request) -> None:
        """Let the request take the time that is left."""
        left = self._thread.ends - time.monotonic()
        if left <= 0:
            raise httpx.ReadTimeout("the deadline has passed", request=request)
        request.extensions["timeout"] = httpx.Timeout(left).as_dict()

    def _judge(self, response: httpx.Response) -> None:
        """Raise for an error here, because the library raises a bare Exception for some."""
        if response.is_success:
            return
        said = response.read().decode(errors="replace")
        if response.status_code == httpx.codes.NOT_FOUND and "NotFoundError" in said:
            raise NotFoundError(said)
        raise Unavailable(f"{self._where} answered {response.status_code}: {said[:200]}")


def collection_name(namespace: str, persona: str, model: str) -> str:
    """The name of a collection: to be read by people, and by its hash different for every three of these."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", model)[-48:].strip("-")
    digest = hashlib.sha256("\0".join((namespace, persona, model)).encode()).hexdigest()[:12]
    return f"{namespace}.{persona}.{slug or 'model'}.{digest}"


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))
