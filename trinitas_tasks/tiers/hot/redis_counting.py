"""Counting on Redis. Key, under the namespace:

written              int    memories that were written
"""

from __future__ import annotations

from collections.abc import Iterable

from trinitas_tasks.tiers.hot.counting import Counts
from trinitas_tasks.tiers.hot.redis_times import RedisTimes


class RedisCounting(RedisTimes):
    """That part of RedisHotTier which implements Counting."""

    def counts(self) -> Counts:
        """See Counting."""
        with self._server.mapped("count") as redis, redis.pipeline(transaction=True) as pipe:
            pipe.zcard(self._name("outbox"))
            pipe.zcard(self._name("graves"))
            pipe.zrange(self._name("outbox"), 0, 0, withscores=True)
            pipe.time()
            pipe.get(self._name("written"))
            pipe.hgetall(self._name("reads"))
            pipe.hgetall(self._name("searches"))
            pipe.hlen(self._name("sizes"))
            pipe.hget(self._name("copies"), "bytes")
            outbox, graves, first, clock, written, reads, searches, copies, size = pipe.execute()
        overdue = clock[0] + clock[1] / 1e6 - first[0][1] / 1000 if first else 0.0
        return Counts(
            outbox=outbox,
            graves=graves,
            overdue_seconds=max(0.0, overdue),
            written=int(written or 0),
            read=_sum("read", reads.items()),
            fetched=_sum("fetched", reads.items()),
            searched=_sum("asked", searches.items()),
            copies=copies,
            copies_bytes=int(float(size or 0)),
        )


def _sum(name: str, fields: Iterable[tuple[bytes, bytes]]) -> int:
    """Of a hash whose fields are PERSONA:NAME, what all personas have under this name."""
    end = f":{name}".encode()
    return sum(int(value) if field.endswith(end) else 0 for field, value in fields)
