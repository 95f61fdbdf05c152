"""From records to rows for the archive: their texts cut into parts and embedded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from trinitas_tasks.embedding.interface import Embedder
from trinitas_tasks.embedding.models import Models
from trinitas_tasks.errors import ModelError
from trinitas_tasks.model import Record
from trinitas_tasks.policy.text import embedding_text, index_terms
from trinitas_tasks.tiers.archive.interface import Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

ENCODED = 1000
"""About how many texts are encoded at a time: a batch of long memories falls into many thousands."""

Refused = Callable[[Record, ModelError], None]
"""Told of each record that the model cannot embed."""

_Split = tuple[Record, list[str]]
"""A record and its texts, at least one."""


def embedded(records: Sequence[Record], models: Models, refused: Refused) -> list[Row]:
    """All of them as rows, but for those that their model refuses; those of one model are encoded together. Where a
    persona's own model cannot be loaded its rows are without vectors. Raises: ModelError: the usual one cannot be."""
    by_model: dict[str, list[Record]] = {}
    for record in records:
        by_model.setdefault(models.naming.of(record.item.persona), []).append(record)
    return [row for name, some in by_model.items() for row in _of_model(name, some, models, refused)]


def _of_model(name: str, records: Sequence[Record], models: Models, refused: Refused) -> list[Row]:
    persona = records[0].item.persona
    try:
        embedder = models.of(persona)
    except ModelError as error:
        if name == models.naming.usual:
            raise
        import numpy as np  # noqa: PLC0415 - a client has none

        logger.error("%d memories, of %s or more, have no vectors for now: %s", len(records), persona, error)
        nothing = np.empty((0, 0), np.float32)
        return [Row(record, nothing, name, index_terms(record.item)) for record in records]
    return _rows(records, embedder, refused)


def _rows(records: Sequence[Record], embedder: Embedder, refused: Refused) -> list[Row]:
    split: list[_Split] = []
    for record in records:
        try:
            prefix, body = embedding_text(record.item)
            split.append((record, embedder.split(body, prefix=prefix)))
        except ModelError as error:
            refused(record, error)
    return [
        Row(record, made, embedder.name, index_terms(record.item))
        for some in _slices(split)
        for record, made in _encoded(some, embedder, refused)
    ]


def _slices(split: Sequence[_Split]) -> Iterator[list[_Split]]:
    """About `ENCODED` texts at a time; those of one record together."""
    some: list[_Split] = []
    texts = 0
    for each in split:
        if some and texts + len(each[1]) > ENCODED:
            yield some
            some, texts = [], 0
        some.append(each)
        texts += len(each[1])
    if some:
        yield some


def _encoded(split: Sequence[_Split], embedder: Embedder, refused: Refused) -> list[tuple[Record, NDArray[np.float32]]]:
    """One encode for all; if the model refuses, halve until the record that it refuses stands alone."""
    try:
        made = embedder.encode([text for _, texts in split for text in texts])
    except ModelError as error:
        if len(split) == 1:
            refused(split[0][0], error)
            return []
        middle = len(split) // 2
        return _encoded(split[:middle], embedder, refused) + _encoded(split[middle:], embedder, refused)
    ends = list(accumulate(len(texts) for _, texts in split))
    return [(record, made[end - len(texts) : end]) for (record, texts), end in zip(split, ends, strict=True)]
