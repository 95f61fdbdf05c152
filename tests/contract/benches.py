"""The hot tiers under contract, each with a clock that can be moved: no test waits for time to pass."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Protocol

import pytest
from redis import Redis

from tests.support import Valkey, key_of
from trinitas_tasks.model import MemoryItem, Record, utc_now
from trinitas_tasks.tiers.hot.interface import Claimed, Finished, Gone, HotTier, Write, Written
from trinitas_tasks.tiers.hot.memory import MemoryHotTier
from trinitas_tasks.tiers.hot.redis import RedisHotTier

TIMES = ("outbox", "graves", "granting", "pending", "ends", "leaving")
"""Sorted sets whose scores are milliseconds of the server's clock."""


class Bench(Protocol):
    """Makes tiers and moves their clock."""

    def tier(self, *, dedup_seconds: int = 60, outbox_limit: int = 1000, cache_mb: float = 100) -> HotTier:
        """A tier; of several only the settings differ."""

    def advance(self, seconds: int) -> None:
        """Let so much time pass."""

    def close(self) -> None:
        """Close every tier."""


class MemoryBench:
    """One MemoryHotTier under a simulated clock."""

    def __init__(self) -> None:
        self._passed = timedelta()

    def tier(self, *, dedup_seconds: int = 60, outbox_limit: int = 1000, cache_mb: float = 100) -> HotTier:
        return MemoryHotTier(
            clock=lambda: utc_now() + self._passed,
            dedup_seconds=dedup_seconds,
            outbox_limit=outbox_limit,
            cache_mb=cache_mb,
        )

    def advance(self, seconds: int) -> None:
        self._passed += timedelta(seconds=seconds)

    def close(self) -> None:
        pass


class RedisBench:
    """A real server. Its clock cannot be moved, so all that stands in it is made older."""

    def __init__(self, server: Valkey, namespace: str) -> None:
        self._server, self._namespace = server, namespace
        self._tiers: list[HotTier] = []
        self.client = server.client()

    def tier(self, *, dedup_seconds: int = 60, outbox_limit: int = 1000, cache_mb: float = 100) -> HotTier:
        self._tiers.append(
            RedisHotTier(
                self._server.url,
                namespace=self._namespace,
                pool_size=5,
                timeout_seconds=5,
                connect_seconds=5,
                dedup_seconds=dedup_seconds,
                outbox_limit=outbox_limit,
                cache_mb=cache_mb,
            )
        )
        return self._tiers[-1]

    def advance(self, seconds: int) -> None:
        for key in self.client.scan_iter(f"{self._namespace}:*"):
            _age(self.client, self._namespace, key, seconds * 1000)

    def close(self) -> None:
        for tier in self._tiers:
            tier.close()
        for key in self.client.scan_iter(f"{self._namespace}:*", count=1000):
            self.client.delete(key)
        self.client.close()


def _age(client: Redis, namespace: str, key: str, millis: int) -> None:
    left, kind = client.pttl(key), client.type(key)
    if 0 <= left <= millis:
        client.delete(key)
        return
    if left > 0:
        client.pexpire(key, left - millis)
    if kind == "zset" and key.split(":")[len(namespace.split(":"))] in TIMES:
        for member in client.zrange(key, 0, -1):
            client.zincrby(key, -millis, str(member))
    elif ":rec:" in key and client.hexists(key, "x"):
        client.hincrby(key, "x", -millis)
    elif key.endswith(":notes"):
        for name, note in client.hgetall(key).items():
            ends, _, text = str(note).partition(":")
            client.hset(key, str(name), f"{int(ends) - millis}:{text}")


def benches(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """What a fixture with the parameters "memory" and "redis" yields."""
    made: Bench = MemoryBench()
    if request.param == "redis":
        made = RedisBench(request.getfixturevalue("valkey"), request.getfixturevalue("namespace"))
    yield made
    made.close()


def put(hot: HotTier, *items: MemoryItem, said: str | None = None) -> Written:
    return hot.write([Write(item, said) for item in items])


def get(hot: HotTier, item: MemoryItem) -> Record | Gone | None:
    return hot.read(item.persona, [item.id], touch=False)[0]


def standing(hot: HotTier, item: MemoryItem) -> Record:
    record = get(hot, item)
    assert isinstance(record, Record)
    return record


def version_of(hot: HotTier, item: MemoryItem) -> int:
    """Of what stands, be it a record or a mark; 0 for nothing."""
    found = hot.standings([key_of(item)])[0]
    return found.version if found else 0


def finished(claimed: Claimed, seconds: int = 100) -> Finished:
    return Finished(claimed.key, claimed.version, seconds)


def archive_all(hot: HotTier, seconds: int = 100) -> None:
    assert all(hot.finish([finished(each, seconds) for each in hot.claim(1000, 30)]))
