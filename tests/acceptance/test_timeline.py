"""Changing memories and reading them in the order of their time, on real services."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support import wait_until
from trinitas_tasks import MemoryClient, Settings
from trinitas_tasks.errors import InvalidQuery, NotFound
from trinitas_tasks.policy.personas import Persona

T0 = datetime(2026, 5, 1, tzinfo=UTC)


def test_a_changed_memory_is_found_by_what_it_says_now_and_stands_at_its_time(
    client: MemoryClient, persona: str, operator: MemoryClient, stack_settings: Settings
) -> None:
    other = f"{persona}-x"
    operator.define(Persona(name=other))
    ids = [client.remember(f"Entry {n} of the diary.", timestamp=T0 + timedelta(days=n)) for n in range(9)]
    wait_until(lambda: client.stats().vectors == 9, 60)
    client.share(ids[0], to=other)
    with pytest.raises(NotFound):
        client.update(ids[0], persona=other, content="Somebody else's words.")
    changed = client.update(ids[0], content="The lighthouse was painted red.", timestamp=T0 + timedelta(days=20))
    assert (changed.id, changed.timestamp) == (ids[0], T0 + timedelta(days=20))
    for reader in (persona, other):
        found = client.recall("Which colour has the lighthouse?", persona=reader, limit=1)
        assert [(hit.item.id, hit.item.content) for hit in found] == [(ids[0], "The lighthouse was painted red.")]
        first = client.timeline(persona=reader, limit=1)[0]
        assert (first.id, first.content, first.timestamp) == (ids[0], changed.content, changed.timestamp)
    wait_until(lambda: not client.stats().pending, 60)
    hit = client.recall("Which colour has the lighthouse?", limit=1)[0]
    assert hit.why["dense_rank"] == 1

    fresh = client.remember("An entry that nobody has archived.", timestamp=T0 + timedelta(days=7, hours=1))
    client.forget(ids[8])
    expected = [ids[0], fresh, *ids[7:0:-1]]
    with MemoryClient.connect(stack_settings, persona=persona) as far:
        far._archive = None  # as on another machine: the workers answer
        for each in (client, far):
            page = each.timeline(limit=4)
            seen = [item.id for item in page]
            while page.next:
                page = each.timeline(limit=4, after=page.next)
                assert page.degraded == ()
                seen += [item.id for item in page]
            assert seen == expected
    assert [item.id for item in client.timeline(persona=other)] == [ids[0]]
    with pytest.raises(InvalidQuery):
        client.timeline(persona=other, after=client.timeline(limit=1).next)
