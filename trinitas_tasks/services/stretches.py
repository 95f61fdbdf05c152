"""A stretch of a timeline, asked of the workers: how the question and the answer are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.policy.chronology import Place, Span, Stretch
from trinitas_tasks.query import Timeline
from trinitas_tasks.tiers.archive.interface import Reader

BYTES: Final = 4 << 20
"""An answer ends behind the memory that makes it longer than this."""


def question(asked: Timeline, span: Span, limit: int, shared: Sequence[Key]) -> dict[str, Any]:
    """As a task is asked."""
    return {
        "asked": asked.model_dump(mode="json"),
        "low": span.low,
        "high": span.high,
        "limit": limit,
        "shared": shared,
    }


def answer(told: Mapping[str, Any], archive: Reader) -> dict[str, Any]:
    """What the archive has of it, as the task answers. Raises: Unavailable, InvalidQuery."""
    asked = Timeline.build(**told["asked"])
    span = Span(Place(*told["low"]), Place(*told["high"]), asked.newest_first)
    shared = [Key(*each) for each in told["shared"]]
    found = archive.timeline(asked.persona, span, told["limit"], filters=asked.filters, shared=shared)
    rows: list[list[Any]] = []
    size = 0
    for item, version in found.records:
        body = item.to_json().decode()
        rows.append([body, version, item.access_count, item.last_access.isoformat()])
        size += len(body)
        if size > BYTES:
            return {"records": rows, "end": Place.of(item)}
    return {"records": rows, "end": found.end}


def stretch(told: Mapping[str, Any]) -> Stretch:
    """What was answered."""
    records = [
        Record(
            MemoryItem.from_json(body.encode(), access_count=count, last_access=datetime.fromisoformat(last)), version
        )
        for body, version, count, last in told["records"]
    ]
    return Stretch(records, told["end"] and Place(*told["end"]))
