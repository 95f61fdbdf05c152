"""Filling the vector tier anew from the archive, while searches go on."""

from __future__ import annotations

from itertools import groupby

from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.vectors.interface import VectorTier


def rebuild(
    personas: list[str],
    after: int,
    *,
    archive: Archive,
    vectors: VectorTier,
    model: str,
    limit: int,
    torn: bool = False,
) -> int | None:
    """Copy the next ``limit`` archived vectors of these personas, from ``after`` (0: begin), into spare spaces.

    Returns where to go on, None when the spare spaces have replaced those that answered. What changed in the
    meantime is found by the next comparison. Broken off, it is begun anew: the spare spaces are emptied first.
    ``torn``: what answers now is taken away first, since asking it may end the server. Raises: Unavailable.
    """
    spare = vectors.spare()
    if after == 0:
        for persona in personas:
            spare.clear(persona)
            if torn:
                vectors.clear(persona)
    rows = archive.listed(after, limit, model)
    wanted = set(personas)
    mine = sorted(
        (row for row in rows if row.embedded and not row.cold and row.key.persona in wanted), key=lambda row: row.key
    )
    for persona, group in groupby(mine, key=lambda row: row.key.persona):
        some = list(group)
        found = archive.vectors(persona, [row.key.id for row in some], model)
        kept = [(row, its) for row, its in zip(some, found, strict=True) if its is not None]
        spare.upsert(
            persona,
            [row.key.id for row, _ in kept],
            [its for _, its in kept],
            [row.version for row, _ in kept],
        )
    if rows:
        return rows[-1].seq
    for persona in personas:
        vectors.promote(persona)
    return None
