"""The two hot tiers, driven by the same random calls, never differ about who may read what."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from tests.contract.test_hot_model import KEYS, LEASE_SECONDS, PERSONAS, TwoTiers, _benches, _shown
from tests.support import Valkey
from trinitas_tasks.model import Key, Record
from trinitas_tasks.policy.grants import Grant, holders
from trinitas_tasks.tiers.hot.interface import Barred, Gone, Grants, HotTier

EVERY = [Key(persona, name) for persona in PERSONAS for name in ("1", "b:1", "x/y")]
READERS = (*PERSONAS, "hera", "x")
OTHERS = st.lists(st.sampled_from(READERS), min_size=1, max_size=2, unique=True)


class TwoSharing(TwoTiers):
    """``told`` are grants that an archive may know, of each tier its own account: versions differ, not their order."""

    def __init__(self, benches: tuple[object, object]) -> None:
        super().__init__(benches, 100)  # type: ignore[arg-type] # two benches
        self.told: list[tuple[Grants, Grants]] = []

    @rule(key=KEYS, grantees=OTHERS)
    def share(self, key: Key, grantees: list[str]) -> None:
        others = [each for each in grantees if each != key.persona]
        one, two = (tier.share(key, others) for tier in self.tiers)
        assert one.gone == two.gone
        self._seen(one.version, two.version)

    @rule(key=KEYS, grantees=st.none() | OTHERS)
    def unshare(self, key: Key, grantees: list[str] | None) -> None:
        one, two = (tier.unshare(key, grantees) for tier in self.tiers)
        self._seen(one.version, two.version)

    def _seen(self, *versions: int) -> None:
        self.highest = [max(pair) for pair in zip(self.highest, versions, strict=True)]

    @rule(lease=st.sampled_from((0, LEASE_SECONDS)))
    def claim_grants(self, lease: int) -> None:
        one, two = (sorted(tier.claim_grants(1000, lease), key=lambda each: each.key) for tier in self.tiers)
        assert [_marks(each) for each in one] == [_marks(each) for each in two]
        self.told += zip(one, two, strict=True)

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def finish_grants(self, data: st.DataObject) -> None:
        for tier, each in zip(self.tiers, data.draw(st.sampled_from(self.told)), strict=True):
            tier.finish_grants([each])

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def restore_grants(self, data: st.DataObject) -> None:
        for tier, each in zip(self.tiers, data.draw(st.sampled_from(self.told)), strict=True):
            tier.restore_grants(each.grants)

    @rule(key=KEYS)
    def requeue_grants(self, key: Key) -> None:
        for tier in self.tiers:
            tier.requeue_grants([key])

    @rule()
    def the_clearing_of_marks(self) -> None:
        for bench in self.benches:
            bench.advance(3700)

    @invariant()
    def they_agree_who_reads_what(self) -> None:
        one, two = (_sharing(tier) for tier in self.tiers)
        assert one == two


def _marks(grants: Grants) -> object:
    """In the order of the versions, without them."""
    rank = {version: place for place, version in enumerate(sorted({each.version for each in grants.grants}))}
    return grants.key, {(each.grantee, each.revoked, rank[each.version]) for each in grants.grants}


def _sharing(tier: HotTier) -> object:
    found = tier.grants(EVERY)
    read = {reader: [_told(each) for each in tier.read_scoped(reader, EVERY, touch=False)] for reader in READERS}
    listed = {reader: tier.granted(reader, 100) for reader in READERS}
    for reader in READERS:
        may = [key for key, grants in zip(EVERY, found, strict=True) if reader in _readers(grants.grants)]
        assert sorted(listed[reader]) == sorted(may)
        assert sorted(key for name in {key.id for key in EVERY} for key in tier.lenders(reader, name)) == sorted(may)
    generations = {reader: tier.probe(reader, "").generation for reader in READERS}
    return (
        [(_marks(each), each.queued) for each in found],
        read,
        {r: set(keys) for r, keys in listed.items()},
        {reader for reader, number in generations.items() if number},
    )


def _told(found: Record | Gone | Barred | None) -> object:
    return Barred if isinstance(found, Barred) else _shown(found)


def _readers(grants: tuple[Grant, ...]) -> frozenset[str]:
    return holders(grants)


def test_the_tiers_agree_on_any_sequence_of_grants(valkey: Valkey, namespace: str) -> None:
    benches = _benches(valkey, namespace)

    class OnThisServer(TwoSharing):
        def __init__(self) -> None:
            super().__init__(next(benches))

    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
