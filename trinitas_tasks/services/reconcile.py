"""Comparing the tiers by id and version, slice by slice, and mending what differs.

The archive is the truth, except for what the hot tier has and has not archived yet. What is on its way (queued,
or marked as not indexed) is no difference.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.services import granting
from trinitas_tasks.services.spaces import Spaces
from trinitas_tasks.tiers.archive.interface import Archive, Listed
from trinitas_tasks.tiers.hot.interface import Finished, HotTier, Standing
from trinitas_tasks.tiers.vectors.interface import Torn, VectorTier

logger = logging.getLogger(__name__)

PHASES: Final = ("archive", "hot", "vectors")
SAMPLE: Final = 20
"""Of so many memories of a persona and step the vectors themselves are compared: an index can lose them unnoticed."""
LETTERS: Final = 10_000

UNQUEUED: Final = "in Redis only, and not queued"
NEWER: Final = "newer in Redis, and not queued"
OLDER: Final = "an older copy in Redis"
FORGOTTEN: Final = "forgotten in Redis, but still in the archive"
UNKNOWN: Final = "a copy in Redis of what the archive does not have"
UNEMBEDDED: Final = "no vector of this model in the archive"
UNINDEXED: Final = "missing in Chroma, or there in another version or number of parts, or though it is cold"
ORPHAN: Final = "in Chroma, but not in the archive"
TORN: Final = "Chroma cannot read its files of this persona"


class Cursor(NamedTuple):
    """Where a comparison goes on: the phase, and a place in it; ``persona`` counts in the phase of the vectors."""

    phase: str = PHASES[0]
    place: int = 0
    persona: str = ""


class Difference(NamedTuple):
    """What differs about one memory; of a torn space of vectors the id is empty."""

    kind: str
    key: Key
    version: int


@dataclass(frozen=True, slots=True)
class Slice:
    """What one step of a comparison found; ``cursor`` None: that was the last. ``skipped``: tiers that were away."""

    cursor: Cursor | None
    examined: int
    differences: tuple[Difference, ...] = ()
    skipped: tuple[str, ...] = ()

    def mended(self) -> Cursor:
        """Where to go on, or begin again, when the differences are mended: what stood behind orphans has moved up.

        Behind those in parts it has moved further: what is missed there, the next comparison finds.
        """
        if self.cursor is None:
            return Cursor()
        orphans = sum(each.kind == ORPHAN and each.key.persona == self.cursor.persona for each in self.differences)
        return self.cursor._replace(place=self.cursor.place - orphans)


def compare(cursor: Cursor, *, hot: HotTier, archive: Archive, spaces: Spaces, limit: int) -> Slice:
    """Compare the next ``limit`` memories. A difference is told only if it is still there at a second look.

    Raises: Unavailable where the hot tier or the archive is away.
    """
    found = _look(cursor, hot, archive, spaces, limit)
    if not found.differences:
        return found
    again = _look(cursor, hot, archive, spaces, limit)
    lasting = set(again.differences)
    return Slice(
        found.cursor, found.examined, tuple(each for each in found.differences if each in lasting), found.skipped
    )


def mend(differences: Iterable[Difference], *, hot: HotTier, archive: Archive, spaces: Spaces) -> int:
    """Mend what can be mended at once; how many. Vectors that are missing or torn are only told to be put back.

    Every repair names the version that it is about, so one that comes too late does nothing.
    Raises: Unavailable.
    """
    mended = 0
    by_kind: dict[str, list[Difference]] = {}
    for each in differences:
        by_kind.setdefault(each.kind, []).append(each)
    for kind, some in by_kind.items():
        versions = [(each.key, each.version) for each in some]
        if kind in (UNQUEUED, NEWER, FORGOTTEN, UNKNOWN):
            hot.requeue(versions)
        elif kind == OLDER:
            hot.finish([Finished(key, version, 0) for key, version in versions])
        elif kind == UNINDEXED:
            _mark_unindexed(versions, archive, spaces.naming)
        elif kind == ORPHAN:
            _delete_orphans(some, archive, spaces)
        elif kind == granting.LOST:
            granting.restore([each.key for each in some], hot=hot, archive=archive)
        elif kind == granting.UNARCHIVED:
            hot.requeue_grants([each.key for each in some])
        else:
            continue
        mended += len(some)
        logger.warning("mended %d: %s, such as %s", len(some), kind, ":".join(some[0].key))
    return mended


def _mark_unindexed(versions: Iterable[tuple[Key, int]], archive: Archive, naming: Naming) -> None:
    by_model: dict[str, list[tuple[Key, int]]] = {}
    for key, version in versions:
        by_model.setdefault(naming.of(key.persona), []).append((key, version))
    for model, some in by_model.items():
        archive.mark_unindexed(some, model)


def _delete_orphans(orphans: Sequence[Difference], archive: Archive, spaces: Spaces) -> None:
    for persona, ids in _by_persona(each.key for each in orphans).items():
        still = [each for each, found in zip(ids, archive.versions(persona, ids), strict=True) if found is None]
        spaces.of(persona).delete(persona, still)


def _look(cursor: Cursor, hot: HotTier, archive: Archive, spaces: Spaces, limit: int) -> Slice:
    match cursor.phase:
        case "archive":
            return _from_archive(cursor, archive, hot, spaces, limit)
        case "hot":
            return _from_hot(cursor, archive, hot, spaces, limit)
        case _:
            return _from_vectors(cursor, archive, spaces, limit)


def _from_archive(cursor: Cursor, archive: Archive, hot: HotTier, spaces: Spaces, limit: int) -> Slice:
    rows = archive.listed(cursor.place, limit, spaces.naming)
    if not rows:
        return Slice(Cursor("hot"), 0)
    found = [Difference(UNEMBEDDED, row.key, row.version) for row in rows if not row.embedded]
    standings = hot.standings([row.key for row in rows])
    for row, standing in zip(rows, standings, strict=True):
        if standing is not None and standing.copy and not standing.gone and standing.version < row.version:
            found.append(Difference(OLDER, row.key, standing.version))
    grants = granting.compare([row.key for row in rows], hot=hot, archive=archive)
    found += [Difference(*each) for each in grants]
    skipped: dict[str, None] = {}
    for persona, group in groupby(sorted(rows, key=lambda row: row.key), key=lambda row: row.key.persona):
        try:
            found += _unindexed(persona, [row for row in group if row.indexed], archive, spaces)
        except Unavailable as error:
            found += _torn(persona, error, skipped)
    return Slice(Cursor("archive", rows[-1].seq), len(rows), tuple(found), tuple(skipped))


def _torn(persona: str, error: Unavailable, skipped: dict[str, None]) -> list[Difference]:
    """Where a persona's vectors are torn a rebuild helps; where nobody answers they are skipped."""
    if isinstance(error, Torn) and not error.whole:
        logger.warning("%s: %s", persona, error)
        return [Difference(TORN, Key(persona, ""), 0)]
    skipped[f"chroma: {error}"] = None
    return []


def _unindexed(persona: str, rows: Sequence[Listed], archive: Archive, spaces: Spaces) -> list[Difference]:
    """Raises: Torn where the vectors of some that are there are not the archive's."""
    if not rows:
        return []
    ids, vectors = [row.key.id for row in rows], spaces.of(persona)
    known = zip(rows, vectors.versions(persona, ids), vectors.parts(persona, ids), strict=True)
    wrong = [row for row, *found in known if found != ([None, 0] if row.cold else [row.version, row.parts])]
    there = [row.key.id for row in set(rows) - set(wrong) if not row.cold]
    sample = random.sample(there, min(SAMPLE, len(there)))
    expected = zip(sample, archive.vectors(persona, sample, spaces.naming.of(persona)), strict=True)
    kept = {each: its for each, its in expected if its is not None}
    if kept:
        vectors.verify(persona, list(kept), list(kept.values()))
    return [Difference(UNINDEXED, row.key, row.version) for row in wrong]


def _from_hot(cursor: Cursor, archive: Archive, hot: HotTier, spaces: Spaces, limit: int) -> Slice:
    place, standings = hot.scan(cursor.place, limit)
    following = Cursor("hot", place) if place else Cursor("vectors")
    loose = [each for each in standings if not each.queued]
    found = [Difference(UNQUEUED, each.key, each.version) for each in loose if not each.copy and not each.gone]
    others = {each.key: each for each in loose if each.copy or each.gone}
    skipped: dict[str, None] = {}
    for persona, ids in _by_persona(others).items():
        mine = [others[Key(persona, each)] for each in ids]
        versions = archive.versions(persona, ids)
        beside = list(_beside_archive(mine, versions))
        found += _alive(persona, beside, archive) if beside else ()
        erased = [each.key for each, version in zip(mine, versions, strict=True) if each.gone and version is None]
        try:
            found += _left_behind(persona, erased, spaces.of(persona)) if erased else ()
        except Unavailable as error:
            found += _torn(persona, error, skipped)
    return Slice(following, len(standings), tuple(found), tuple(skipped))


def _left_behind(persona: str, erased: Sequence[Key], vectors: VectorTier) -> list[Difference]:
    """Vectors of what was forgotten; of a persona that the archive does not know any more nothing else finds them."""
    versions = vectors.versions(persona, [key.id for key in erased])
    return [Difference(ORPHAN, key, 0) for key, version in zip(erased, versions, strict=True) if version is not None]


def _beside_archive(standings: Sequence[Standing], archived: Sequence[int | None]) -> Iterator[Difference]:
    for each, version in zip(standings, archived, strict=True):
        if each.gone:
            if version is not None:  # also a newer one: burying the mark lets it be seen
                yield Difference(FORGOTTEN, each.key, each.version)
        elif version is None:
            yield Difference(UNKNOWN, each.key, each.version)
        elif version < each.version:
            yield Difference(NEWER, each.key, each.version)


def _alive(persona: str, found: Iterable[Difference], archive: Archive) -> list[Difference]:
    """Without the records that cannot be archived: their dead letters wait for somebody to look at them."""
    dead = {(letter.key, letter.version) for letter in archive.dead(LETTERS, persona)}
    return [each for each in found if (each.key, each.version) not in dead]


def _from_vectors(cursor: Cursor, archive: Archive, spaces: Spaces, limit: int) -> Slice:
    personas = sorted(archive.personas())
    persona = next((each for each in personas if each >= cursor.persona), None)
    if persona is None:
        return Slice(None, 0)
    after = next((each for each in personas if each > persona), None)
    following = None if after is None else Cursor("vectors", 0, after)
    place = cursor.place if persona == cursor.persona else 0
    try:
        ids = spaces.of(persona).listed(persona, place, limit)
    except Unavailable as error:
        skipped: dict[str, None] = {}
        return Slice(following, 0, tuple(_torn(persona, error, skipped)), tuple(skipped))
    known = archive.versions(persona, ids)
    orphans = [
        Difference(ORPHAN, Key(persona, each), 0)
        for each, found in dict(zip(ids, known, strict=True)).items()
        if found is None
    ]
    if ids:
        following = Cursor("vectors", place + len(ids), persona)
    return Slice(following, len(ids), tuple(orphans))


def _by_persona(keys: Iterable[Key]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(key.persona, []).append(key.id)
    return found
