"""Real conversations through the client and real workers, and questions about them."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.support import wait_until
from trinitas_tasks import MemoryClient

SAMPLE = Path(str(files("trinitas_tasks") / "sample"))
DATA = Path(os.environ["EVAL_DATA"]) if "EVAL_DATA" in os.environ else None
SECONDS = 120


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def sample() -> tuple[list[dict[str, Any]], list[tuple[str, set[str]]]]:
    questions = [(each["text"], set(each["evidence"])) for each in lines(SAMPLE / "questions.jsonl")]
    return lines(SAMPLE / "memories.jsonl"), questions


def locomo() -> tuple[list[dict[str, Any]], list[tuple[str, set[str]]]]:
    """The first conversation of LoCoMo's development half."""
    assert DATA is not None
    folder = DATA / "locomo-dev"
    documents = lines(folder / "documents.jsonl")
    group = documents[0]["group"]
    memories = [
        {
            "id": each["id"],
            "content": each["text"],
            "metadata": {"speaker": each["speaker"], "date": each["date"], "session": each["session"]},
        }
        for each in documents
        if each["group"] == group
    ]
    evidence: defaultdict[str, set[str]] = defaultdict(set)
    for row in lines(folder / "qrels.jsonl"):
        evidence[row["query_id"]].add(row["doc_id"])
    queries = [each for each in lines(folder / "queries.jsonl") if each["group"] == group and each["id"] in evidence]
    return memories, [(each["text"], evidence[each["id"]]) for each in queries]


SETS = {"sample": sample, **({"locomo": locomo} if DATA is not None else {})}


@pytest.mark.parametrize("name", SETS)
def test_at_least_half_of_the_questions_find_one_of_their_memories(name: str, client: MemoryClient) -> None:
    memories, questions = SETS[name]()
    assert client.remember_many(memories) == [each["id"] for each in memories]
    wait_until(lambda: client.stats().pending == 0, SECONDS)
    found = [bool(evidence & {hit.item.id for hit in client.recall(text)}) for text, evidence in questions]
    assert sum(found) >= len(found) / 2, f"{sum(found)} of {len(found)}"
    counted = client.stats()
    assert sum((counted.by_type or {}).values()) == counted.vectors == len(memories)


def test_a_conversation_in_two_languages_comes_back_unharmed(client: MemoryClient) -> None:
    memories, _ = sample()
    client.remember_many(memories)
    for given in memories[::7]:
        kept = client.get(given["id"])
        assert kept is not None
        assert kept.content == given["content"]
        assert kept.metadata == given["metadata"]
        assert list(kept.tags) == given["tags"]
        assert kept.timestamp.isoformat() == kept.timestamp.astimezone(kept.timestamp.tzinfo).isoformat()
