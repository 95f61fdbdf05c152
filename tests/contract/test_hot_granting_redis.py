"""Sharing on a Redis that stalls, fills up, is killed or was tampered with."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.contract.benches import RedisBench, put
from tests.support import Valkey, key_of, memory
from trinitas_tasks.errors import DeadlineExceeded, Unavailable
from trinitas_tasks.policy.grants import holders
from trinitas_tasks.tiers.hot.interface import HotTier, Write
from trinitas_tasks.tiers.hot.redis import RedisHotTier
from trinitas_tasks.tiers.hot.redis_grants import RedisGrants
from trinitas_tasks.tiers.hot.server import Call

KEY = key_of(memory())


@pytest.fixture
def bench(valkey: Valkey, namespace: str) -> Iterator[RedisBench]:
    made = RedisBench(valkey, namespace)
    yield made
    made.close()


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Valkey]:
    """A server that a test may fill, stop and kill."""
    server = Valkey(tmp_path, ("--maxmemory", "16mb"))
    server.start()
    yield server
    server.stop()


def tier_at(server: Valkey, *, timeout_seconds: float = 5.0) -> RedisHotTier:
    return RedisHotTier(server.url, namespace="n", pool_size=5, timeout_seconds=timeout_seconds)


def shared_with(hot: HotTier) -> frozenset[str]:
    return holders(hot.grants([KEY])[0].grants)


def test_what_was_granted_and_revoked_survives_a_power_cut(private: Valkey) -> None:
    hot = tier_at(private)
    put(hot, memory())
    hot.share(KEY, ["hera", "zeus"])
    hot.unshare(KEY, ["zeus"])
    private.kill()
    private.start()
    assert shared_with(hot) == {"hera"}
    assert (hot.granted("hera", 10), hot.granted("zeus", 10)) == ([KEY], [])
    assert [each.key for each in hot.claim_grants(10, 30)] == [KEY]
    hot.close()


def test_a_share_that_was_given_up_does_not_come_later(private: Valkey) -> None:
    assert private.process is not None
    hasty, patient = tier_at(private, timeout_seconds=0.1), tier_at(private)
    put(patient, memory())
    hasty.share(KEY, ["zeus"])
    os.kill(private.process.pid, signal.SIGSTOP)
    with pytest.raises(DeadlineExceeded):
        hasty.share(KEY, ["hera"])
    until = hasty.fence
    os.kill(private.process.pid, signal.SIGCONT)
    revoked = patient.unshare(KEY, above=until)
    assert revoked.version > until
    assert shared_with(patient) == frozenset()
    for tier in (hasty, patient):
        tier.close()


class GivenUp(RedisGrants):
    """What a change of grants was sent with."""

    def __init__(self, tier: RedisHotTier) -> None:
        super().__init__(tier._server, tier._deadline, tier._ns)
        self.sent: list[Call] = []

    def _in_time(self, name: str, calls: Sequence[Call]) -> list[Any]:
        self.sent += calls
        raise Unavailable(f"{name}: no answer in time")


@pytest.mark.parametrize("change", ["share", "unshare"])
def test_a_change_that_was_given_up_never_undoes_one_that_was_acknowledged(bench: RedisBench, change: str) -> None:
    """However soon it is executed after all: within the deadline that it came with."""
    hot = bench.tier()
    assert isinstance(hot, RedisHotTier)
    put(hot, memory())
    before = hot.share(KEY, ["hera"]).version
    stalled = GivenUp(hot)
    with pytest.raises(Unavailable):
        getattr(stalled, change)(KEY, ["hera"], above=before)
    (keys, arguments), *_ = stalled.sent
    hot.unshare(KEY, ["hera"]) if change == "share" else hot.share(KEY, ["hera"])
    acknowledged = shared_with(hot)
    said = hot._server.run("share", keys, *arguments, hot._deadline.until())
    assert said[0] == b"stale"
    assert shared_with(hot) == acknowledged == (frozenset() if change == "share" else {"hera"})


def test_a_change_that_comes_too_late_is_refused(bench: RedisBench) -> None:
    hot = bench.tier()
    assert isinstance(hot, RedisHotTier)
    put(hot, memory())
    stalled = GivenUp(hot)
    with pytest.raises(Unavailable):
        stalled.share(KEY, ["hera"])
    (keys, arguments), *_ = stalled.sent
    with pytest.raises(Unavailable, match="too late"):
        hot._server.run("share", keys, *arguments, hot._deadline.until() - 60_000_000)
    assert shared_with(hot) == frozenset()


def test_a_grant_can_be_revoked_without_memory(private: Valkey) -> None:
    hot = tier_at(private)
    put(hot, memory())
    hot.share(KEY, ["hera"])
    with private.client() as raw:
        raw.config_set("maxmemory", 1)
    with pytest.raises(Unavailable, match="out of memory"):
        hot.write([Write(memory(id="more"))])
    hot.unshare(KEY, ["hera"])
    assert shared_with(hot) == frozenset()
    hot.finish_grants(hot.claim_grants(10, 30))
    hot.close()


def test_grants_that_somebody_deleted_are_granted_to_nobody(bench: RedisBench, namespace: str) -> None:
    hot = bench.tier()
    put(hot, memory())
    hot.share(KEY, ["hera"])
    kept = hot.grants([KEY])[0].grants
    bench.client.delete(f"{namespace}:grants:athena:m1")
    assert hot.read_scoped("hera", hot.granted("hera", 10), touch=False) != []
    assert shared_with(hot) == frozenset()
    assert hot.claim_grants(10, 30) == []
    hot.restore_grants(kept)
    bench.client.delete(f"{namespace}:granted:hera", f"{namespace}:lent:hera")
    hot.restore_grants(kept)  # found again, too
    assert (hot.granted("hera", 10), hot.lenders("hera", "m1")) == ([KEY], [KEY])


def test_of_what_was_forgotten_long_ago_no_grants_are_left(bench: RedisBench, namespace: str) -> None:
    hot = bench.tier()
    put(hot, memory())
    hot.finish_grants(hot.claim_grants(10, 30))
    before = set(bench.client.scan_iter(f"{namespace}:*"))
    hot.share(KEY, ["hera"])
    hot.forget([KEY])
    hot.finish_grants(hot.claim_grants(10, 30))
    bench.advance(3601)
    left = set(bench.client.scan_iter(f"{namespace}:*")) - before
    assert not [name for name in left if "grant" in name or "lent" in name]
