"""Deleting what was forgotten from the tiers below the hot one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import groupby

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key
from trinitas_tasks.services.spaces import Spaces
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.hot.interface import Grave, HotTier

logger = logging.getLogger(__name__)


def bury(*, hot: HotTier, archive: Archive, spaces: Spaces, limit: int, lease_seconds: int) -> int:
    """Erase forgotten memories from the archive and the vector tier, at most ``limit``; how many were due.

    The archive goes first: from then on a late vector names nothing. Where the vector tier is away the grave stays
    and is due again. Raises: Unavailable when the hot tier or the archive cannot be reached.
    """
    graves = hot.claim_graves(limit, lease_seconds)
    if graves:
        newer = archive.erase([(grave.key, grave.version) for grave in graves])
        erased = [grave for grave, standing in zip(graves, newer, strict=True) if standing is None]
        superseded = [grave for grave, standing in zip(graves, newer, strict=True) if standing is not None]
        hot.bury(list(_unindexed(erased, spaces, archive)), superseded=superseded)
    return len(graves)


def _unindexed(graves: list[Grave], spaces: Spaces, archive: Archive) -> Iterable[Grave]:
    ordered = sorted(graves, key=lambda grave: grave.key)
    left = archive.abandoned()
    for persona, group in groupby(ordered, key=lambda grave: grave.key.persona):
        mine = list(group)
        ids = [grave.key.id for grave in mine]
        try:
            spaces.of(persona).delete(persona, ids)
            for each in left:
                if each.persona == persona:
                    spaces.at(each.model).delete(persona, ids)
        except Unavailable as error:
            logger.warning("%d vectors of %s are not deleted yet: %s", len(mine), persona, error)
        else:
            # remembered again meanwhile: that vector may be the one that was just deleted
            again = zip(ids, archive.versions(persona, ids), strict=True)
            if newer := [(Key(persona, each), version) for each, version in again if version is not None]:
                archive.mark_unindexed(newer, spaces.naming.of(persona))
            yield from mine
