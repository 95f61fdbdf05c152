"""What counts of the states in which several tiers have one memory."""

from __future__ import annotations

from typing import TypeAlias

from trinitas_tasks.model import Record
from trinitas_tasks.tiers.hot.interface import Barred, Gone
from trinitas_tasks.tiers.spool.interface import Entry

Scoped: TypeAlias = Record | Gone | Barred | None
"""What the hot tier says to somebody who reads."""


def newest(said: Scoped, found: Record) -> Record | Gone | Barred:
    """What the hot tier says of a memory that was found elsewhere, unless what was found is newer than its copy."""
    if isinstance(said, Record):
        return max(said, found, key=lambda each: each.version)
    return found if said is None else said


def counting(found: Record | Gone | None, spooled: Entry | None) -> Record | None:
    """What counts of a memory's state elsewhere and in the spool; None if it was forgotten, or is not there."""
    if spooled is not None and not spooled.waits and isinstance(found, Gone):
        return None  # a mark tells of what was; somebody has forgotten it since
    if spooled is not None and (not isinstance(found, Record) or spooled.version >= found.version):
        return None if spooled.item is None else Record(spooled.item, spooled.version)
    return found if isinstance(found, Record) else None


def visible(found: Scoped, spooled: Entry | None, *, own: bool) -> Record | None:
    """As ``counting``; of what the reader may not see, or perhaps may not, nothing."""
    if isinstance(found, Barred) or (not own and spooled is not None and spooled.waits):
        return None
    return counting(found, spooled)
