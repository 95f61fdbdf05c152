"""Filling the vector tier anew from the archive, while searches go on."""

from __future__ import annotations

from itertools import groupby

from trinitas_tasks.services.spaces import Spaces
from trinitas_tasks.tiers.archive.interface import Archive


def rebuild(
    personas: list[str],
    after: int,
    *,
    archive: Archive,
    spaces: Spaces,
    limit: int,
    torn: bool = False,
) -> int | None:
    """Copy the next ``limit`` archived vectors of these personas, from ``after`` (0: begin), into spare spaces.

    Returns where to go on, None when the spare spaces have replaced those that answered. What changed in the
    meantime is found by the next comparison. Broken off, it is begun anew: the spare spaces are emptied first.
    ``torn``: what answers now is taken away first, since asking it may end the server. Raises: Unavailable.
    """
    if after == 0:
        for persona in personas:
            spaces.of(persona).spare().clear(persona)
            if torn:
                spaces.of(persona).clear(persona)
    rows = archive.listed(after, limit, spaces.naming)
    wanted = set(personas)
    mine = sorted(
        (row for row in rows if row.embedded and not row.cold and row.key.persona in wanted), key=lambda row: row.key
    )
    for persona, group in groupby(mine, key=lambda row: row.key.persona):
        some = list(group)
        found = archive.vectors(persona, [row.key.id for row in some], spaces.naming.of(persona))
        kept = [(row, its) for row, its in zip(some, found, strict=True) if its is not None]
        spaces.of(persona).spare().upsert(
            persona,
            [row.key.id for row, _ in kept],
            [its for _, its in kept],
            [row.version for row, _ in kept],
        )
    if rows:
        return rows[-1].seq
    for persona in personas:
        spaces.of(persona).promote(persona)
    return None
