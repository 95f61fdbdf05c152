"""Documents as memories and questions as queries, under names of their own: a group is a persona."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from trinitas_tasks.errors import InvalidMemory, InvalidQuery
from trinitas_tasks.interfaces.evaluation.folder import Dataset, Document, Question
from trinitas_tasks.model import MemoryItem, MemoryType
from trinitas_tasks.policy import dates
from trinitas_tasks.policy.metrics import DEPTH
from trinitas_tasks.policy.question import asked
from trinitas_tasks.query import Query

OWN: Final[tuple[str, ...]] = ("type", "tags", "importance", "timestamp")
"""Fields that are a memory's own where their values are good; otherwise, as all others, part of its metadata."""
PLAIN: Final[dict[str, Any]] = {
    "id": "x",
    "persona": "x",
    "content": "x",
    "type": MemoryType.SEMANTIC,
    "timestamp": datetime(2000, 1, 1, tzinfo=UTC),
}
"""Some memory: good, so that with one field of another value only that can be wrong."""
STRUCTURE: Final = frozenset({"id", "group", "text"})
TURN: Final = timedelta(milliseconds=1)
"""Between documents of one moment: turns of a conversation, whose order is that of the file."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is remembered (arguments of remember()) and asked, and which document each memory is."""

    dataset: Dataset
    memories: tuple[Mapping[str, Any], ...]
    queries: tuple[tuple[Question, Query], ...]
    documents: Mapping[str, str]
    """The documents' ids by those of their memories."""
    sizes: Mapping[str, int]
    """How many memories each persona has."""


def prepare(dataset: Dataset, *, kind: MemoryType, now: datetime) -> Prepared:
    """Make memories of this type, unless a document names its own; without a time they are of ``now``.

    Raises: DatasetError, naming the line of what cannot be remembered or asked.
    """
    personas = {group: f"group-{number}" for number, group in enumerate(dataset.groups, 1)}
    turns: Counter[datetime] = Counter()
    memories = []
    for number, document in enumerate(dataset.documents, 1):
        at = said_at(document) or now
        fields = _memory(document, personas[document.group], f"document-{number}", kind)
        memories.append({**fields, "timestamp": at + turns[at] * TURN})
        turns[at] += 1
    # "last week" is counted from when the newest document is of
    asked_at: dict[str, datetime] = {}
    for document in dataset.documents:
        if (moment := said_at(document)) is not None:
            asked_at[document.group] = max(moment, asked_at.get(document.group, moment))
    return Prepared(
        dataset,
        tuple(memories),
        tuple((each, _query(each, personas[each.group], asked_at.get(each.group, now))) for each in dataset.questions),
        {memory["id"]: document.id for memory, document in zip(memories, dataset.documents, strict=True)},
        Counter(memory["persona"] for memory in memories),
    )


def said_at(document: Document) -> datetime | None:
    """When a document is of, by its ``timestamp`` or else its ``date`` (as policy.dates reads them)."""
    fields = document.line.fields
    return _moment(fields.get("timestamp")) or _moment(fields.get("date"))


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    return dates.moment(value)


def _memory(document: Document, persona: str, memory_id: str, kind: MemoryType) -> dict[str, Any]:
    rest = {name: value for name, value in document.line.fields.items() if name not in STRUCTURE and value is not None}
    own = {name: rest.pop(name) for name in OWN if name in rest and _is_good(name, rest[name])}
    own.pop("timestamp", None)  # see said_at
    fields: dict[str, Any] = {"id": memory_id, "persona": persona, "content": document.text, "type": kind}
    fields.update(own, metadata=rest)
    try:
        MemoryItem.build(**{**PLAIN, **fields})
    except InvalidMemory as error:
        raise document.line.wrong(str(error)) from None
    return fields


def _is_good(name: str, value: object) -> bool:
    if name == "timestamp":
        return _moment(value) is not None
    try:
        MemoryItem.build(**{**PLAIN, name: value})
    except InvalidMemory:
        return False
    return True


def _query(question: Question, persona: str, now: datetime) -> Query:
    """As recall() asks; operators that exclude each other are left in the text."""
    try:
        query = Query.build(text=question.text, persona=persona, limit=DEPTH)
        return asked(query, now=now) or query
    except InvalidQuery as error:
        raise question.line.wrong(str(error)) from None
