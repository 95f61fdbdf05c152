"""What update() changes, what it leaves, and what it refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.clients import Bench, got
from trinitas_tasks.client import MemoryClient


@pytest.fixture
def client(bench: Bench) -> MemoryClient:
    return bench.client()


def test_what_is_given_is_changed_and_all_else_stays(client: MemoryClient) -> None:
    before: dict[str, Any] = {
        "type": "semantic", "timestamp": datetime(2026, 1, 2, tzinfo=UTC), "importance": 0.25, "ttl": 60,
        "metadata": {"a": 1, "b": 2}, "tags": ("x", "y"),
    }  # fmt: skip
    memory_id = client.remember("Ann drinks tea.", **before)
    kept = got(client, memory_id)
    changed = client.update(memory_id, content="Ann drinks coffee.", metadata={"c": 3})
    assert changed == kept.model_copy(update={"content": "Ann drinks coffee.", "metadata": {"c": 3}})
    assert got(client, memory_id).content == "Ann drinks coffee."
