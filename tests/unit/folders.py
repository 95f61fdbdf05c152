"""A folder that can be evaluated, in two languages."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trinitas_tasks.interfaces.evaluation.folder import Dataset
from trinitas_tasks.interfaces.evaluation.preparing import Prepared, prepare
from trinitas_tasks.model import MemoryType

NOW = datetime(2026, 6, 3, 12, tzinfo=UTC)
Lines = list[dict[str, Any] | str]

DOCUMENTS: Lines = [
    {"id": "D1:1", "group": "conv 26", "text": "Ann drinks green tea.", "speaker": "Ann", "date": "2023-05-08"},
    {"id": "D1:2", "group": "conv 26", "text": "The staging database moved to port 5433.", "caption": None},
    {"id": "D1:3", "group": "conv 26", "text": "To deploy the database, run make.", "type": "procedural"},
    {"id": "東京/1", "group": "日本", "text": "東京都庁の展望台は夜も開いている。"},
    {"id": "東京/2", "group": "日本", "text": "The staging database is in Tokyo."},
]
QUERIES: Lines = [
    {"id": "q1", "group": "conv 26", "text": "Which port has the staging database?", "category": 4},
    {"id": "q2", "group": "conv 26", "text": "What does Ann drink?", "category": "tea"},
    {"id": "q3", "group": "日本", "text": "展望台は夜に開いていますか", "category": "tea"},
    {"id": "unanswered", "group": "日本", "text": "Who?", "category": "tea"},
]
QRELS: Lines = [
    {"query_id": "q1", "doc_id": "D1:2", "relevance": 1},
    {"query_id": "q1", "doc_id": "D1:3", "relevance": 1},
    {"query_id": "q2", "doc_id": "D1:1"},
    {"query_id": "q3", "doc_id": "東京/1", "relevance": 1},
    {"query_id": "q3", "doc_id": "東京/2", "relevance": 0},
]


def written(folder: Path, **files: Lines) -> Path:
    for name, lines in {"documents": DOCUMENTS, "queries": QUERIES, "qrels": QRELS, **files}.items():
        texts = [each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in lines]
        (folder / f"{name}.jsonl").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return folder


def prepared(dataset: Dataset) -> Prepared:
    return prepare(dataset, kind=MemoryType.SEMANTIC, now=NOW)
