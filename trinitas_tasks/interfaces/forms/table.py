"""CSV: a header with ``content`` and any other field of a memory; tags separated by semicolons, metadata as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.errors import InvalidMemory
from trinitas_tasks.interfaces.forms.form import ITEM, Parsed, Progress, dumped, loaded

JSON_CONTENT: Final = "content_json"
"""The content where it is not text, in place of ``content``."""
COLUMNS: Final = (
    "persona", "id", "type", "timestamp", "importance", "ttl", "content", JSON_CONTENT, "metadata", "tags",
)  # fmt: skip
FIELD_BYTES: Final = 1 << 30


class Table:
    """Comma-separated values, UTF-8."""

    name = "csv"

    def entries(self, file: Path, progress: Progress) -> Iterator[tuple[int, Any]]:
        """See Form."""
        csv.field_size_limit(FIELD_BYTES)
        with file.open("r", encoding="utf-8-sig", newline="") as text:
            rows = csv.DictReader(_told(text, progress), strict=True)
            try:
                _check_header(rows.fieldnames or ())
                for row in rows:
                    yield rows.line_num, row
            except UnicodeDecodeError as error:
                raise InvalidMemory(f"not UTF-8: {error}") from None
            except csv.Error as error:
                raise InvalidMemory(f"not CSV, near line {rows.line_num}: {error}") from None

    def parsed(self, entry: Mapping[Any, Any]) -> Parsed:
        """See Form."""
        if None in entry or None in entry.values():
            raise InvalidMemory("not as many values as the header has names")
        given = {name: value for name, value in entry.items() if value != ""}
        if "content" in given and JSON_CONTENT in given:
            raise InvalidMemory(f"content and {JSON_CONTENT}: a memory has one of them")
        read: dict[str, Callable[[str], Any]] = {
            "importance": _number, "ttl": _whole_number, "metadata": loaded, JSON_CONTENT: loaded, "tags": _tags,
        }  # fmt: skip
        fields = {name: read.get(name, str)(value) for name, value in given.items()}
        if JSON_CONTENT in fields:
            fields["content"] = fields.pop(JSON_CONTENT)
        return Parsed(fields)

    def header(self, model: str | None) -> str:  # noqa: ARG002 - there are no vectors in it
        """See Form."""
        return _row(COLUMNS)

    def written(self, line: str, *, first: bool) -> str:  # noqa: ARG002 - rows are alike
        """See Form."""
        fields = json.loads(line)
        content, tags = fields["content"], fields["tags"]
        # what begins with a bracket is a list to who reads it
        plain = not any(";" in tag or tag != tag.strip() for tag in tags) and not ";".join(tags).startswith("[")
        told = {name: fields[name] for name in ITEM - {"content", "tags", "metadata"}}
        told["content" if isinstance(content, str) else JSON_CONTENT] = (
            content if isinstance(content, str) else dumped(content)
        )
        told["metadata"] = dumped(fields["metadata"]) if fields["metadata"] else ""
        told["tags"] = ";".join(tags) if plain else dumped(tags)
        return _row(["" if told.get(name) is None else str(told[name]) for name in COLUMNS])

    def footer(self) -> str:
        """See Form."""
        return ""


def _check_header(names: Sequence[str]) -> None:
    if unknown := set(names) - set(COLUMNS):
        raise InvalidMemory(f"unknown field {', '.join(sorted(unknown))} (known: {', '.join(COLUMNS)})")
    if not {"content", JSON_CONTENT} & set(names):
        raise InvalidMemory("the header names no content")


def _row(values: Any) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue()


def _told(lines: Iterator[str], progress: Progress) -> Iterator[str]:
    for line in lines:
        progress(len(line.encode()))
        if "\0" in line:
            raise InvalidMemory("text with a NUL character cannot be stored: remove it first")
        yield line


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidMemory(f"importance: {text[:60]!r} is not a number") from None


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidMemory(f"ttl: {text[:60]!r} is not a whole number") from None


def _tags(text: str) -> Any:
    return loaded(text) if text.startswith("[") else [tag.strip() for tag in text.split(";") if tag.strip()]
