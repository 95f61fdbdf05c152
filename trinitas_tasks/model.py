"""What is remembered and what is asked: the types that every layer speaks.

All times are aware and kept in UTC; all text is kept byte for byte.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from trinitas_tasks.errors import InvalidMemory, InvalidQuery

PERSONA_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?$"
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$"
MAX_DEPTH = 64
"""How deep the content may be nested."""


class MemoryType(StrEnum):
    """The four kinds of memory; the kind decides how long a memory stays hot."""

    WORKING = "working"
    EPISODIC = "episodic"
    SEMANTIC = "semantic"
    PROCEDURAL = "procedural"


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time outside the years 1 to 9999") from None


def _storable(value: object, depth: int = 0) -> None:
    """Raise ValueError for what JSON cannot carry there and back unharmed."""
    match value:
        case str():
            _storable_text(value)
        case float() if not math.isfinite(value):
            raise ValueError(f"{value} is not a JSON number")
        case list() | dict() if depth >= MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
        case list():
            for each in value:
                _storable(each, depth + 1)
        case dict():
            for key, each in value.items():
                _storable_text(key)
                _storable(each, depth + 1)
        case None | bool() | int() | float():
            pass
        case _:
            raise ValueError(f"{type(value).__name__} is not JSON (dict, list, str, int, float, bool or None)")


def _storable_text(text: object) -> None:
    if not isinstance(text, str):
        raise ValueError(f"{text!r}: the keys of a JSON object are strings")  # noqa: TRY004 - pydantic maps ValueError
    if "\0" in text:
        raise ValueError("text with a NUL character cannot be stored: remove it first")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"text with a lone surrogate is not Unicode: {error.reason}") from None


def checked_json(value: Any) -> Any:
    """The value, if JSON carries it there and back unharmed. Raises: ValueError."""
    _storable(value)
    return value


def _checked_text(value: str) -> str:
    _storable_text(value)
    return value


def _readable_content(value: Any) -> Any:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise ValueError("there is nothing to remember: the content is empty")
    return checked_json(value)


# Any, checked by _storable: pydantic's own JsonValue turns some types into others.
Json = Annotated[Any, AfterValidator(checked_json)]
Content = Annotated[Any, AfterValidator(_readable_content)]
Text = Annotated[str, Field(strict=True), AfterValidator(_checked_text)]
Tag = Annotated[str, Field(min_length=1, max_length=256, strict=True), AfterValidator(_checked_text)]
Persona = Annotated[str, Field(pattern=PERSONA_PATTERN, strict=True)]
MemoryId = Annotated[str, Field(pattern=ID_PATTERN, strict=True)]
Time = Annotated[AwareDatetime, AfterValidator(_utc)]


class MemoryItem(BaseModel):
    """One memory.

    ``content`` is any JSON; ``importance`` is the caller's own estimate, 0 to 1; ``ttl`` is how many
    seconds the memory stays in the hot tier after it was archived (None: what its type says).
    ``access_count`` and ``last_access`` are kept by the tiers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: MemoryId
    content: Content
    type: MemoryType
    persona: Persona
    timestamp: Time
    last_access: Time
    access_count: Annotated[int, Field(ge=0, strict=True)] = 0
    importance: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    ttl: Annotated[int, Field(gt=0, le=10 * 365 * 86400, strict=True)] | None = None
    metadata: Annotated[dict[str, Any], AfterValidator(checked_json)] = Field(default_factory=dict)
    tags: Annotated[tuple[Tag, ...], Field(max_length=64)] = ()

    @model_validator(mode="before")
    @classmethod
    def _first_access(cls, data: Any) -> Any:
        if isinstance(data, dict) and "last_access" not in data and "timestamp" in data:
            return {**data, "last_access": data["timestamp"]}
        return data

    @classmethod
    def build(cls, *, quote: bool = True, **fields: Any) -> Self:
        """Make one from a caller's fields. Raises: InvalidMemory, naming the field, what is wrong and, with ``quote``,
        the beginning of what was given."""
        try:
            return cls(**fields)
        except ValidationError as error:
            raise InvalidMemory(complaint(error, quote=quote)) from None
        except RecursionError:
            raise InvalidMemory(f"content: nested more than {MAX_DEPTH} levels deep") from None

    def to_json(self) -> bytes:
        """The canonical bytes under which the hot tier keeps it (UTF-8 JSON, without access counts)."""
        fields: dict[str, Any] = {
            "id": self.id,
            "persona": self.persona,
            "type": self.type.value,
            "timestamp": self.timestamp.isoformat(),
            "importance": self.importance,
            "content": self.content,
        }
        if self.ttl is not None:
            fields["ttl"] = self.ttl
        if self.metadata:
            fields["metadata"] = self.metadata
        if self.tags:
            fields["tags"] = list(self.tags)
        try:
            return json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        except (ValueError, TypeError) as error:  # e.g. an integer of more digits than Python prints
            raise InvalidMemory(f"content: {error}") from None

    @classmethod
    def from_json(cls, body: bytes, *, access_count: int = 0, last_access: datetime | None = None) -> Self:
        """Read the canonical bytes back. Raises: InvalidMemory for bytes that are not a memory."""
        try:
            fields = json.loads(body)
            if last_access is not None:
                fields["last_access"] = last_access
            fields["access_count"] = access_count
            return cls(**fields)
        except ValidationError as error:
            raise InvalidMemory(f"unreadable record: {complaint(error)}") from error
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidMemory(f"unreadable record: {error}") from error


GROUPED = ("filters", "boosts")
"""Fields of a question that callers give one by one."""


def complaint(error: ValidationError, *, quote: bool = True) -> str:
    """A pydantic error as one line for people: ``field: what is wrong``, joined by semicolons."""
    parts = []
    for each in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in each["loc"] if part not in GROUPED) or "input"
        got = f" (got {_shown(each['input'])})" if quote else ""
        parts.append(f"{where}: {each['msg'].removeprefix('Value error, ')}{got}")
    return "; ".join(parts)


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of too many digits, a list too deep
        return type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."


class Record(NamedTuple):
    """A memory as the tiers pass it on. Of two records of one id the higher ``version`` is the newer."""

    item: MemoryItem
    version: int


class Position(NamedTuple):
    """How far an archive has come, and what follows it: the number of the last change. ``epoch`` is a random number
    that an archive is given when it is made: another one is another archive."""

    epoch: int
    change: int


class Key(NamedTuple):
    """The name of a memory: ids are unique within a persona, never looked up without one."""

    persona: str
    id: str


def check_persona(persona: object) -> str:
    """The persona's name, or InvalidQuery: every call names one."""
    if isinstance(persona, str) and re.fullmatch(PERSONA_PATTERN, persona):
        return persona
    raise InvalidQuery(f"persona: {_shown(persona)} is not a persona's name (letters, digits, _ and -, at most 64)")


def check_id(memory_id: object) -> str:
    """The memory's id, or InvalidQuery."""
    if isinstance(memory_id, str) and re.fullmatch(ID_PATTERN, memory_id):
        return memory_id
    raise InvalidQuery(f"id: {str(memory_id)[:60]!r} is not a memory's id")


def new_id(now: datetime) -> str:
    """A time-ordered id: UUID version 7 (RFC 9562, 5.7), 48 bits of milliseconds and 74 random ones."""
    millis = int(now.timestamp() * 1000) & ((1 << 48) - 1)
    random = int.from_bytes(os.urandom(10))
    value = millis << 80 | 0x7 << 76 | (random >> 68) << 64 | 0b10 << 62 | random & ((1 << 62) - 1)
    return str(UUID(int=value))


def utc_now() -> datetime:
    """The clock of the processes that take none as an argument."""
    return datetime.fromtimestamp(time.time(), UTC)
