"""The Chroma folder of a store of version 3.5, read from a copy: opening one may change its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from chromadb import PersistentClient
from chromadb.api import ClientAPI
from chromadb.config import Settings
from chromadb.errors import ChromaError

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import MemoryType
from trinitas_tasks.tiers.legacy.database import copied
from trinitas_tasks.tiers.legacy.layout import Part

COLLECTIONS: Final = {f"memory_{kind.value}": kind for kind in MemoryType}


class Document(NamedTuple):
    """A memory as a collection has it."""

    id: str
    text: str | None
    metadata: Mapping[str, Any]
    kind: MemoryType
    collection: str


def documents(part: Part, work: Path, after: int, limit: int) -> list[Document]:
    """The documents of all collections of memories, from the one of this number (from 0) on. Raises: Unavailable."""
    path = copied(part, work)
    try:
        client = PersistentClient(path=str(path), settings=Settings(anonymized_telemetry=False))
        return _documents(client, after, limit)
    # a torn folder makes Chroma raise whatever it meets, panics of its Rust core among it
    except (ChromaError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise Unavailable(f"Chroma cannot read it: {error}") from error


def _documents(client: ClientAPI, after: int, limit: int) -> list[Document]:
    found: list[Document] = []
    names = {each.name for each in client.list_collections()}
    for name, kind in COLLECTIONS.items():
        if name not in names:
            continue
        collection = client.get_collection(name, embedding_function=None)
        count = collection.count()
        if after < count:
            some = collection.get(limit=limit - len(found), offset=after, include=["documents", "metadatas"])
            texts, labels = some["documents"] or [], some["metadatas"] or []
            for id_, text, metadata in zip(some["ids"], texts, labels, strict=True):
                found.append(Document(id_, text, metadata or {}, kind, name))
        after = max(0, after - count)
        if len(found) == limit:
            break
    return found
