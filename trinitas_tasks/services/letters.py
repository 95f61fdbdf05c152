"""Records that could not be archived: trying them again, and giving them up."""

from __future__ import annotations

from collections.abc import Sequence

from trinitas_tasks.errors import InvalidMemory, InvalidQuery
from trinitas_tasks.model import MemoryItem
from trinitas_tasks.tiers.archive.interface import Archive, DeadLetter
from trinitas_tasks.tiers.hot.interface import Finished, HotTier, Write


def retry(letters: Sequence[DeadLetter], *, hot: HotTier) -> int:
    """Queue dead letters again, with the versions that they had; how many. A letter goes when it was archived.

    Raises: InvalidQuery for one whose bytes are no memory: that can only be shown and dropped. Unavailable.
    """
    items = [(letter, _item(letter)) for letter in letters]
    for letter, item in items:
        hot.write([Write(item, version=letter.version)])
    hot.requeue([(letter.key, letter.version) for letter in letters])  # those that still stand there
    return len(letters)


def drop(letters: Sequence[DeadLetter], *, hot: HotTier, archive: Archive) -> int:
    """Delete dead letters and what the hot tier still has of them; how many. Raises: Unavailable."""
    hot.finish([Finished(letter.key, letter.version, 0) for letter in letters])  # else it would be archived again
    return archive.drop_dead([(letter.key, letter.version) for letter in letters])


def _item(letter: DeadLetter) -> MemoryItem:
    try:
        item = MemoryItem.from_json(letter.body)
        if (item.persona, item.id) != letter.key:
            raise InvalidMemory(f"the record calls itself {item.persona}:{item.id}")
        return item
    except InvalidMemory as error:
        persona, memory_id = letter.key
        raise InvalidQuery(
            f"{memory_id} of {persona} cannot be tried again: {error}; drop it when you have seen it"
        ) from error
