"""The JSON of mem0: what its ``get_all()`` returns, ``{"results": [...]}`` or the list alone.

An entry: ``id``, ``memory``, ``hash``, ``metadata``, ``created_at``, ``updated_at``, and of ``user_id``, ``agent_id``,
``app_id``, ``run_id``, ``actor_id``, ``role``, ``attributed_to``, ``expiration_date`` those that it has; on the
platform also ``categories`` and more. Beside the memories of versions before 2 with a graph stand its ``relations``,
each with ``source``, ``relationship`` and ``target``.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
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

TAKEN: Final = frozenset({"id", "memory", "metadata", "created_at", "categories", "score"})
"""What a memory has a field for here; all else stands in its metadata."""
RELATION: Final = ("source", "relationship", "target")
BESIDE: Final = ("type", "importance", "ttl", "tags")


class Mem0:
    """Memories of mem0: facts, so semantic ones."""

    name = "mem0"

    def entries(self, file: Path, progress: Progress) -> Iterator[tuple[int, Any]]:
        """See Form. The file is read at once."""
        document = whole(file, progress)
        found = document.get("results") if isinstance(document, dict) else document
        if not isinstance(found, list):
            raise InvalidMemory("no list of memories, nor an object with one under `results`")
        relations = document.get("relations") if isinstance(document, dict) else None
        yield from enumerate([*found, *(relations if isinstance(relations, list) else [])], 1)

    def parsed(self, entry: Any) -> Parsed:
        """See Form."""
        given = an_object(entry)
        if given.keys() >= {*RELATION} and "memory" not in given:
            return _relation(given)
        metadata = an_object_or_none(given, "metadata")
        ours = metadata.pop(OURS, None)
        if isinstance(ours, dict):  # it was ours before it was theirs
            beside = {name: ours[name] for name in (*BESIDE, "content") if name in ours}
            content = beside.pop("content", given.get("memory"))
            return Parsed(present({**_same(given), **beside, "content": content, "metadata": metadata}))
        told = present({name: value for name, value in given.items() if name not in TAKEN})
        beside = {f"mem0_{name}" if name in metadata else name: value for name, value in told.items()}
        return Parsed(
            present(
                {
                    **_same(given),
                    "content": given.get("memory"),
                    "type": "semantic",
                    "tags": given.get("categories") or None,
                    "metadata": {**beside, **metadata},
                }
            )
        )

    def header(self, model: str | None) -> str:  # noqa: ARG002 - there are no vectors in it
        """See Form."""
        return '{"results":[\n'

    def written(self, line: str, *, first: bool) -> str:
        """See Form. The persona is an agent there."""
        fields = json.loads(line)
        content = fields["content"]
        text = content if isinstance(content, str) else dumped(content)
        ours = present({name: fields[name] for name in BESIDE})
        if text is not content:
            ours["content"] = content
        told = {
            "id": fields["id"],
            "memory": text,
            "hash": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
            "metadata": {**fields["metadata"], OURS: ours},
            "created_at": fields["timestamp"],
            "updated_at": fields["timestamp"],
            "agent_id": fields["persona"],
        }
        return ("" if first else ",\n") + dumped(told)

    def footer(self) -> str:
        """See Form."""
        return "\n]}\n"


def _relation(given: Mapping[str, Any]) -> Parsed:
    """What the graph knows, as a sentence."""
    told = [given[name] for name in RELATION]
    if not all(isinstance(each, str) for each in told):
        raise InvalidMemory("a relation has texts as its source, relationship and target")
    source, relationship, target = told
    fields = {
        "id": str(uuid.uuid5(NAMESPACE, dumped(told))),
        "content": f"{source} {relationship.replace('_', ' ')} {target}",
        "type": "semantic",
        "metadata": {"relation": told},
    }
    return Parsed(fields)


def _same(given: Any) -> dict[str, Any]:
    """What both have."""
    made = given.get("created_at") or given.get("updated_at")
    return {"id": given.get("id"), "timestamp": aware(made, "created_at")}
