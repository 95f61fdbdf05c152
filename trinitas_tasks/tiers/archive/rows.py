"""Between memories and the columns in which the archive keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from trinitas_tasks.errors import ArchiveError, InvalidMemory
from trinitas_tasks.model import Key, MemoryItem, Record, complaint
from trinitas_tasks.policy.micros import from_micros, to_micros
from trinitas_tasks.policy.prediction import Follower
from trinitas_tasks.policy.text import session
from trinitas_tasks.tiers.archive.interface import Row

IN_LIST: Final = 500
"""How many ids one statement names."""
KEPT_RUNS: Final = 1000
"""How many runs of each task are kept."""
ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

T = TypeVar("T")


def key_of(row: Row) -> Key:
    """The row's key."""
    return Key(row.record.item.persona, row.record.item.id)


def newest(rows: Iterable[Row]) -> dict[Key, Row]:
    """Of every key the row of the highest version; the first of equals."""
    kept: dict[Key, Row] = {}
    for row in rows:
        key = key_of(row)
        if key not in kept or kept[key].record.version < row.record.version:
            kept[key] = row
    return kept


def highest(keys: Iterable[tuple[Key, int]]) -> dict[Key, int]:
    """Of every key the highest version."""
    kept: dict[Key, int] = {}
    for key, version in keys:
        kept[key] = max(version, kept.get(key, version))
    return kept


def to_columns(record: Record, archived_at: datetime) -> dict[str, Any]:
    """The columns of `schema.memories`, without ``change``. Raises: InvalidMemory for what JSON cannot carry."""
    item = record.item
    return {
        "persona": item.persona,
        "id": item.id,
        "version": record.version,
        "type": item.type.value,
        "timestamp": to_micros(item.timestamp),
        "last_access": to_micros(item.last_access),
        "access_count": item.access_count,
        "importance": item.importance,
        "ttl": item.ttl,
        "archived_at": to_micros(archived_at),
        "session": session(item),
        "tags": _json(item, item.tags),
        "metadata": _json(item, item.metadata),
        "content": _json(item, item.content),
    }


def _json(item: MemoryItem, value: object) -> str:
    try:
        return ENCODER.encode(value)
    except (ValueError, TypeError, RecursionError) as error:  # e.g. an integer of more digits than Python prints
        raise InvalidMemory(f"{item.persona}/{item.id} cannot be archived: {error}") from error


def from_columns(columns: Mapping[str, Any]) -> Record:
    """The record. Raises: ArchiveError for a row that this package did not write."""
    try:
        item = MemoryItem(
            id=columns["id"],
            persona=columns["persona"],
            type=columns["type"],
            timestamp=from_micros(columns["timestamp"]),
            last_access=from_micros(columns["last_access"]),
            access_count=columns["access_count"],
            importance=columns["importance"],
            ttl=columns["ttl"],
            tags=tuple(json.loads(columns["tags"])),
            metadata=json.loads(columns["metadata"]),
            content=json.loads(columns["content"]),
        )
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        said = complaint(error) if isinstance(error, ValidationError) else str(error)
        raise ArchiveError(f"the archive's row of {columns['persona']}/{columns['id']} is damaged: {said}") from error
    return Record(item, columns["version"])


def follower_from(columns: Sequence[Any]) -> Follower:
    """The follower in the columns ``next_persona``, ``next_id``, ``weight`` and ``at``."""
    persona, id_, weight, at = columns
    return Follower(Key(persona, id_), weight, from_micros(at))


def heaviest_first(followers: Iterable[Follower]) -> list[Follower]:
    """Of equals by name."""
    return sorted(followers, key=lambda each: (-each.weight, each.key))


def chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The values, at most ``size`` at a time."""
    return (values[start : start + size] for start in range(0, len(values), size))
