"""After a restore: the hot tier, which is empty, learns again what does not come to it by reading or replaying."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.policy.grants import Grant
from trinitas_tasks.services import granting, unarchived
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.hot.interface import HotTier, Signal

logger = logging.getLogger(__name__)

RESTORED: Final = "restored.jsonl"
"""Left under home by a restore: the grants and signals that the archive had not been told."""
TOGETHER: Final = 500


def rejoin(file: Path, *, hot: HotTier, archive: Archive, naming: Naming) -> bool:
    """Tell the hot tier all grants and what was said of memories, if the file of a restore is there; it goes then.

    The spool is replayed before: what is said of a memory that nobody has is not kept. A crash lets it begin again.
    Raises: Unavailable, BackupError.
    """
    if not file.exists():
        return False
    hot.advance(archive.highest())
    after = 0
    while rows := archive.listed(after, TOGETHER, naming):
        granting.restore([row.key for row in rows], hot=hot, archive=archive)
        after = rows[-1].seq
    with file.open("rb") as lines:
        said = [unarchived.read(text) for text in lines]
    hot.restore_grants([each for each in said if isinstance(each, Grant)])
    hot.requeue_grants(list({each.key for each in said if isinstance(each, Grant)}))
    signals = [each for each in said if isinstance(each, Signal)]
    for start in range(0, len(signals), TOGETHER):
        hot.say(signals[start : start + TOGETHER])
    file.unlink()
    logger.warning("%s: what was restored is complete", file.parent)
    return True
