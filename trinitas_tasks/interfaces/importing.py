"""Importing a file of memories, so that it can be broken off and repeated.

An entry without an id gets one made from what it says (UUID version 5), so the same one is the same memory however
often the file is imported. How far an import came is kept under the data directory until it is complete. What an
export tells of lives is restored in a second pass, when the memories are archived.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import InvalidMemory, Unavailable
from trinitas_tasks.interfaces.forms.form import NAMESPACE
from trinitas_tasks.interfaces.forms.lines import Export
from trinitas_tasks.interfaces.forms.recognised import read_as
from trinitas_tasks.model import Key, MemoryItem, MemoryType

BATCH: Final = 200
BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
RELIVE_MS: Final = 60_000
RELIVE_SECONDS: Final = 120.0
"""How long nothing more may be archived before an import gives up waiting for it."""
LOOK_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is not a memory, and why. Lines are counted from 1."""

    line: int
    error: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line's number, the arguments of remember() that it holds, and what became of the memory, if it tells."""

    number: int
    fields: dict[str, Any]
    past: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at the whole file found; blank lines are neither. ``old`` of the good ones are episodic, and so old
    that they will be archived soon."""

    good: int
    bad: tuple[BadLine, ...]
    old: int = 0


class Import:
    """The import of one file, for one persona or, where the file names them, for those that it names.

    ``state_folder`` is where it notes how far it came; ``archived_before``: episodic memories from before that time do
    not stay in the index, unless the file tells that they do. Raises: InvalidQuery for a form that is not known.
    """

    def __init__(
        self,
        client: MemoryClient,
        file: Path,
        *,
        persona: str | None,
        state_folder: Path,
        archived_before: datetime = BEGINNING,
        form: str | None = None,
    ) -> None:
        self._archived_before = archived_before
        self._client = client
        self._file = file
        self._persona = persona
        self._form = read_as(file, form)
        stat = file.stat()
        self._written = datetime.fromtimestamp(stat.st_mtime, UTC)
        self._version = f"{stat.st_size} {stat.st_mtime_ns}"
        name = hashlib.sha256(f"{persona or ''}\0{file.resolve()}".encode()).hexdigest()[:32]
        self._state = state_folder / f"{name}.json"

    @property
    def form(self) -> str:
        """The name of the file's form."""
        return self._form.name

    @property
    def complete(self) -> bool:
        """Whether the file is an export, which tells everything of each memory."""
        return self.form == Export.name

    def check(self, progress: Callable[[int], None]) -> Checked:
        """Look at every line and store nothing; ``progress`` is told how many bytes were read."""
        good, old, bad = 0, 0, list[BadLine]()
        number = 0
        try:
            for number, entry in self._form.entries(self._file, progress):
                try:
                    line = self._parsed(number, entry)
                    if line is not None:
                        item = self._checked(line)
                        good += 1
                        old += line.past is None and self._is_old(item)
                except InvalidMemory as error:
                    bad.append(BadLine(number, str(error)))
        except InvalidMemory as error:  # of the file as a whole
            bad.append(BadLine(number + 1, str(error)))
        return Checked(good, tuple(bad), old)

    def _checked(self, line: Line) -> MemoryItem:
        return self._client.check(**{"content": None, "timestamp": self._written, **line.fields})

    def _is_old(self, item: MemoryItem) -> bool:
        return item.type is MemoryType.EPISODIC and item.timestamp < self._archived_before

    def run(self, progress: Callable[[int], None]) -> int:
        """Remember every good line that is not remembered yet; how many. ``progress`` is told how many more are done.

        Raises: Unavailable, Overloaded: the same call again goes on where this one came to.
        """
        done, stored = self._done(), 0
        for batch in _batches(self._lines()):
            new = [line for line in batch if line.number > done]
            if new:
                self._client.remember_many([line.fields for line in new])
                self._note(new[-1].number)
            stored += len(new)
            progress(len(batch))
        return stored

    def relive(self, progress: Callable[[int], None]) -> int:
        """Restore what became of the memories, each as soon as it is archived; of how many it was told.

        Raises: Unavailable, also where nothing is archived any more; the same call again begins anew.
        """
        count = 0
        for batch in _batches(line for line in self._lines() if line.past is not None):
            waiting = [{**_name(line.fields), **(line.past or {})} for line in batch]
            until = time.monotonic() + RELIVE_SECONDS
            while waiting:
                early = [Key(*each) for each in self._client.ask("relive", waiting, deadline_ms=RELIVE_MS)]
                if len(early) < len(waiting):
                    until = time.monotonic() + RELIVE_SECONDS
                waiting = [each for each in waiting if Key(each["persona"], each["id"]) in early]
                if waiting and time.monotonic() > until:
                    raise Unavailable(f"{len(waiting)} memories are not archived yet: does an ingest worker run?")
                if waiting:
                    time.sleep(LOOK_SECONDS)
            count += len(batch)
            progress(len(batch))
        return count

    def finished(self) -> None:
        """All of it is done: the next import of this file begins anew."""
        self._state.unlink(missing_ok=True)

    def _lines(self) -> Iterator[Line]:
        seen: Counter[bytes] = Counter()
        for number, entry in self._good_entries():
            try:
                line = self._parsed(number, entry)
                if line is None:
                    continue
                fields = line.fields
                self._checked(line)
            except InvalidMemory:
                continue
            if "id" not in fields:
                told = {name: value for name, value in fields.items() if name != "persona"}
                digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).digest()
                seen[digest] += 1
                fields["id"] = str(uuid.uuid5(NAMESPACE, f"{digest.hex()} {seen[digest]}"))
            yield Line(number, {"timestamp": self._written, **fields}, line.past)

    def _good_entries(self) -> Iterator[tuple[int, Any]]:
        """Those up to where the file as a whole cannot be read any more."""
        with suppress(InvalidMemory):
            yield from self._form.entries(self._file, lambda _: None)

    def _parsed(self, number: int, entry: Any) -> Line | None:
        """What an entry says; None for one of another persona in an export. Raises: InvalidMemory."""
        parsed = self._form.parsed(entry)
        fields = parsed.fields
        whose = fields.get("persona", self._persona)
        if whose is None:
            raise InvalidMemory("persona: nobody is named: use -p")
        if self._persona is not None and whose != self._persona:
            if self.complete:
                return None
            raise InvalidMemory(f"persona: the line belongs to another persona than {self._persona}")
        return Line(number, {**fields, "persona": whose}, parsed.past)

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


def _name(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"persona": fields["persona"], "id": fields["id"]}


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    rest = iter(lines)
    while batch := list(islice(rest, BATCH)):
        yield batch
