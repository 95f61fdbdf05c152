"""Times on Redis. Keys, all under the namespace:

    times:PERSONA        zset   TIMEID of what is not archived yet, all of one score: in the order of their own times
    rec:PERSONA:ID       hash   t: the TIME under which it stands there

TIME is in microseconds since the year 1, in digits of one width: members are compared as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.policy.chronology import Bound, Place, Span, Stretch
from trinitas_tasks.policy.micros import EPOCH, to_micros
from trinitas_tasks.tiers.hot.redis_grants import MANY
from trinitas_tasks.tiers.hot.redis_rolls import RedisRolls
from trinitas_tasks.tiers.hot.rows import member_of, readable

WIDTH: Final = 18
SHIFT: Final = to_micros(EPOCH.replace(year=1))
MOST: Final = 10**WIDTH - 1
BYTES: Final = 4 << 20
"""As they are kept: others wait while they are gathered."""


def time_of(item: MemoryItem) -> str:
    """The TIME of a memory."""
    return _time(to_micros(item.timestamp))


def time_in(row: Sequence[bytes | None]) -> str:
    """The TIME of the record in a row (body, version); empty where it cannot be read, or there is none."""
    return next((time_of(record.item) for record in readable([row] if all(row) else [])), "")


def _time(micros: int) -> str:
    return f"{min(max(micros - SHIFT, 0), MOST):0{WIDTH}d}"


def _micros(time: str) -> int:
    return int(time) + SHIFT


def _limit(bound: Bound) -> str:
    """As ZRANGEBYLEX takes it: the bound itself left out."""
    return f"({_time(bound.at)}{bound.id}"


class RedisTimes(RedisRolls):
    """That part of RedisHotTier which implements Times, and what else is said of what is not archived yet."""

    def waiting(self, persona: str, span: Span, limit: int) -> Stretch:
        """See Times."""
        low, high = map(_limit, span.bounds(persona))
        prefix = f"{self._records}{persona}:"
        keys = [self._name("times", persona)]
        newest_first = int(span.newest_first)
        more, *rows = self._server.run("waiting", keys, low, high, newest_first, limit, prefix, WIDTH, BYTES)
        records = list(readable(row[1:] for row in rows))
        if not more:
            return Stretch(records)
        last = rows[-1][0].decode()
        return Stretch(records, Place(_micros(last[:WIDTH]), persona, last[WIDTH:]))

    def places(self, keys: Sequence[Key]) -> list[Place]:
        """See Times."""
        found: list[Place] = []
        for start in range(0, len(keys), MANY):
            some = keys[start : start + MANY]
            times = self._server.run("places", [], self._records, *map(member_of, some))
            found += [Place(_micros(time.decode()), *key) for key, time in zip(some, times, strict=True) if time]
        return found

    def pending(self, persona: str, limit: int) -> list[Record]:
        """See HotTier."""
        rows = self._server.run("pending", [self._name("pending", persona)], limit, f"{self._records}{persona}:")
        return list(readable(rows))

    def unarchived(self, key: Key) -> bool:
        """See HotTier."""
        with self._server.mapped("look for a record") as redis:
            return redis.zscore(self._name("pending", key.persona), key.id) is not None
