"""How the parts of a memory are kept in a Chroma collection.

The first one stands under the memory's id, as the only one of a short memory does; part n under ``id#n``, which no
memory can be called, with a mark that tells of which memory it is one. How many there are is not written down: two
workers that store two versions at a time would leave one's number with the other's parts. What is there is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from chromadb.api.types import Metadata, Where

CHUNK: Final = 200
"""Vectors in one request. A server takes 0.1 s to insert so many, but 0.7 s to overwrite them (measured on 2 cores)."""

MARK: Final = "#"
OF, PART, VERSION = "of", "part", "version"
BESIDE: Final[Where] = {PART: {"$gte": 1}}  # type: ignore[dict-item] # mypy widens the operator to str
"""What stands beside the first parts."""

T = TypeVar("T")


class Whole(NamedTuple):
    """A memory with all its vectors, float32, (parts, dim)."""

    id: str
    vectors: NDArray[np.float32]
    version: int = 0

    def ids(self) -> list[str]:
        """Those under which its parts are kept."""
        return [part_id(self.id, part) for part in range(len(self.vectors))]

    def marks(self) -> list[Metadata]:
        """What is kept with each part."""
        marks: list[Metadata] = [{VERSION: self.version}]
        marks += ({OF: self.id, PART: part} for part in range(1, len(self.vectors)))
        return marks


def wholes(ids: Sequence[str], vectors: Iterable[Any], versions: Iterable[int]) -> list[Whole]:
    """The memories; of an id that is given twice the last counts. A vector alone, (dim,), is the only part."""
    each = zip(ids, vectors, versions, strict=True)
    return list({id_: Whole(id_, parts_of(some), version) for id_, some, version in each}.values())


def parts_of(vectors: Any) -> NDArray[np.float32]:
    """float32, (parts, dim)."""
    return np.atleast_2d(np.asarray(vectors, dtype=np.float32))


def part_id(id_: str, part: int) -> str:
    """Under which id a part of a memory is kept."""
    return f"{id_}{MARK}{part}" if part else id_


def owner(stored: str) -> str:
    """The memory's id."""
    return stored.partition(MARK)[0]


def part(stored: str) -> int:
    """Which part of its memory it is."""
    return int(stored.partition(MARK)[2] or 0)


def beside(ids: Sequence[str]) -> Where:
    """The parts of these memories but the first."""
    return {OF: {"$in": list(ids)}}  # type: ignore[dict-item] # as above


def best_of_each(ids: Iterable[str], distances: Iterable[float]) -> Mapping[str, float]:
    """Each memory with its first distance, of an answer that is in order."""
    best: dict[str, float] = {}
    for stored, distance in zip(ids, distances, strict=True):
        best.setdefault(owner(stored), distance)
    return best


def requests(memories: Sequence[Whole]) -> Iterator[list[Whole]]:
    """At most `CHUNK` vectors at a time, where no memory alone has more; all of a memory in one request, which the
    server stores wholly or not at all."""
    some: list[Whole] = []
    size = 0
    for each in memories:
        if some and size + len(each.vectors) > CHUNK:
            yield some
            some, size = [], 0
        some.append(each)
        size += len(each.vectors)
    if some:
        yield some


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """At most `CHUNK` at a time."""
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))
