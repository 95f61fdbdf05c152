"""A folder to be evaluated: documents.jsonl, queries.jsonl and qrels.jsonl, UTF-8, one JSON object a line.

    documents.jsonl   {"id", "group", "text", …}            whatever else a document has becomes part of its memory
    queries.jsonl     {"id", "group", "text", "category"}   answered from the documents of its group
    qrels.jsonl       {"query_id", "doc_id", "relevance"}   which documents answer a question

The category and the relevance (then 1; 0: does not answer) may be left out. Questions without relevant documents are
not asked, since no ranking of them is better than another.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.errors import DatasetError

QRELS: Final = "qrels"
NO_CATEGORY: Final = "none"
SHOWN_CHARACTERS: Final = 60
BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file, counted from 1, and the object that it holds."""

    file: Path
    number: int
    fields: Mapping[str, Any]

    def wrong(self, what: str) -> DatasetError:
        """The error that says what is wrong here."""
        return DatasetError(f"{self.file} line {self.number}: {what}")

    def text(self, name: str) -> str:
        """A field that must be there and hold text. Raises: DatasetError."""
        match self.fields.get(name):
            case str() as value if value.strip():
                return value
            case None:
                raise self.wrong(f"{name} is missing")
            case other:
                raise self.wrong(f"{name} is {json.dumps(other)[:SHOWN_CHARACTERS]}, but must be text")


@dataclass(frozen=True, slots=True)
class Document:
    """One document, and the line on which it stands."""

    id: str
    group: str
    text: str
    line: Line


@dataclass(frozen=True, slots=True)
class Question:
    """One question to the documents of its group."""

    id: str
    group: str
    text: str
    category: str
    line: Line


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a folder holds. ``relevant`` has, by the id of each question, the ids of the documents that answer it."""

    folder: Path
    documents: tuple[Document, ...]
    questions: tuple[Question, ...]
    relevant: Mapping[str, frozenset[str]]

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of the documents, in the order in which they come."""
        return tuple(dict.fromkeys(each.group for each in self.documents))

    def sampled(self, number: int | None, *, seed: int = 0) -> Dataset:
        """With only so many questions, drawn by chance; all if it has no more. The documents stay."""
        if number is None or number >= len(self.questions):
            return self
        drawn = random.Random(seed).sample(self.questions, number)
        return Dataset(self.folder, self.documents, tuple(drawn), self.relevant)


def load(folder: Path, *, qrels: str = QRELS) -> Dataset:
    """Read a folder; ``qrels`` names another file of relevant documents, without its .jsonl.

    Raises: DatasetError, naming the file and the line.
    """
    documents = [_document(line) for line in _lines(folder / "documents.jsonl")]
    questions = [_question(line) for line in _lines(folder / "queries.jsonl")]
    groups = {each.group for each in documents}
    for each in questions:
        if each.group not in groups:
            raise each.line.wrong(f"group {each.group!r} has no documents")
    known = _unique(questions), _unique(documents)
    relevant = _relevant(folder / f"{qrels}.jsonl", *known)
    asked = tuple(each for each in questions if each.id in relevant)
    return Dataset(folder, tuple(documents), asked, relevant)


def _document(line: Line) -> Document:
    return Document(line.text("id"), line.text("group"), line.text("text"), line)


def _question(line: Line) -> Question:
    category = line.fields.get("category")
    named = NO_CATEGORY if category is None else str(category)
    return Question(line.text("id"), line.text("group"), line.text("text"), named, line)


def _relevant(file: Path, questions: Collection[str], documents: Collection[str]) -> dict[str, frozenset[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for line in _lines(file):
        question, document = line.text("query_id"), line.text("doc_id")
        if question not in questions:
            raise line.wrong(f"query_id {question!r} is not in queries.jsonl")
        if document not in documents:
            raise line.wrong(f"doc_id {document!r} is not in documents.jsonl")
        if _answers(line):
            found[question].add(document)
    if not found:
        raise DatasetError(f"{file}: no document answers any question")
    return {question: frozenset(answers) for question, answers in found.items()}


def _answers(line: Line) -> bool:
    match line.fields.get("relevance", 1):
        case int() | float() as relevance:
            return relevance > 0
        case other:
            raise line.wrong(f"relevance is {json.dumps(other)[:SHOWN_CHARACTERS]}, but must be a number")


def _lines(file: Path) -> list[Line]:
    """The lines of a file, but for blank ones; there is at least one."""
    try:
        with file.open("rb") as lines:
            texts = [(number, text.removeprefix(BOM).strip()) for number, text in enumerate(lines, 1)]
    except OSError as error:
        raise DatasetError(f"{file} cannot be read: {error.strerror or error}") from error
    found = [Line(file, number, _object(text, file, number)) for number, text in texts if text]
    if not found:
        raise DatasetError(f"{file} is empty")
    return found


def _object(text: bytes, file: Path, number: int) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{file} line {number}: not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise DatasetError(f"{file} line {number}: not a JSON object")
    return fields


def _unique(named: Sequence[Document] | Sequence[Question]) -> set[str]:
    """Their ids. Raises: DatasetError for one that comes twice."""
    seen: dict[str, int] = {}
    for each in named:
        if each.id in seen:
            raise each.line.wrong(f"id {each.id!r} is that of line {seen[each.id]} too")
        seen[each.id] = each.line.number
    return set(seen)
