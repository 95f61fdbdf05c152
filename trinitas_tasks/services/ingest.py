"""From the outbox to the archive and the vector tier."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from trinitas_tasks.embedding.models import Models
from trinitas_tasks.errors import InvalidMemory, TrinitasError, Unavailable
from trinitas_tasks.model import Key, MemoryItem, MemoryType, Record
from trinitas_tasks.policy.ttl import Stay, stay
from trinitas_tasks.services.embedding import embedded
from trinitas_tasks.services.spaces import Spaces
from trinitas_tasks.tiers.archive.interface import Archive, DeadLetter, Row
from trinitas_tasks.tiers.hot.interface import Claimed, Finished, HotTier
from trinitas_tasks.tiers.vectors.interface import VectorTier

logger = logging.getLogger(__name__)

DEAD_SECONDS = 86_400
"""How long a record that cannot be archived stays readable in the hot tier."""
AGAIN_SECONDS = 5
"""When a batch that the archive refused is due again."""
STEPS = ("claimed", "embedded", "stored", "indexed", "finished")

StaysOf = Callable[[str], Mapping[MemoryType, Stay]]
"""How long a persona's archived memories stay hot, by type."""
Step = Callable[[str], None]
"""Told after each of the STEPS; a test ends the process there."""


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
class Batch:
    """Memories that were claimed, embedded: ``rows`` are to be archived, ``letters`` are about what cannot be."""

    claimed: Sequence[Claimed]
    rows: list[Row] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)


def ingest(
    *,
    hot: HotTier,
    archive: Archive,
    spaces: Spaces,
    models: Models,
    stays_of: StaysOf,
    limit: int,
    lease_seconds: int,
    now: datetime,
    step: Step = lambda _: None,
) -> IngestReport:
    """Archive and index what is due, at most ``limit`` memories. Those of a persona whose own model cannot be loaded
    are archived without vectors, which they get when it can.

    A crash at any point leaves the batch to be claimed again when its lease runs out; all steps may be repeated.
    Raises: Unavailable when the hot tier or the archive cannot be reached, ArchiveError when its file is damaged; the
    batch is then due again soon, and what it holds has no time to live.
    """
    batch = claim(hot=hot, models=models, limit=limit, lease_seconds=lease_seconds, now=now, step=step)
    if batch is None:
        return IngestReport()
    return settle(batch, hot=hot, archive=archive, spaces=spaces, stays_of=stays_of, now=now, step=step)


def claim(
    *,
    hot: HotTier,
    models: Models,
    limit: int,
    lease_seconds: int,
    now: datetime,
    step: Step = lambda _: None,
) -> Batch | None:
    """The first half of an ingest: what is due, embedded; None for nothing. Raises: Unavailable."""
    claimed = hot.claim(limit, lease_seconds)
    if not claimed:
        return None
    step("claimed")
    batch = _prepared(claimed, models, now)
    step("embedded")
    return batch


def settle(
    batch: Batch,
    *,
    hot: HotTier,
    archive: Archive,
    spaces: Spaces,
    stays_of: StaysOf,
    now: datetime,
    step: Step = lambda _: None,
) -> IngestReport:
    """The second half: archived, indexed and finished. Raises: see ingest."""
    try:
        stored = _stored(batch, archive, now)
    except TrinitasError:
        give_back(batch, hot, AGAIN_SECONDS)
        raise
    step("stored")
    current = [row for row, standing in stored if standing == row.record.version]
    indexed, degraded = index(current, spaces, archive)
    step("indexed")
    stays = {persona: stays_of(persona) for persona in {row.record.item.persona for row, _ in stored}}
    done = [_finished(row, standing, stays[row.record.item.persona]) for row, standing in stored]
    done += [Finished(letter.key, letter.version, DEAD_SECONDS) for letter in batch.letters]
    settled = hot.finish(done)
    step("finished")
    return IngestReport(
        claimed=len(batch.claimed),
        archived=len(current),
        indexed=indexed,
        superseded=len(done) - sum(ok for each, ok in zip(done, settled, strict=True) if each.seconds),
        dead=len(batch.letters),
        degraded=degraded,
    )


def give_back(batch: Batch, hot: HotTier, seconds: float) -> None:
    """It is due again in so many seconds, unless somebody finishes it until then: a longer lease, or none."""
    hot.give_back([(each.key, each.version) for each in batch.claimed], seconds)


def index_missing(*, hot: HotTier, archive: Archive, spaces: Spaces, limit: int) -> int:
    """Index what was archived, or became active again, while the vector tier was away, and take out what became cold;
    at most ``limit`` memories; how many.

    Where it still is, they wait on. Raises: Unavailable when the hot tier or the archive cannot be reached.
    """
    missing = archive.unindexed(spaces.naming, limit)
    indexed = 0
    ordered = sorted(missing, key=lambda each: (each.key.persona, each.cold, each.key.id))
    for (persona, cold), group in groupby(ordered, key=lambda each: (each.key.persona, each.cold)):
        mine = list(group)
        ids = [each.key.id for each in mine]
        versions = [each.version for each in mine]
        model, vectors = spaces.naming.of(persona), spaces.of(persona)
        try:
            if cold:
                vectors.delete(persona, ids)
            else:
                vectors.upsert(persona, ids, [each.vectors for each in mine], versions)
        except Unavailable as error:  # of one persona perhaps, whose vectors are torn: that must not hold up the others
            logger.info("%d memories of %s are not indexed yet: %s", len(mine), persona, error)
            continue
        archive.mark_indexed(_settled(persona, ids, versions, model, vectors, archive), model, cold=cold)
        hot.changed([persona])
        indexed += len(mine)
    return indexed


def embed(keys: Sequence[Key], *, archive: Archive, models: Models) -> int:
    """Give archived memories that have none vectors of their model, if it makes them; how many. Raises: Unavailable."""
    records: list[Record] = []
    for persona, group in groupby(sorted(keys), key=lambda key: key.persona):
        records += [record for record in archive.load(persona, [key.id for key in group]) if record is not None]
    made = embedded(records, models, lambda record, error: logger.warning("%s: %s", record.item.id, error))
    rows = [row for row in made if len(row.vectors)]
    if rows:
        archive.store(rows)
    return len(rows)


def _prepared(claimed: Sequence[Claimed], models: Models, now: datetime) -> Batch:
    batch = Batch(claimed)
    records: list[Record] = []
    for each in claimed:
        try:
            item = MemoryItem.from_json(each.body)
            if (item.persona, item.id) != each.key:
                raise InvalidMemory(f"the record calls itself {item.persona}:{item.id}")
            records.append(Record(item, each.version))
        except InvalidMemory as error:
            batch.letters.append(_letter(each, error, now))
    batch.rows = embedded(
        records, models, lambda record, error: batch.letters.append(_letter(_claimed(record), error, now))
    )
    return batch


def _stored(batch: Batch, archive: Archive, now: datetime) -> list[tuple[Row, int]]:
    """The rows with the versions that the archive has now; one that no archive can hold becomes a letter."""
    stored = _halved(batch.rows, archive, batch.letters, now) if batch.rows else []
    if batch.letters:
        archive.bury_dead(batch.letters)
    return stored


def _halved(rows: Sequence[Row], archive: Archive, letters: list[DeadLetter], now: datetime) -> list[tuple[Row, int]]:
    try:
        return list(zip(rows, archive.store(rows), strict=True))
    except InvalidMemory as error:
        if len(rows) == 1:
            letters.append(_letter(_claimed(rows[0].record), error, now))
            return []
        middle = len(rows) // 2
        return _halved(rows[:middle], archive, letters, now) + _halved(rows[middle:], archive, letters, now)


def _claimed(record: Record) -> Claimed:
    item, version = record
    return Claimed(Key(item.persona, item.id), version, item.to_json())


def _letter(claimed: Claimed, error: Exception, now: datetime) -> DeadLetter:
    logger.error("%s:%s goes to the dead letters: %s", *claimed.key, error)
    return DeadLetter(claimed.key, claimed.version, claimed.body, str(error), now)


def index(rows: Sequence[Row], spaces: Spaces, archive: Archive) -> tuple[int, tuple[str, ...]]:
    """Give the vector tier the vectors of archived memories that have some; how many it took, and why it took none of
    some."""
    indexed = 0
    degraded: dict[str, None] = {}
    ordered = sorted((row for row in rows if len(row.vectors)), key=_space)
    for (persona, model), group in groupby(ordered, key=_space):
        mine, vectors = list(group), spaces.at(model)
        ids, versions = [row.record.item.id for row in mine], [row.record.version for row in mine]
        try:
            vectors.upsert(persona, ids, [row.vectors for row in mine], versions)
        except Unavailable as error:  # archived all the same: index_missing comes back to it
            logger.warning("%d memories of %s are not indexed yet: %s", len(mine), persona, error)
            degraded[f"chroma: {error}"] = None
        else:
            settled = _settled(persona, ids, versions, model, vectors, archive)
            archive.mark_indexed(settled, model)
            indexed += len(settled)
    return indexed, tuple(degraded)


def _space(row: Row) -> tuple[str, str]:
    return row.record.item.persona, row.model


def _settled(
    persona: str, ids: Sequence[str], versions: Sequence[int], model: str, vectors: VectorTier, archive: Archive
) -> list[tuple[Key, int]]:
    """Those whose vectors are the archive's now.

    What was forgotten meanwhile is taken out again, since its burial may have come before its vector; where another
    worker archived a newer version, its vector may have come before this one: it is to be indexed again.
    """
    standing = list(zip(ids, versions, archive.versions(persona, ids), strict=True))
    if gone := [each for each, _, found in standing if found is None]:
        vectors.delete(persona, gone)
    newer = [(Key(persona, each), found) for each, ours, found in standing if found is not None and found != ours]
    if newer:
        archive.mark_unindexed(newer, model)
    return [(Key(persona, each), ours) for each, ours, found in standing if found == ours]


def _finished(row: Row, standing: int, stays: Mapping[MemoryType, Stay]) -> Finished:
    """With a time to live; what the archive has in a newer version goes at once."""
    item, version = row.record
    seconds, slides = stay(item, stays) if standing == version else Stay(0)
    return Finished(Key(item.persona, item.id), version, seconds, slides)
