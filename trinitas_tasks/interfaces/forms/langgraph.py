"""The items of a LangGraph store: a list of ``{"namespace": [...], "key", "value", "created_at", "updated_at"}``, as
``Item.dict()`` has it, or an object with one under ``items``, as its server answers a search."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.errors import InvalidMemory
from trinitas_tasks.interfaces.forms.form import (
    NAMESPACE,
    OURS,
    Parsed,
    Progress,
    an_object,
    an_object_or_none,
    aware,
    dumped,
    present,
    whole,
)

TEXTS: Final = ("text", "content", "memory", "data")
"""A value that has one of these alone is that text."""
BESIDE: Final = ("id", "type", "importance", "ttl", "tags", "metadata")


class LangGraph:
    """Items of a store; the namespace and the key stand in the metadata."""

    name = "langgraph"

    def entries(self, file: Path, progress: Progress) -> Iterator[tuple[int, Any]]:
        """See Form. The file is read at once."""
        document = whole(file, progress)
        found = document.get("items") if isinstance(document, dict) else document
        if not isinstance(found, list):
            raise InvalidMemory("no list of items, nor an object with one under `items`")
        yield from enumerate(found, 1)

    def parsed(self, entry: Any) -> Parsed:
        """See Form."""
        given = an_object(entry)
        names, key = given.get("namespace"), given.get("key")
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names) or not isinstance(key, str):
            raise InvalidMemory("an item has a list of names as its namespace, and a text as its key")
        value = an_object_or_none(given, "value")
        timestamp = aware(given.get("created_at"), "created_at")
        ours = value.pop(OURS, None)
        if isinstance(ours, dict):  # it was ours before it was theirs
            beside = {name: ours[name] for name in BESIDE if name in ours}
            return Parsed(present({**beside, "content": value.get("content"), "timestamp": timestamp}))
        told = {"namespace": names, "key": key, "updated_at": given.get("updated_at")}
        texts = [each for name, each in value.items() if name in TEXTS and isinstance(each, str)]
        return Parsed(
            present(
                {
                    # a key names an item within its namespace only
                    "id": str(uuid.uuid5(NAMESPACE, dumped([*names, key]))),
                    "content": texts[0] if len(texts) == len(value) == 1 else value or None,
                    "type": "semantic",
                    "timestamp": timestamp,
                    "metadata": present(told),
                }
            )
        )

    def header(self, model: str | None) -> str:  # noqa: ARG002 - there are no vectors in it
        """See Form."""
        return "[\n"

    def written(self, line: str, *, first: bool) -> str:
        """See Form."""
        fields = json.loads(line)
        told = {
            "namespace": ["trinitas", fields["persona"]],
            "key": fields["id"],
            "value": {"content": fields["content"], OURS: present({name: fields[name] for name in BESIDE})},
            "created_at": fields["timestamp"],
            "updated_at": fields["timestamp"],
        }
        return ("" if first else ",\n") + dumped(told)

    def footer(self) -> str:
        """See Form."""
        return "\n]\n"
