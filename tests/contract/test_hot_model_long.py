"""The two hot tiers, driven by the same random calls, never differ."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.contract.benches import Bench, MemoryBench, RedisBench
from tests.support import Valkey, memory
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.tiers.hot.interface import Claimed, Finished, Gone, Grave, HotTier, Write

PERSONAS = ("a", "a-b")
KEYS = st.builds(Key, st.sampled_from(PERSONAS), st.sampled_from(("1", "b:1", "x/y")))
CONTENTS = st.sampled_from(("one", "two", {"three": "🦊" * 2000}))
# no sum of these steps is near one of the times below: 20, 30 and 60 s
STEPS = st.sampled_from((7, 50))
DEDUP_SECONDS, LEASE_SECONDS, HOT_SECONDS = 20, 30, 60


class TwoTiers(RuleBasedStateMachine):
    """Versions differ, since each tier reads its own clock; everything else is compared."""

    def __init__(self, benches: tuple[Bench, Bench]) -> None:
        super().__init__()
        self.benches = benches
        self.tiers: tuple[HotTier, HotTier] = (
            benches[0].tier(dedup_seconds=DEDUP_SECONDS),
            benches[1].tier(dedup_seconds=DEDUP_SECONDS),
        )
        self.claimed: list[tuple[Claimed, Claimed]] = []
        self.graves: list[tuple[Grave, Grave]] = []
        self.names = itertools.count()

    def teardown(self) -> None:
        for bench in self.benches:
            bench.close()

    @rule(key=KEYS, content=CONTENTS)
    def write(self, key: Key, content: object) -> None:
        self._write(memory(content, id=key.id, persona=key.persona), None)

    @rule(persona=st.sampled_from(PERSONAS), content=st.sampled_from(("one", "two")))
    def say(self, persona: str, content: str) -> None:
        self._write(memory(content, id=f"n{next(self.names)}", persona=persona), content)

    def _write(self, item: MemoryItem, said: str | None) -> None:
        one, two = (tier.write([Write(item, said)]) for tier in self.tiers)
        assert (one.ids, one.fresh) == (two.ids, two.fresh)

    @rule(key=KEYS)
    def forget(self, key: Key) -> None:
        for tier in self.tiers:
            tier.forget([key])

    @rule(lease=st.sampled_from((0, LEASE_SECONDS)))
    def claim(self, lease: int) -> None:
        one, two = (sorted(tier.claim(1000, lease), key=lambda each: each.key) for tier in self.tiers)
        assert [(each.key, each.body) for each in one] == [(each.key, each.body) for each in two]
        self.claimed += zip(one, two, strict=True)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        pair = data.draw(st.sampled_from(self.claimed))
        one, two = (
            tier.finish([Finished(each.key, each.version, HOT_SECONDS)])
            for tier, each in zip(self.tiers, pair, strict=True)
        )
        assert one == two

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def refill(self, data: st.DataObject) -> None:
        pair = data.draw(st.sampled_from(self.claimed))
        for tier, each in zip(self.tiers, pair, strict=True):
            tier.refill([(Record(MemoryItem.from_json(each.body), each.version), HOT_SECONDS)])

    @rule(lease=st.sampled_from((0, LEASE_SECONDS)))
    def claim_graves(self, lease: int) -> None:
        one, two = (sorted(tier.claim_graves(1000, lease), key=lambda each: each.key) for tier in self.tiers)
        assert [each.key for each in one] == [each.key for each in two]
        self.graves += zip(one, two, strict=True)

    @precondition(lambda self: self.graves)
    @rule(data=st.data())
    def bury(self, data: st.DataObject) -> None:
        pair = data.draw(st.sampled_from(self.graves))
        for tier, each in zip(self.tiers, pair, strict=True):
            tier.bury([each])

    @rule(key=KEYS, touch=st.booleans())
    def read(self, key: Key, touch: bool) -> None:
        one, two = (_shown(tier.read(key.persona, [key.id], touch=touch)[0]) for tier in self.tiers)
        assert one == two

    @rule()
    def take_accesses(self) -> None:
        one, two = ({(each.key, each.count) for each in tier.take_accesses(1000)} for tier in self.tiers)
        assert one == two

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
    return stats.outbox, stats.graves, stats.pending, tier.due(), pending


def _benches(server: Valkey, namespace: str) -> Iterator[tuple[Bench, Bench]]:
    for number in itertools.count():
        yield MemoryBench(), RedisBench(server, f"{namespace}:{number}")


def test_the_tiers_agree_on_any_sequence_of_calls(valkey: Valkey, namespace: str) -> None:
    benches = _benches(valkey, namespace)

    class OnThisServer(TwoTiers):
        def __init__(self) -> None:
            super().__init__(next(benches))

    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=1500,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
