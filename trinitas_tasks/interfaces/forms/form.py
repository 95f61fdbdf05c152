"""What every form of a file of memories can do."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from trinitas_tasks.errors import InvalidMemory

ITEM: Final = frozenset({"id", "content", "type", "timestamp", "importance", "ttl", "metadata", "tags", "persona"})
"""The fields of a memory that remember() takes."""
OURS: Final = "trinitas"
"""Under this name foreign forms carry what they have no field for."""
NAMESPACE: Final = uuid.UUID("0d5e3ad6-6f0c-5a39-8f5b-2f6a6c0a7d11")

Progress = Callable[[int], None]
"""Told how many more bytes were read."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A memory: the arguments of remember(), and what became of it, where the file tells."""

    fields: dict[str, Any]
    past: dict[str, Any] | None = None


class Form(Protocol):
    """One form to read. Entries are counted as the file's readers count: lines, or members of its list, from 1."""

    name: str

    def entries(self, file: Path, progress: Progress) -> Iterator[tuple[int, Any]]:
        """The entries of a file, not looked at yet. Raises: InvalidMemory for a file that is none of this form."""

    def parsed(self, entry: Any) -> Parsed:
        """The memory that it is. Raises: InvalidMemory."""


class Written(Form, Protocol):
    """One that an export may have."""

    def header(self, model: str | None) -> str:
        """How a file of this form begins; ``model`` made the vectors, if they are told."""

    def written(self, line: str, *, first: bool) -> str:
        """A memory, given as the line of an export; ``first`` of the file."""

    def footer(self) -> str:
        """How it ends."""


def loaded(text: bytes | str) -> Any:
    """JSON. Raises: InvalidMemory."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidMemory(f"not JSON: {error}") from None


def whole(file: Path, progress: Progress) -> Any:
    """A file that is one JSON document, read at once. Raises: InvalidMemory."""
    data = file.read_bytes()
    progress(len(data))
    return loaded(data.removeprefix(b"\xef\xbb\xbf"))


def an_object(entry: Any) -> Mapping[str, Any]:
    """The entry. Raises: InvalidMemory for one that is no JSON object."""
    if not isinstance(entry, dict):
        raise InvalidMemory("not a JSON object")
    return entry


def an_object_or_none(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object under a name, empty where there is none. Raises: InvalidMemory."""
    found = entry.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidMemory(f"{name}: not a JSON object")
    return dict(found)


def aware(text: Any, name: str) -> str | None:
    """A time; one without a zone is in UTC, as the others write it. Raises: InvalidMemory."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise InvalidMemory(f"{name}: {str(text)[:60]!r} is not a time") from None
    return str(text) if found.tzinfo else f"{text}+00:00"


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None."""
    return {name: value for name, value in fields.items() if value is not None}


def dumped(value: Any) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
