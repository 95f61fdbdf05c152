"""What every hot tier tells of personas."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.benches import Bench, RedisBench, benches
from tests.support import Valkey
from trinitas_tasks.policy.personas import Persona, Roster
from trinitas_tasks.tiers.hot.interface import HotTier

ZOE = Persona(name="zoe", about="Writes 日本語.", rules={"forget_below": 0.5})
ROSTER = Roster({"zoe": ZOE}, frozenset({"hera", "athena"}))
YEAR = 366 * 86_400


@pytest.fixture(params=["memory", "redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from benches(request)


@pytest.fixture
def real(valkey: Valkey, namespace: str) -> Iterator[RedisBench]:
    made = RedisBench(valkey, namespace)
    yield made
    made.close()


@pytest.fixture
def hot(bench: Bench) -> HotTier:
    return bench.tier()


def test_nothing_is_known_at_first(hot: HotTier) -> None:
    assert hot.roster() is None


def test_what_was_kept_last_is_told_for_ever(hot: HotTier, bench: Bench) -> None:
    hot.keep_roster(Roster({}, frozenset({"zeus"})))
    hot.keep_roster(ROSTER)
    bench.advance(YEAR)
    assert hot.roster() == ROSTER
    assert (hot.roster() or Roster()).to_json() == ROSTER.to_json()


@pytest.mark.parametrize("kept", ["", "[]", "{}", '{"defined": [{"name": "zoe", "wings": 2}], "holders": []}', "\xff"])
def test_what_another_version_wrote_is_as_nothing(kept: str, real: RedisBench, namespace: str) -> None:
    hot = real.tier()
    hot.keep_roster(ROSTER)
    real.client.set(f"{namespace}:roster", kept.encode("latin-1"))
    assert hot.roster() is None
