"""The texts that are measured with: real conversation turns where a folder of them is given, else the sample's."""

from __future__ import annotations

import json
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any


def turns(folder: Path | None, number: int) -> list[dict[str, Any]]:
    """So many different memories (arguments of remember): the folder's first, then the sample's, over and over."""
    found = [] if folder is None else [_turn(json.loads(line)) for line in _lines(folder / "documents.jsonl")]
    sample = [json.loads(line) for line in _lines(Path(str(files("trinitas_tasks") / "sample" / "memories.jsonl")))]
    for lap in count():
        if len(found) >= number:
            break
        for memory in sample:
            found.append({**memory, "id": f"{memory['id']}/{lap}", "metadata": {**memory["metadata"], "lap": lap}})
    return found[:number]


def questions(folder: Path | None) -> list[str]:
    """Questions about them."""
    file = folder / "queries.jsonl" if folder else Path(str(files("trinitas_tasks") / "sample" / "questions.jsonl"))
    return [json.loads(line)["text"] for line in _lines(file)]


def _turn(document: dict[str, Any]) -> dict[str, Any]:
    metadata = {name: document[name] for name in ("speaker", "date", "session") if document.get(name) is not None}
    return {"id": document["id"], "content": document["text"], "metadata": metadata, "type": "episodic"}


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()
