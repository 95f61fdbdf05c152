"""From what stands in a store of version 3.5 to a memory.

What version 3.5 always wrote must be readable: the id, the content, the time. What it had a default for may be NULL.
A wrong type or torn JSON anywhere makes a memory unreadable: half of one would be a silent loss.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from trinitas_tasks.errors import InvalidMemory
from trinitas_tasks.model import MemoryItem, MemoryType

PERSONA_BEFORE: Final = "v35_persona"
"""The metadata that keep what a row said about its persona, where its folder says something else."""
IMPORTANCE_BEFORE: Final = "v35_importance"
"""The metadata that keep an importance that was outside of 0 to 1."""

Row = Mapping[str, Any]


def episode(row: Row, persona: str | None, zone: tzinfo | None) -> MemoryItem:
    """A row of the table ``episodes``. Raises: InvalidMemory."""
    return _memory(row, MemoryType.EPISODIC, persona, zone, content=_json(row, "content"))


def procedure(row: Row, persona: str | None, zone: tzinfo | None) -> MemoryItem:
    """A row of the table ``procedures``. Raises: InvalidMemory."""
    content = {
        "pattern_name": _text(row, "pattern_name"),
        "pattern_type": _text(row, "pattern_type"),
        "steps": _json(row, "steps"),
        "conditions": _json(row, "conditions"),
    }
    if not any(content.values()):
        raise InvalidMemory("there is nothing to remember: no pattern, steps or conditions")
    used = _count(row, "usage_count")
    rate = _number(row, "success_rate")
    more = {"usage_count": used, **({} if rate is None else {"success_rate": rate})}
    row = {**row, "access_count": used}
    return _memory(row, MemoryType.PROCEDURAL, persona, zone, content=content, more=more)


def knowledge(name: str, entry: Any, persona: str | None, zone: tzinfo | None) -> MemoryItem:
    """An entry of ``knowledge.json``; its name is its id. Raises: InvalidMemory."""
    if not isinstance(entry, dict):
        raise InvalidMemory(f"a JSON object was expected, not {type(entry).__name__}")
    if entry.get("id", name) not in (name, None):
        raise InvalidMemory(f"id: it calls itself {str(entry['id'])[:60]!r}")
    row = {**entry, "id": name}
    return _memory(row, MemoryType.SEMANTIC, persona, zone, content=entry.get("content"))


def document(id_: str, text: str | None, metadata: Row, kind: MemoryType, zone: tzinfo | None) -> MemoryItem:
    """A document of a Chroma collection; text that is no JSON stands for itself. Raises: InvalidMemory."""
    tags = metadata.get("tags")
    if isinstance(tags, str):
        tags = [each for each in tags.split(",") if each]
    row = {**{name: metadata.get(name) for name in ("persona", "importance", "timestamp")}, "id": id_, "tags": tags}
    return _memory(row, kind, None, zone, content=_document(text))


def moment(written: object, name: str, zone: tzinfo | None) -> datetime:
    """A time in UTC; one that names no zone is local time there (None: of this machine).

    Of an hour that came twice, as summer time ended, the first is meant, since the store does not tell; one that never
    came, as it began, is as long after the hour before as it says (PEP 495, fold=0). Raises: InvalidMemory.
    """
    if not isinstance(written, str):
        raise InvalidMemory(f"{name}: text was expected, not {_kind(written)}")
    try:
        read = datetime.fromisoformat(written.strip())
        if read.tzinfo is None:
            read = read.replace(fold=0, tzinfo=zone) if zone is not None else read.replace(fold=0)
        return read.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidMemory(f"{name}: {written[:60]!r} is no time: {error}") from None


def _memory(
    row: Row,
    kind: MemoryType,
    persona: str | None,
    zone: tzinfo | None,
    *,
    content: Any,
    more: Mapping[str, Any] | None = None,
) -> MemoryItem:
    metadata: dict[str, Any] = {**_labels(row, "metadata", dict, {}), **(more or {})}
    said = row.get("persona")
    if persona is not None and said is not None and said != persona:
        metadata[PERSONA_BEFORE] = said if isinstance(said, str) else repr(said)
    timestamp = moment(row.get("timestamp"), "timestamp", zone)
    used = row.get("last_access")
    item = MemoryItem.build(
        id=_given(row, "id"),
        persona=_given(row, "persona") if persona is None else persona,
        type=kind,
        content=content,
        timestamp=timestamp,
        last_access=timestamp if used is None else moment(used, "last_access", zone),
        access_count=_count(row, "access_count"),
        importance=_importance(row, metadata),
        metadata=metadata,
        tags=tuple(_labels(row, "tags", list, [])),
    )
    item.to_json()
    return item


def _given(row: Row, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise InvalidMemory(f"{name}: text was expected, not {_kind(value)}")
    return value


def _importance(row: Row, metadata: dict[str, Any]) -> float:
    given = _number(row, "importance")
    if given is None:
        return 0.5
    if not 0 <= given <= 1:
        metadata[IMPORTANCE_BEFORE] = given
    return min(max(given, 0.0), 1.0)


def _number(row: Row, name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidMemory(f"{name}: a number was expected, not {_kind(value)}")
    return float(value)


def _count(row: Row, name: str) -> int:
    number = _number(row, name) or 0.0
    if number < 0 or number != int(number) or number >= 1 << 63:
        raise InvalidMemory(f"{name}: {number} is no count")
    return int(number)


def _text(row: Row, name: str) -> str | None:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidMemory(f"{name}: text was expected, not {_kind(value)}")
    return value


def _json(row: Row, name: str) -> Any:
    written = row.get(name)
    if isinstance(written, bytes):
        written = written.decode(errors="surrogateescape")
    if written is None:
        return None
    if not isinstance(written, str):
        raise InvalidMemory(f"{name}: JSON text was expected, not {_kind(written)}")
    return _parsed(written, name)


def _parsed(written: str, name: str) -> Any:
    try:
        return json.loads(written)
    except (ValueError, RecursionError) as error:
        raise InvalidMemory(f"{name}: torn JSON: {error}") from None


def _labels(row: Row, name: str, kind: Callable[[], Any], default: Any) -> Any:
    """Metadata or tags: as JSON text in a table, as they are in JSON; NULL: none."""
    value = row.get(name)
    if isinstance(value, str | bytes):
        value = _json(row, name)
    if value is None:
        return default
    if not isinstance(value, kind):  # type: ignore[arg-type] # a class is given
        raise InvalidMemory(f"{name}: a JSON {kind.__name__} was expected, not {_kind(value)}")
    return value


def _document(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _kind(value: object) -> str:
    return "NULL" if value is None else type(value).__name__
