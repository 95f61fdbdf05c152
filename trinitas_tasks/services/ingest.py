"""From the outbox to the archive and the vector tier."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from trinitas_tasks.embedding.interface import Embedder
from trinitas_tasks.errors import InvalidMemory, ModelError, Unavailable
from trinitas_tasks.model import Key, MemoryItem, MemoryType, Record
from trinitas_tasks.policy.text import embedding_text, index_terms
from trinitas_tasks.policy.ttl import hot_seconds
from trinitas_tasks.tiers.archive.interface import Archive, DeadLetter, Row
from trinitas_tasks.tiers.hot.interface import Claimed, Finished, HotTier
from trinitas_tasks.tiers.vectors.interface import VectorTier

logger = logging.getLogger(__name__)

DEAD_SECONDS = 86_400
"""How long a record that cannot be archived stays readable in the hot tier."""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one batch came to, in memories. ``degraded``: why the vector tier took none."""

    claimed: int = 0
    archived: int = 0
    indexed: int = 0
    superseded: int = 0
    dead: int = 0
    degraded: tuple[str, ...] = ()

    def __add__(self, other: IngestReport) -> IngestReport:
        return IngestReport(
            self.claimed + other.claimed,
            self.archived + other.archived,
            self.indexed + other.indexed,
            self.superseded + other.superseded,
            self.dead + other.dead,
            tuple(dict.fromkeys(self.degraded + other.degraded)),
        )


@dataclass(slots=True)
class _Batch:
    rows: list[Row] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)


def ingest(
    *,
    hot: HotTier,
    archive: Archive,
    vectors: VectorTier,
    embedder: Embedder,
    seconds_by_type: Mapping[MemoryType, int],
    limit: int,
    lease_seconds: int,
    now: datetime,
) -> IngestReport:
    """Archive and index what is due, at most ``limit`` memories.

    A crash at any point leaves the batch to be claimed again when its lease runs out; all steps may be repeated.
    Raises: Unavailable when the hot tier or the archive cannot be reached; the batch then stays where it is.
    """
    claimed = hot.claim(limit, lease_seconds)
    if not claimed:
        return IngestReport()
    batch = _prepared(claimed, embedder, now)
    stored = archive.store(batch.rows) if batch.rows else []
    current = [row for row, is_current in zip(batch.rows, stored, strict=True) if is_current]
    if batch.letters:
        archive.bury_dead(batch.letters)
    indexed, degraded = _index(current, vectors, archive)
    done = [_finished(row.record, hot_seconds(row.record.item, seconds_by_type)) for row in batch.rows]
    done += [Finished(letter.key, letter.version, DEAD_SECONDS) for letter in batch.letters]
    settled = hot.finish(done)
    return IngestReport(
        claimed=len(claimed),
        archived=len(current),
        indexed=indexed,
        superseded=len(settled) - sum(settled),
        dead=len(batch.letters),
        degraded=degraded,
    )


def index_missing(*, hot: HotTier, archive: Archive, vectors: VectorTier, model: str, limit: int) -> int:
    """Index what was archived while the vector tier was away, at most ``limit`` memories; how many.

    Raises: Unavailable.
    """
    missing = archive.unindexed(model, limit)
    for persona, group in groupby(sorted(missing, key=lambda each: each.key), key=lambda each: each.key.persona):
        mine = list(group)
        ids = [each.key.id for each in mine]
        vectors.upsert(persona, ids, [each.vector for each in mine])
        _take_back(persona, ids, vectors, archive)
        archive.mark_indexed([(each.key, each.version) for each in mine])
        hot.changed([persona])
    return len(missing)


def _prepared(claimed: Sequence[Claimed], embedder: Embedder, now: datetime) -> _Batch:
    batch = _Batch()
    records = []
    for each in claimed:
        try:
            item = MemoryItem.from_json(each.body)
            if (item.persona, item.id) != each.key:
                raise InvalidMemory(f"the record calls itself {item.persona}:{item.id}")
            records.append((each, Record(item, each.version)))
        except InvalidMemory as error:
            batch.letters.append(_letter(each, error, now))
    _embed(records, embedder, now, batch)
    return batch


def _embed(records: Sequence[tuple[Claimed, Record]], embedder: Embedder, now: datetime, batch: _Batch) -> None:
    """One encode for all of them; if the model refuses, halve until the record that it refuses stands alone."""
    if not records:
        return
    try:
        made = embedder.encode([embedding_text(record.item) for _, record in records])
    except ModelError as error:
        if len(records) == 1:
            batch.letters.append(_letter(records[0][0], error, now))
            return
        middle = len(records) // 2
        _embed(records[:middle], embedder, now, batch)
        _embed(records[middle:], embedder, now, batch)
    else:
        batch.rows += (
            Row(record, vector, embedder.name, index_terms(record.item))
            for (_, record), vector in zip(records, made, strict=True)
        )


def _letter(claimed: Claimed, error: Exception, now: datetime) -> DeadLetter:
    logger.error("%s:%s goes to the dead letters: %s", *claimed.key, error)
    return DeadLetter(claimed.key, claimed.version, claimed.body, str(error), now)


def _index(rows: Sequence[Row], vectors: VectorTier, archive: Archive) -> tuple[int, tuple[str, ...]]:
    indexed: list[tuple[Key, int]] = []
    degraded: dict[str, None] = {}
    ordered = sorted(rows, key=lambda row: row.record.item.persona)
    for persona, group in groupby(ordered, key=lambda row: row.record.item.persona):
        mine = list(group)
        ids = [row.record.item.id for row in mine]
        try:
            vectors.upsert(persona, ids, [row.vector for row in mine])
        except Unavailable as error:  # archived all the same: index_missing comes back to it
            logger.warning("%d memories of %s are not indexed yet: %s", len(mine), persona, error)
            degraded[f"chroma: {error}"] = None
        else:
            _take_back(persona, ids, vectors, archive)
            indexed += ((Key(persona, row.record.item.id), row.record.version) for row in mine)
    if indexed:
        archive.mark_indexed(indexed)
    return len(indexed), tuple(degraded)


def _take_back(persona: str, ids: Sequence[str], vectors: VectorTier, archive: Archive) -> None:
    """Take out again what was forgotten meanwhile: its burial may have come before its vector."""
    gone = [each for each, kind in zip(ids, archive.types_of(persona, ids), strict=True) if kind is None]
    if gone:
        vectors.delete(persona, gone)


def _finished(record: Record, seconds: int) -> Finished:
    return Finished(Key(record.item.persona, record.item.id), record.version, seconds)
