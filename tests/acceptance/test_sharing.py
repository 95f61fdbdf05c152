"""Sharing between personas on real services: visible at once, revoked at once, never leaked, never lost."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable

import pytest
from redis import Redis

from tests.acceptance.conftest import Run
from tests.acceptance.test_promises import pid_of
from tests.support import wait_until
from trinitas_tasks import MemoryClient, Settings
from trinitas_tasks.errors import NotFound
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.policy.personas import Persona
from trinitas_tasks.query import Recall
from trinitas_tasks.runtime import Runtime

TREASURE = "The treasure lies under the old lighthouse."
QUESTION = "Where is the treasure?"


@pytest.fixture
def other(persona: str, operator: MemoryClient) -> str:
    """Another persona; the command line knows it."""
    name = f"{persona}-x"
    operator.define(Persona(name=name))
    return name


def ids(found: Recall) -> list[str]:
    return [hit.item.id for hit in found]


def archived(client: MemoryClient) -> None:
    wait_until(lambda: client.stats().vectors == 1, 60)


def told(settings: Settings, owner: str, memory_id: str, grantee: str, *, revoked: bool) -> None:
    """Wait until the archive knows."""
    runtime = Runtime(settings)

    def knows() -> bool:
        grants = runtime.archive.grants(owner, [memory_id])[0]
        return any((each.grantee, each.revoked) == (grantee, revoked) for each in grants)

    wait_until(knows, 60)
    runtime.close()


@pytest.mark.parametrize("wait", [False, True], ids=["fresh", "archived"])
def test_what_is_shared_is_seen_at_once_by_another_client(
    client: MemoryClient, other: str, stack_settings: Settings, wait: bool
) -> None:
    with MemoryClient.connect(stack_settings, persona=other) as theirs:
        given = client.remember(TREASURE)
        if wait:
            archived(client)
        assert (theirs.get(given), ids(theirs.recall(QUESTION))) == (None, [])
        began = time.monotonic()
        client.share(given, to=other)
        wait_until(lambda: theirs.get(given), 5)
        assert time.monotonic() - began < 1.0, "some milliseconds, on two busy cores"
        hit = theirs.recall(QUESTION)[0]
        assert (hit.item.id, hit.item.content, hit.item.persona) == (given, TREASURE, client._persona)
        assert "similarity" in hit.why or not wait


def test_a_revoked_grant_leaks_nowhere(
    client: MemoryClient, persona: str, other: str, stack_settings: Settings
) -> None:
    given = client.remember(TREASURE)
    archived(client)
    client.share(given, to=other)
    with MemoryClient.connect(stack_settings, persona=other) as theirs:
        own = theirs.remember("A map of lighthouses.")
        wait_until(lambda: theirs.stats().pending == 0, 60)
        wait_until(lambda: given in ids(warm := theirs.recall(QUESTION)) and warm.cached, 60)
        client.unshare(given, to=other)
        ways: list[Callable[[], object]] = [
            lambda: theirs.get(given),
            lambda: theirs.get(given, owner=persona),
            lambda: given in ids(theirs.recall(QUESTION)),
            lambda: given in ids(theirs.recall(TREASURE, limit=100)),
            lambda: theirs.remember(TREASURE) == given,
        ]
        assert [way() for way in ways if way()] == []
        assert own in ids(theirs.recall(QUESTION))
        with pytest.raises(NotFound):
            theirs.share(given, to=persona)
    assert client.shared_with(given) == frozenset()
    assert client.get(given) is not None


def test_forgetting_ends_what_was_shared(client: MemoryClient, other: str) -> None:
    given = client.remember(TREASURE)
    archived(client)
    client.share(given, to=other)
    client.forget(given, persona=other)
    assert client.get(given, persona=other) is not None, "a grantee forgets nothing of the owner's"
    client.forget(given)
    assert client.get(given, persona=other) is None
    assert ids(client.recall(QUESTION, persona=other)) == []
    wait_until(lambda: client.stats().vectors == 0, 60)
    client.remember("Something else.", id=given)
    assert client.get(given, persona=other) is None
    assert client.shared_with(given) == frozenset()


def test_grants_and_revocations_survive_the_end_of_redis(
    client: MemoryClient, other: str, stack_settings: Settings
) -> None:
    shared, revoked = client.remember(TREASURE), client.remember("The password is walrus.")
    for each in (shared, revoked):
        client.share(each, to=other)
    client.unshare(revoked)
    stack = Stack(stack_settings)
    before = pid_of(stack, "valkey")
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: pid_of(stack, "valkey") not in (0, before), 60)
    with MemoryClient.connect(stack_settings, persona=other) as theirs:
        wait_until(theirs.health, 60)
        wait_until(lambda: theirs.get(shared, owner=client._persona), 60)
        assert theirs.get(revoked, owner=client._persona) is None


def test_what_redis_lost_of_grants_comes_back_from_the_archive(
    client: MemoryClient, persona: str, other: str, stack_settings: Settings, trinitas: Run
) -> None:
    shared, revoked = client.remember(TREASURE), client.remember("The password is walrus.")
    for each in (shared, revoked):
        client.share(each, to=other)
    client.unshare(revoked)
    wait_until(lambda: client.stats().pending == 0, 60)
    told(stack_settings, persona, shared, other, revoked=False)
    told(stack_settings, persona, revoked, other, revoked=True)
    with Redis.from_url(stack_settings.redis()) as raw:  # all of these two personas
        lost = [name for name in raw.scan_iter(f"{stack_settings.namespace}:*{persona}*")]
        assert raw.delete(*lost) > 5
    assert client.get(shared, persona=other) is None, "it fails closed"
    assert trinitas("verify", "--repair").returncode == 0
    found = client.get(shared, persona=other)
    assert found is not None
    assert found.content == TREASURE
    assert client.get(revoked, persona=other) is None
    assert client.shared_with(shared) == {other}
    assert client.shared_with(revoked) == frozenset()
    assert ids(client.recall("treasure walrus password", persona=other)) == [shared]


def test_the_command_line_shares(client: MemoryClient, persona: str, other: str, trinitas: Run) -> None:
    given = client.remember(TREASURE)
    done = trinitas("share", given, "--to", other, "--to", "seshat", "-p", persona, "--json")
    assert json.loads(done.stdout) == {"shared_with": sorted([other, "seshat"])}
    assert trinitas("get", given, "-p", other).returncode == 0
    assert trinitas("shared", given, "-p", persona).stdout.split() == sorted([other, "seshat"])
    assert trinitas("unshare", given, "--to", other, "-p", persona).stdout.split() == ["seshat"]
    assert trinitas("get", given, "-p", other).returncode == 1
    assert "nobody" in trinitas("unshare", given, "-p", persona).stderr
    refused = trinitas("share", given, "--to", "seshat", "-p", other)
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
    assert f"error: {other} has no memory {given}" in refused.stderr
