"""Which collection of a Chroma server holds the vectors of a persona, and which one is being filled."""

from __future__ import annotations

import hashlib
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from chromadb.api.collection_configuration import CreateCollectionConfiguration, CreateHNSWConfiguration
from chromadb.api.models.Collection import Collection
from chromadb.errors import NotFoundError

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.tiers.vectors.interface import Torn

if TYPE_CHECKING:
    from uuid import UUID

    from chromadb.types import Collection as Model

    from trinitas_tasks.tiers.vectors.connection import Connection

KNOWN_SECONDS: Final = 10
"""How long a collection is asked without looking whether it is still the one that answers."""

RANK: Final = "rank"


EF_SEARCH: Final = 400
"""How many candidates a search of the index keeps. Of 100,000 clustered vectors recall@10 was 0.958 with Chroma's own
100, 0.998 with 400, for 0.7 ms more. It counts from when a collection is made: later changes had no effect."""


class Space(Protocol):
    """Finds a persona's collection."""

    def at(self, persona: str, *, create: bool) -> Collection | None:
        """The collection; None where there is none and none is to be made."""

    def forget(self, persona: str) -> None:
        """Look it up again next time."""

    def clear(self, persona: str) -> None:
        """Take its vectors away."""


class Found(NamedTuple):
    """A persona's collections: the one that answers, and leftovers or one that is being filled."""

    live: Model | None
    others: tuple[Model, ...]


class Collections:
    """The collections of one namespace and model: at most two a persona, by two names, and the higher rank answers.

    A collection's rank is in its metadata; one that is being filled has rank 0. So to promote is one request that
    sets a rank, and there is no moment without an answer, as there is between two renames. The replaced one is
    deleted afterwards: by name, which needs none of its index files, so torn ones go as well. Whoever still knows its
    id is told that it is gone, and looks again. If it stays (the caller was killed) it only takes room: the next
    rebuild deletes it.
    """

    def __init__(self, connection: Connection, namespace: str, model: str) -> None:
        self._connection = connection
        self._namespace, self._model = namespace, model

    def find(self, persona: str) -> Found:
        """Look at both names, and once more at the first: the other may have been promoted and this one deleted."""
        first, second = self._names(persona)
        seen: dict[str, Model | None] = {}
        for name in (first, second, first):
            seen[name] = self._get(name)
            if name == second and any(each is not None and rank_of(each) for each in seen.values()):
                break
        here = sorted((each for each in seen.values() if each is not None), key=rank_of)
        live = here.pop() if here and rank_of(here[-1]) else None
        return Found(live, tuple(here))

    def create(self, persona: str, *, rank: int, beside: Model | None = None) -> Collection:
        """A collection of this rank, under the name that ``beside`` does not have."""
        first, second = self._names(persona)
        model = self._connection.api.get_or_create_collection(
            second if rank == 0 and (beside is None or beside.name == first) else first,
            metadata={RANK: rank},
            configuration=CreateCollectionConfiguration(
                hnsw=CreateHNSWConfiguration(space="cosine", ef_search=EF_SEARCH)
            ),
        )
        return self.opened(model)

    def opened(self, model: Model) -> Collection:
        """The library's object for it."""
        return Collection(client=self._connection.api, model=model, embedding_function=None)

    def set_rank(self, id_: UUID, rank: int) -> None:
        """Raises: NotFoundError."""
        self._connection.api._modify(id_, new_metadata={RANK: rank})

    def delete(self, model: Model) -> None:
        """Delete it if it is there."""
        with self._connection.patient(), suppress(NotFoundError):
            self._connection.api.delete_collection(model.name)

    def drop(self, persona: str) -> None:
        """Delete all that there are."""
        found = self.find(persona)
        for model in (*found.others, found.live):
            if model is not None:
                self.delete(model)

    def _get(self, name: str) -> Model | None:
        try:
            return self._connection.api.get_collection(name)
        except NotFoundError:
            return None

    def _names(self, persona: str) -> tuple[str, str]:
        name = collection_name(self._namespace, persona, self._model)
        return name, f"{name}.b"


class Live:
    """The spaces that answer."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections
        self._known: dict[str, tuple[Collection, float]] = {}

    def at(self, persona: str, *, create: bool) -> Collection | None:
        """See Space. Raises: Torn where none answers and one is being filled."""
        collection, until = self._known.get(persona, (None, 0.0))
        if collection is not None and time.monotonic() < until:
            return collection
        found = self._collections.find(persona)
        if found.live is not None:
            collection = self._collections.opened(found.live)
        elif found.others:
            raise Torn(f"the vectors of {persona} are being rebuilt, or a rebuild of them was broken off")
        elif not create:
            return None
        else:
            collection = self._collections.create(persona, rank=1)
        self._known[persona] = collection, time.monotonic() + KNOWN_SECONDS
        return collection

    def forget(self, persona: str) -> None:
        """See Space."""
        self._known.pop(persona, None)

    def clear(self, persona: str) -> None:
        """See Space."""
        self.forget(persona)
        found = self._collections.find(persona)
        for model in (*found.others, found.live):
            if model is not None and rank_of(model):
                self._collections.delete(model)

    def close(self) -> None:
        """Forget all."""
        self._known.clear()


class Spare:
    """The spaces being filled by this process: held by id, so what another rebuild made is never mistaken for them."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections
        self._filling: dict[str, Collection] = {}

    def at(self, persona: str, *, create: bool) -> Collection:  # noqa: ARG002 - clear() does
        """See Space; only `clear` makes one. Raises: Unavailable."""
        if persona not in self._filling:
            raise Unavailable(f"no spare space of {persona}: clear() makes one; another rebuild may have taken it")
        return self._filling[persona]

    def forget(self, persona: str) -> None:
        """See Space."""
        self._filling.pop(persona, None)

    def clear(self, persona: str) -> None:
        """See Space. Deletes leftovers as well, and makes the collection to be filled."""
        self.forget(persona)
        found = self._collections.find(persona)
        for model in found.others:
            self._collections.delete(model)
        self._filling[persona] = self._collections.create(persona, rank=0, beside=found.live)

    def promote(self, persona: str) -> None:
        """Let it answer. Raises: Unavailable."""
        collection = self.at(persona, create=False)
        live = self._collections.find(persona).live
        self.forget(persona)
        # above the 1 of a collection that an upsert makes at this moment
        self._collections.set_rank(collection.id, 1 + (rank_of(live) if live else 1))

    def sweep(self, persona: str) -> None:
        """Delete what was replaced."""
        for model in self._collections.find(persona).others:
            if rank_of(model):
                self._collections.delete(model)


def rank_of(model: Model) -> int:
    """Of two collections the higher answers; 0: it is being filled."""
    return int((model.metadata or {}).get(RANK, 1) or 0)


def collection_name(namespace: str, persona: str, model: str) -> str:
    """The name of a collection: to be read by people, and by its hash different for every three of these."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", model)[-48:].strip("-")
    digest = hashlib.sha256("\0".join((namespace, persona, model)).encode()).hexdigest()[:12]
    return f"{namespace}.{persona}.{slug or 'model'}.{digest}"
