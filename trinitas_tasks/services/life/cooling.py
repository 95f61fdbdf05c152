"""Taking memories out of the index. They stay in the archive, and whoever reads one brings it back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key
from trinitas_tasks.services.spaces import Spaces
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.lives import Life, Turn
from trinitas_tasks.tiers.hot.interface import HotTier

logger = logging.getLogger(__name__)


class Index(NamedTuple):
    """What must be told when memories leave it or come back."""

    hot: HotTier
    archive: Archive
    spaces: Spaces


def cool(lives: Sequence[Life], index: Index) -> int:
    """Let them be found only by those who ask for archived ones; how many were changed.

    The archive is first: a search does not find them from then on. What is killed before the vectors are gone leaves
    them marked, as where the vector tier is away: the next ingest takes them out. Raises: Unavailable.
    """
    changed = index.archive.turn([Turn(life.key, life.record.version, cold=True) for life in lives])
    cooled = [life for life, was_changed in zip(lives, changed, strict=True) if was_changed]
    for persona, group in groupby(sorted(cooled, key=_key), key=lambda life: life.key.persona):
        mine = list(group)
        try:
            index.spaces.of(persona).delete(persona, [life.key.id for life in mine])
        except Unavailable as error:
            logger.info("the vectors of %d memories of %s are taken out later: %s", len(mine), persona, error)
        else:
            model = index.spaces.naming.of(persona)
            index.archive.mark_indexed([(life.key, life.record.version) for life in mine], model, cold=True)
        index.hot.changed([persona])
    return len(cooled)


def _key(life: Life) -> Key:
    return life.key
