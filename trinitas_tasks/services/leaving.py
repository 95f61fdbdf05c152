"""What is left of a model that a persona has no more."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.services.spaces import Spaces
from trinitas_tasks.tiers.archive.interface import Archive

logger = logging.getLogger(__name__)

LEFT: Final = timedelta(minutes=10)
"""How long vectors of an abandoned model stay: by then every worker goes by the new one, and no batch that was begun
before is under way."""


def clear_abandoned(*, archive: Archive, spaces: Spaces, now: datetime, limit: int) -> int:
    """Take vectors of abandoned models, of at most ``limit`` memories, out of the vector tier and the archive; of how
    many.

    Where the vector tier is away they wait on. Raises: Unavailable when the archive cannot be reached.
    """
    dropped = 0
    for each in archive.abandoned():
        if spaces.naming.of(each.persona) == each.model:  # the settings have come back to it
            archive.cleared(each)
            continue
        if now - each.since < LEFT:
            continue
        try:
            spaces.at(each.model).drop(each.persona)
        except Unavailable as error:
            logger.info("the vectors of %s by %s are taken away later: %s", each.persona, each.model, error)
            continue
        dropped += archive.drop_vectors(each.persona, each.model, limit - dropped)
        if dropped >= limit:
            break
        archive.cleared(each)
        logger.warning("nothing is left of the vectors of %s by %s", each.persona, each.model)
    return dropped
