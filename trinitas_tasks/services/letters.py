"""Records that could not be archived: trying them again."""

from __future__ import annotations

from collections.abc import Sequence

from trinitas_tasks.errors import InvalidQuery
from trinitas_tasks.model import MemoryItem
from trinitas_tasks.tiers.archive.interface import DeadLetter
from trinitas_tasks.tiers.hot.interface import HotTier, Write


def retry(letters: Sequence[DeadLetter], *, hot: HotTier) -> int:
    """Queue dead letters again, with the versions that they had; how many. A letter goes when it was archived.

    Raises: InvalidQuery for one whose bytes are no memory: that can only be shown and dropped. Unavailable.
    """
    items = [(letter, _item(letter)) for letter in letters]
    for letter, item in items:
        hot.write([Write(item, version=letter.version)])
    hot.requeue([(letter.key, letter.version) for letter in letters])  # those that still stand there
    return len(letters)


def _item(letter: DeadLetter) -> MemoryItem:
    try:
        return MemoryItem.from_json(letter.body)
    except ValueError as error:
        persona, memory_id = letter.key
        raise InvalidQuery(
            f"{memory_id} of {persona} cannot be tried again: {error}; drop it when you have seen it"
        ) from error
