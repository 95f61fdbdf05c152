"""Memories in the order of their time, wherever they are."""

from __future__ import annotations

from tests.unit.clients import Bench, Held


def test_pages_follow_one_another_while_memories_are_archived(bench: Bench) -> None:
    client = bench.client(Held, near=True)
    made = [client.remember(f"m{n}", timestamp=f"2026-01-0{n}T00:00:00Z") for n in range(1, 8)]
    first = client.timeline(limit=3)
    assert [item.id for item in first] == made[:3:-1]
    bench.world.settle()
    second = client.timeline(limit=3, after=first.next)
    assert [item.id for item in second] == made[3:0:-1]
    last = client.timeline(limit=3, after=second.next)
    assert [item.id for item in last] == made[:1]
    assert (last.next, last.degraded) == (None, ())
