"""What several changes of lives come to, for every archive alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from trinitas_tasks.model import Key
from trinitas_tasks.tiers.archive.lives import Consolidation, Turn


def merged(turns: Iterable[Turn], versions: Mapping[Key, int]) -> dict[Key, Turn]:
    """One for each memory that stands at the version of a turn; of what several change the last counts."""
    kept: dict[Key, Turn] = {}
    for turn in turns:
        if versions.get(turn.key) == turn.version:
            kept[turn.key] = replace(kept.get(turn.key, turn), **_changed(turn))
    return kept


def counted(turns: Sequence[Turn], versions: Mapping[Key, int]) -> list[bool]:
    """Which of them are about the version that stands."""
    return [versions.get(turn.key) == turn.version for turn in turns]


def first_of_each(done: Iterable[Consolidation], versions: Mapping[Key, int]) -> list[Consolidation]:
    """Those about the version that stands, of the same kind and key the first."""
    kept: dict[tuple[str, Key], Consolidation] = {}
    for each in done:
        if versions.get(each.key) == each.version:
            kept.setdefault((each.kind, each.key), each)
    return list(kept.values())


def left_to_take(turns: Iterable[Turn], done: Iterable[Consolidation], new: Collection[Consolidation]) -> list[Turn]:
    """The turns without those of memories of which all that is done was done before."""
    again = {(each.key, each.version) for each in done} - {(each.key, each.version) for each in new}
    return [turn for turn in turns if (turn.key, turn.version) not in again]


def _changed(turn: Turn) -> dict[str, Any]:
    values = {each.name: getattr(turn, each.name) for each in fields(turn)}
    return {name: value for name, value in values.items() if value is not None}
