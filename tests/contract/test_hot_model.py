"""The two hot tiers, driven by the same random calls, never differ."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.contract.benches import Bench, MemoryBench, RedisBench
from tests.support import Valkey, memory
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.policy.chronology import Span
from trinitas_tasks.tiers.hot.interface import Claimed, Finished, Gone, Grave, HotTier, Noted, Said, Signal, Write

PERSONAS = ("a", "a-b")
ALL = [Key(*each) for each in itertools.product(PERSONAS, ("1", "b:1", "x/y"))]
KEYS = st.sampled_from(ALL)
CONTENTS = st.sampled_from(("one", "two", {"three": "🦊" * 2000}))
# no sum of these steps is near one of the times below: 20, 30 and 60 s
STEPS = st.sampled_from((7, 50))
DEDUP_SECONDS, LEASE_SECONDS, HOT_SECONDS, LEAVING_SECONDS = 20, 30, 60, 35
SAID_AT = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
ROOM_FOR_ALL, ROOM_FOR_THREE = 100.0, 0.003


class TwoTiers(RuleBasedStateMachine):
    """Versions differ, since each tier reads its own clock, but not their order; everything else is compared."""

    def __init__(self, benches: tuple[Bench, Bench], cache_mb: float = ROOM_FOR_ALL) -> None:
        super().__init__()
        self.benches = benches
        self.tiers: tuple[HotTier, HotTier] = (
            benches[0].tier(dedup_seconds=DEDUP_SECONDS, cache_mb=cache_mb),
            benches[1].tier(dedup_seconds=DEDUP_SECONDS, cache_mb=cache_mb),
        )
        self.batches = [0, 0]
        self.claimed: list[tuple[Claimed, Claimed]] = []
        self.graves: list[tuple[Grave, Grave]] = []
        self.highest = [0, 0]
        self.changes: list[tuple[Key, tuple[int, int]]] = []
        self.spool: list[tuple[Key, object, tuple[int, int]]] = []
        self.names = itertools.count()

    def teardown(self) -> None:
        for bench in self.benches:
            bench.close()

    @rule(key=KEYS, content=CONTENTS)
    def write(self, key: Key, content: object) -> None:
        self._write(_item(key, content), None)

    @rule(persona=st.sampled_from(PERSONAS), content=st.sampled_from(("one", "two")))
    def say(self, persona: str, content: str) -> None:
        self._write(memory(content, id=f"n{next(self.names)}", persona=persona), content)

    def _write(self, item: MemoryItem, said: str | None) -> None:
        one, two = (tier.write([Write(item, said)]) for tier in self.tiers)
        assert (one.ids, one.fresh) == (two.ids, two.fresh)
        self._changed(Key(item.persona, one.ids[0]), (one.version, two.version), new=one.fresh > 0)

    @rule(key=KEYS)
    def forget(self, key: Key) -> None:
        one, two = (tier.forget([key]) for tier in self.tiers)
        self._changed(key, (one.version, two.version), new=True)

    def _changed(self, key: Key, versions: tuple[int, int], *, new: bool) -> None:
        self.changes.append((key, versions))
        for tier, version in enumerate(versions):
            assert version > self.highest[tier] or not new
            self.highest[tier] = max(self.highest[tier], version)

    @rule(key=KEYS, content=st.none() | CONTENTS)
    def spool_a_change(self, key: Key, content: object) -> None:
        """As a client does while the hot tier is away (None: a forget), with a version that nobody else has."""
        one, two = (highest + 5 for highest in self.highest)
        self.spool.append((key, content, (one, two)))
        self.advance()

    @rule()
    def advance(self) -> None:
        for number, tier in enumerate(self.tiers):
            self.highest[number] += 10
            tier.advance(self.highest[number])

    @precondition(lambda self: self.spool)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        key, content, versions = data.draw(st.sampled_from(self.spool))
        item = None if content is None else _item(key, content)
        one, two = (_replayed(tier, key, item, version) for tier, version in zip(self.tiers, versions, strict=True))
        assert (one[0] == versions[0], one[1]) == (two[0] == versions[1], two[1])
        self._changed(key, (one[0], two[0]), new=False)

    @rule(lease=st.sampled_from((0, LEASE_SECONDS)))
    def claim(self, lease: int) -> None:
        one, two = (sorted(tier.claim(1000, lease), key=lambda each: each.key) for tier in self.tiers)
        assert [(each.key, each.body) for each in one] == [(each.key, each.body) for each in two]
        self.claimed += zip(one, two, strict=True)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), seconds=st.sampled_from((HOT_SECONDS, HOT_SECONDS, 0)), slides=st.booleans())
    def finish(self, data: st.DataObject, seconds: int, *, slides: bool) -> None:
        pair = data.draw(st.sampled_from(self.claimed))
        one, two = (
            tier.finish([Finished(each.key, each.version, seconds, slides=slides)])
            for tier, each in zip(self.tiers, pair, strict=True)
        )
        assert one == two

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), asked=st.booleans(), reads=st.sampled_from((0, 1, 5)))
    def refill(self, data: st.DataObject, reads: int, *, asked: bool) -> None:
        pair = data.draw(st.sampled_from(self.claimed))
        for tier, each in zip(self.tiers, pair, strict=True):
            item = MemoryItem.from_json(each.body, access_count=reads)
            tier.refill([(Record(item, each.version), HOT_SECONDS)], asked=asked)

    @rule(lease=st.sampled_from((0, LEASE_SECONDS)))
    def claim_graves(self, lease: int) -> None:
        one, two = (sorted(tier.claim_graves(1000, lease), key=lambda each: each.key) for tier in self.tiers)
        assert [each.key for each in one] == [each.key for each in two]
        self.graves += zip(one, two, strict=True)

    @precondition(lambda self: self.graves)
    @rule(data=st.data(), superseded=st.booleans())
    def bury(self, data: st.DataObject, *, superseded: bool) -> None:
        pair = data.draw(st.sampled_from(self.graves))
        for tier, each in zip(self.tiers, pair, strict=True):
            tier.bury([] if superseded else [each], superseded=[each] if superseded else [])

    @precondition(lambda self: self.changes)
    @rule(data=st.data(), seconds=st.sampled_from((0, LEASE_SECONDS)))
    def give_back(self, data: st.DataObject, seconds: int) -> None:
        key, versions = data.draw(st.sampled_from(self.changes))
        for tier, version in zip(self.tiers, versions, strict=True):
            tier.give_back([(key, version)], seconds)

    @precondition(lambda self: self.changes)
    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        key, versions = data.draw(st.sampled_from(self.changes))
        for tier, version in zip(self.tiers, versions, strict=True):
            tier.requeue([(key, version)])

    @rule(key=KEYS, touch=st.booleans())
    def read(self, key: Key, touch: bool) -> None:
        one, two = (_shown(tier.read(key.persona, [key.id], touch=touch)[0]) for tier in self.tiers)
        assert one == two

    @rule()
    def noted(self) -> None:
        one, two = (tier.noted(1000) for tier in self.tiers)
        assert _of(one) == _of(two)
        for number, noted in enumerate((one, two)):
            assert noted.batch in (0, self.batches[number]) or noted.batch > self.highest[number]
            self.batches[number] = noted.batch or self.batches[number]

    @rule()
    def settled(self) -> None:
        for tier, batch in zip(self.tiers, self.batches, strict=True):
            tier.settled(batch)

    @rule(key=KEYS, said=st.sampled_from(Said))
    def signal(self, key: Key, said: Said) -> None:
        for tier in self.tiers:
            tier.say([Signal(key, "a-b", said, SAID_AT)])

    @precondition(lambda self: self.changes)
    @rule(data=st.data(), content=CONTENTS, late=st.sampled_from((None, 0, 1)), tells=st.booleans())
    def replace(self, data: st.DataObject, content: object, late: int | None, *, tells: bool) -> None:
        """By one who asked so many changes ago."""
        key, versions = data.draw(st.sampled_from(self.changes))
        item = _item(key, content)
        replaced = [
            tier.replace(
                item,
                version,
                generation=None if late is None else tier.probe(key.persona, "").generation - late,
                tells=tells,
            )
            for tier, version in zip(self.tiers, versions, strict=True)
        ]
        assert not any(each.nudge for each in replaced) or tells
        one, two = (each.version for each in replaced)
        assert (one == 0, one == versions[0]) == (two == 0, two == versions[1])
        if one:
            self._changed(key, (one, two), new=one != versions[0])

    @rule()
    def leaving(self) -> None:
        one, two = ({each.key for each in tier.leaving(LEAVING_SECONDS, 1000)} for tier in self.tiers)
        assert one == two

    @precondition(lambda self: self.changes)
    @rule(data=st.data())
    def prove(self, data: st.DataObject) -> None:
        key, versions = data.draw(st.sampled_from(self.changes))
        for tier, version in zip(self.tiers, versions, strict=True):
            tier.prove([(key, version)])

    @rule(seconds=STEPS)
    def time_passes(self, seconds: int) -> None:
        for bench in self.benches:
            bench.advance(seconds)

    @invariant()
    def they_agree(self) -> None:
        one, two = (_state(tier) for tier in self.tiers)
        assert one == two


def _shown(record: Record | Gone | None) -> object:
    if isinstance(record, Record):
        return record.item.to_json(), record.item.access_count
    return type(record)


def _state(tier: HotTier) -> object:
    stats = tier.stats("a")
    pending = {each.item.to_json() for persona in PERSONAS for each in tier.pending(persona, 1000)}
    copies = tier.copies()
    assert copies.bytes <= copies.limit
    return (
        stats.outbox, stats.graves, stats.pending, tier.due(), pending, _standing(tier), copies, tier.reads(),
        _timeline(tier),
    )  # fmt: skip


def _timeline(tier: HotTier) -> object:
    """What is not archived, in both orders, and where."""
    found = [[_shown(each) for each in tier.waiting(persona, Span(newest_first=newest), 1000).records]
             for persona in PERSONAS for newest in (True, False)]  # fmt: skip
    return found, sorted(tier.places(ALL))


def _item(key: Key, content: object) -> MemoryItem:
    """Of a time that its content tells."""
    return memory(content, id=key.id, persona=key.persona, timestamp=SAID_AT + timedelta(seconds=len(str(content)) % 3))


def _standing(tier: HotTier) -> object:
    """All that stands, in the order of the versions."""
    cursor, found = tier.scan(0, 1000)
    while cursor:
        cursor, more = tier.scan(cursor, 1000)
        found += more
    asked = tier.standings([each.key for each in found])
    assert asked == found
    standing = {each.key: each for each in found}.values()
    return [(each.key, each.gone, each.copy, each.queued) for each in sorted(standing, key=lambda each: each.version)]


def _of(noted: Noted) -> object:
    """Without times and numbers."""
    return (
        {(each.key, each.count) for each in noted.accesses},
        [(each.persona, each.keys) for each in noted.steps],
        noted.signals,
    )


def _replayed(tier: HotTier, key: Key, item: MemoryItem | None, version: int) -> tuple[int, int]:
    """The version that stands then, and whether anything changed."""
    before = tier.probe(key.persona, "").generation
    standing = tier.write([Write(item, version=version)]) if item else tier.forget([key], versions=[version])
    return standing.version, tier.probe(key.persona, "").generation - before


def _benches(server: Valkey, namespace: str) -> Iterator[tuple[Bench, Bench]]:
    for number in itertools.count():
        yield MemoryBench(), RedisBench(server, f"{namespace}:{number}")


@pytest.mark.parametrize("cache_mb", [ROOM_FOR_ALL, ROOM_FOR_THREE])
def test_the_tiers_agree_on_any_sequence_of_calls(valkey: Valkey, namespace: str, cache_mb: float) -> None:
    benches = _benches(valkey, namespace)

    class OnThisServer(TwoTiers):
        def __init__(self) -> None:
            super().__init__(next(benches), cache_mb)

    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
