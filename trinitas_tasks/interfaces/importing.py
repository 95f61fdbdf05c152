"""Importing a file of memories, one JSON object a line, so that it can be broken off and repeated.

A line without an id gets one made from what it says (UUID version 5), so the same line is the same memory however
often the file is imported. How far an import came is kept under the data directory until it is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import InvalidMemory
from trinitas_tasks.model import MemoryType

BATCH: Final = 200
BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
LINE_FIELDS: Final = frozenset(
    {"id", "content", "type", "timestamp", "importance", "ttl", "metadata", "tags", "persona"}
)
NAMESPACE: Final = uuid.UUID("0d5e3ad6-6f0c-5a39-8f5b-2f6a6c0a7d11")


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is not a memory, and why. Lines are counted from 1."""

    line: int
    error: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line's number and the arguments of remember() that it holds."""

    number: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at the whole file found; blank lines are neither. ``old`` of the good ones are episodic, and so old
    that they will be archived soon."""

    good: int
    bad: tuple[BadLine, ...]
    old: int = 0


class Import:
    """The import of one file for one persona. ``state_folder`` is where it notes how far it came; ``archived_before``:
    episodic memories from before that time do not stay in the index."""

    def __init__(
        self,
        client: MemoryClient,
        file: Path,
        *,
        persona: str,
        state_folder: Path,
        archived_before: datetime = BEGINNING,
    ) -> None:
        self._archived_before = archived_before
        self._client = client
        self._file = file
        self._persona = persona
        stat = file.stat()
        self._written = datetime.fromtimestamp(stat.st_mtime, UTC)
        self._version = f"{stat.st_size} {stat.st_mtime_ns}"
        name = hashlib.sha256(f"{persona}\0{file.resolve()}".encode()).hexdigest()[:32]
        self._state = state_folder / f"{name}.json"

    def check(self, progress: Callable[[int], None]) -> Checked:
        """Look at every line and store nothing; ``progress`` is told how many bytes were read."""
        good, old, bad = 0, 0, []
        for number, text in self._texts(progress):
            try:
                fields = {"timestamp": self._written, **self._parsed(text)}
                item = self._client.check(**fields, persona=self._persona)
                good += 1
                old += item.type is MemoryType.EPISODIC and item.timestamp < self._archived_before
            except InvalidMemory as error:
                bad.append(BadLine(number, str(error)))
        return Checked(good, tuple(bad), old)

    def run(self, progress: Callable[[int], None]) -> int:
        """Remember every good line that is not remembered yet; how many. ``progress`` is told how many more are done.

        Raises: Unavailable, Overloaded: the same call again goes on where this one came to.
        """
        done = self._done()
        batch: list[Line] = []
        stored = 0
        for line in self._lines():
            if line.number <= done:
                progress(1)
                continue
            batch.append(line)
            if len(batch) == BATCH:
                stored += self._store(batch, progress)
                batch = []
        if batch:
            stored += self._store(batch, progress)
        self._state.unlink(missing_ok=True)
        return stored

    def _store(self, batch: list[Line], progress: Callable[[int], None]) -> int:
        self._client.remember_many([line.fields for line in batch], persona=self._persona)
        self._note(batch[-1].number)
        progress(len(batch))
        return len(batch)

    def _lines(self) -> Iterator[Line]:
        seen: Counter[bytes] = Counter()
        for number, text in self._texts(lambda _: None):
            try:
                fields = self._parsed(text)
                self._client.check(**fields, persona=self._persona)
            except InvalidMemory:
                continue
            if "id" not in fields:
                digest = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).digest()
                seen[digest] += 1
                fields["id"] = str(uuid.uuid5(NAMESPACE, f"{digest.hex()} {seen[digest]}"))
            yield Line(number, {"timestamp": self._written, **fields})

    def _texts(self, progress: Callable[[int], None]) -> Iterator[tuple[int, bytes]]:
        with self._file.open("rb") as lines:
            for number, text in enumerate(lines, 1):
                progress(len(text))
                if text := text.removeprefix(b"\xef\xbb\xbf").strip():
                    yield number, text

    def _parsed(self, text: bytes) -> dict[str, Any]:
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidMemory(f"not JSON: {error}") from None
        if not isinstance(fields, dict):
            raise InvalidMemory("not a JSON object")
        if unknown := set(fields) - LINE_FIELDS:
            raise InvalidMemory(f"unknown field {', '.join(sorted(unknown))} (known: {', '.join(sorted(LINE_FIELDS))})")
        if fields.pop("persona", self._persona) != self._persona:
            raise InvalidMemory(f"persona: the line belongs to another persona than {self._persona}")
        return {name: value for name, value in fields.items() if value is not None}

    def _done(self) -> int:
        """The last line that an earlier, broken-off import of this very file stored."""
        try:
            state = json.loads(self._state.read_text())
            return int(state["line"]) if state["version"] == self._version else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def _note(self, line: int) -> None:
        self._state.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._state.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps({"file": str(self._file), "version": self._version, "line": line}))
        scratch.replace(self._state)
