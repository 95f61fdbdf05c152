"""JSON lines: one memory a line. An export begins with a header, and tells everything of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.errors import InvalidMemory
from trinitas_tasks.interfaces.forms.form import ITEM, Parsed, Progress, an_object, loaded, present
from trinitas_tasks.services import exchange

BOM: Final = b"\xef\xbb\xbf"


class Lines:
    """Memories as remember() takes them."""

    name = "lines"

    def entries(self, file: Path, progress: Progress) -> Iterator[tuple[int, Any]]:
        """See Form."""
        with file.open("rb") as lines:
            for number, text in enumerate(lines, 1):
                progress(len(text))
                if text := text.removeprefix(BOM).strip():
                    yield number, text

    def parsed(self, entry: bytes) -> Parsed:
        """See Form."""
        fields = an_object(loaded(entry))
        if unknown := set(fields) - ITEM:
            raise InvalidMemory(f"unknown field {', '.join(sorted(unknown))} (known: {', '.join(sorted(ITEM))})")
        return Parsed(present(fields))


class Export(Lines):
    """What `trinitas export` writes."""

    name = "jsonl"

    def entries(self, file: Path, progress: Progress) -> Iterator[tuple[int, Any]]:
        """See Form; the first line is looked at here."""
        lines = super().entries(file, progress)
        for _, text in lines:
            said = loaded(text)
            if not isinstance(said, dict) or said.get("trinitas") != "export":
                raise InvalidMemory("the first line is not the header of an export")
            if not isinstance(said.get("version"), int) or said["version"] > exchange.VERSION:
                raise InvalidMemory(f"an export of version {said.get('version')}: upgrade trinitas-tasks")
            break
        yield from lines

    def parsed(self, entry: bytes) -> Parsed:
        """See Form."""
        fields = an_object(loaded(entry))
        if unknown := set(fields) - ITEM - exchange.PAST - exchange.IGNORED:
            raise InvalidMemory(f"unknown field {', '.join(sorted(unknown))}")
        past = present({name: fields[name] for name in exchange.PAST & set(fields)})
        exchange.past_of(past)
        return Parsed(present({name: fields[name] for name in ITEM & set(fields)}), past)

    def header(self, model: str | None) -> str:
        """See Form."""
        return exchange.header(model) + "\n"

    def written(self, line: str, *, first: bool) -> str:  # noqa: ARG002 - lines are alike
        """See Form."""
        return line + "\n"

    def footer(self) -> str:
        """See Form."""
        return ""
