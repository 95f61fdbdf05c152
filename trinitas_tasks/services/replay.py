"""Bringing what was spooled to the hot tier."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from trinitas_tasks.tiers.hot.interface import HotTier, Write
from trinitas_tasks.tiers.spool.interface import Entry, Spool

logger = logging.getLogger(__name__)

TOGETHER: Final = 200
"""Entries that are replayed in one round trip."""


def replay(*, hot: HotTier, spool: Spool) -> int:
    """Replay everything that waits, in order; how many entries.

    Every entry has its version, so repeating it changes nothing: a crash, or two replays at once, do no harm.
    Raises: Unavailable, Overloaded; what was not replayed waits on.
    """
    replayed = 0
    while entries := spool.take(TOGETHER):
        for forgotten, group in groupby(entries, key=lambda entry: entry.item is None):
            _send(list(group), hot, forgotten=forgotten)
        spool.done(entries)
        replayed += len(entries)
    if replayed:
        logger.warning("%d writes that waited for Redis are with it now", replayed)
    return replayed


def _send(entries: Sequence[Entry], hot: HotTier, *, forgotten: bool) -> None:
    if forgotten:
        hot.forget([entry.key for entry in entries], versions=[entry.version for entry in entries])
    else:
        hot.write([Write(entry.item, version=entry.version) for entry in entries if entry.item is not None])
