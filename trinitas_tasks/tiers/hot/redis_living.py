"""Living on Redis. Keys, all under the namespace:

    uses, used           zset   PERSONA:ID by how many reads are not in a batch yet, and by the last of them (us)
    trail:PERSONA        list   "us PERSONA:ID ..": what it read at one time, the last of them last
    trails               set    the personas that have one
    signals              list   "us PERSONA:ID by said us": when it came, what was said, when that was
    batch                int    the number of what is not settled yet; batch:uses, batch:steps, batch:signals: its parts
    forgot               zset   PERSONA:ID by when (us) it was forgotten: what was noted before is not given out
    leaving              zset   PERSONA:ID of copies that were archived here, by the end of their time (ms), or before
    lease:NAME           who does something alone

    sizes                hash   bytes by PERSONA:ID of each copy, negative where the append-only file has the record
    ends, worth          zset   the same by the end of their time (ms), and by worth
    copies               hash   their bytes, how many were evicted, age (the worth below which all went), run: of which
                                run of the server this is told; cursor: how far it has come in telling

    reads, searches      hash   counts by PERSONA:NAME        slow:PERSONA:HOUR   zset   "us text" by milliseconds

Durable are the signals, the batch and what is leaving. All else is not worth an fsync.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any, Final, cast

from trinitas_tasks.model import Key
from trinitas_tasks.tiers.hot.deadline import Deadline
from trinitas_tasks.tiers.hot.interface import Standing
from trinitas_tasks.tiers.hot.living import Access, Copies, Noted, Reads, Said, Searches, Signal, Step
from trinitas_tasks.tiers.hot.redis_counting import RedisCounting
from trinitas_tasks.tiers.hot.rows import key_of, member_of, micros_of, moment
from trinitas_tasks.tiers.hot.server import Server

SIGNALS_LIMIT: Final = 100_000
SLOWEST: Final = 20
TEXT_CHARACTERS: Final = 200


class RedisLiving(RedisCounting):
    """That part of RedisHotTier which implements Living, but for ``replace``."""

    def __init__(self, server: Server, deadline: Deadline, namespace: str, copies_limit: int) -> None:
        super().__init__(server, deadline, namespace)
        self._copies_limit = copies_limit

    def say(self, signals: Sequence[Signal], *, above: int = 0) -> None:
        """See Living."""
        if signals:
            keys = (self._name("signals"), self._name("clock"), self._name("batch", "signals"))
            self._in_time("say", [(keys, (self._space, SIGNALS_LIMIT, above, *_rows(signals)))])

    def unsettled(self) -> list[Signal]:
        """See Living."""
        with self._server.mapped("list signals") as redis, redis.pipeline(transaction=True) as pipe:
            pipe.lrange(self._name("batch", "signals"), 0, -1)
            pipe.lrange(self._name("signals"), 0, -1)
            pipe.zrange(self._name("forgot"), 0, -1, withscores=True)
            taken, waiting, forgot = pipe.execute()
        ended = dict(forgot)
        return [_signal(each) for each in (*taken, *waiting) if not _is_ended(each, ended)]

    def noted(self, limit: int) -> Noted:
        """See Living."""
        keys = [self._name(each) for each in ("batch", "signals", "trails", "uses", "used", "clock")]
        number, uses, steps, signals = self._server.run("noted", keys, self._space, limit)
        return Noted(
            int(number),
            tuple(
                Access(key_of(member), int(count), moment(last))
                for member, count, last in zip(uses[::3], uses[1::3], uses[2::3], strict=True)
            ),
            tuple(_step(persona, text) for persona, text in zip(steps[::2], steps[1::2], strict=True)),
            tuple(map(_signal, signals)),
        )

    def postpone(self, signals: Sequence[Signal]) -> None:
        """See Living."""
        if signals:
            self._server.run("postpone", [self._name("batch", "signals"), self._name("signals")], *_rows(signals))

    def settled(self, batch: int) -> None:
        """See Living."""
        keys = [self._name(each) for each in ("batch", "signals", "trails", "forgot")]
        self._server.run("settled", keys, batch)

    def lease(self, name: str, seconds: float) -> str | None:
        """See Living."""
        token = secrets.token_hex(16)
        return token if self._server.run("lease", [self._name("lease", name)], token, int(seconds * 1000)) else None

    def release(self, name: str, token: str) -> None:
        """See Living."""
        self._server.run("release", [self._name("lease", name)], token)

    def leaving(self, within_seconds: int, limit: int) -> list[Standing]:
        """See Living."""
        keys = (self._name("leaving"), self._name("outbox"))
        found = self._server.run("leaving", keys, self._records, within_seconds * 1000, limit)
        return [
            Standing(key_of(member), int(version), gone=False, copy=True, queued=bool(queued))
            for member, version, queued in found
        ]

    def prove(self, keys: Sequence[tuple[Key, int]]) -> None:
        """See Living."""
        if keys:
            rows = chain.from_iterable((member_of(key), version) for key, version in keys)
            self._server.run("prove", [self._name("leaving")], self._records, *rows)

    def copies(self) -> Copies:
        """See Living."""
        count, size, evicted = self._server.run("copies", [], self._space, self._copies_limit)
        return Copies(int(count), int(size), self._copies_limit, int(evicted))

    def reads(self) -> list[Reads]:
        """See Living."""
        with self._server.mapped("count reads") as redis:
            found = cast(dict[bytes, bytes], redis.hgetall(self._name("reads")))
        counts = _by_persona(list(chain.from_iterable(found.items())))
        return [
            Reads(persona, int(each.get("read", 0)), int(each.get("fetched", 0)))
            for persona, each in sorted(counts.items())
        ]

    def searched(self, persona: str, millis: float, hits: int, text: str) -> None:
        """See Living."""
        told = (persona, millis, hits, text[:TEXT_CHARACTERS], self._space, SLOWEST)
        self._server.run("searched", [self._name("searches")], *told)

    def searches(self) -> list[Searches]:
        """See Living."""
        counts, slow = self._server.run("searches", [self._name("searches")], self._space)
        slowest = {persona.decode(): _slowest(found) for persona, found in slow}
        return [
            Searches(persona, int(each["asked"]), int(each.get("empty", 0)), float(each["ms"]), slowest[persona])
            for persona, each in sorted(_by_persona(counts).items())
        ]


def _rows(signals: Sequence[Signal]) -> Iterator[Any]:
    for each in signals:
        yield from (member_of(each.key), each.by, each.said.value, micros_of(each.at))


def _step(persona: bytes, text: bytes) -> Step:
    at, *members = text.split(b" ")
    return Step(persona.decode(), moment(at), tuple(map(key_of, members)))


def _is_ended(text: bytes, forgotten: Mapping[bytes, float]) -> bool:
    """Whether what it is about was forgotten since."""
    came, member, *_ = text.split(b" ")
    return int(came) <= forgotten.get(member, -1)


def _signal(text: bytes) -> Signal:
    _, member, by, said, at = text.split(b" ")
    return Signal(key_of(member), by.decode(), Said(said.decode()), moment(at))


def _by_persona(flat: Sequence[bytes]) -> dict[str, dict[str, str]]:
    """Of a hash, as scripts give it, whose fields are PERSONA:NAME."""
    counts: dict[str, dict[str, str]] = {}
    for field, value in list(pairwise(flat))[::2]:
        persona, _, name = field.decode().partition(":")
        counts.setdefault(persona, {})[name] = value.decode()
    return counts


def _slowest(flat: Sequence[bytes]) -> tuple[tuple[float, str], ...]:
    """Of the slowest of each hour those of the day."""
    found = [(float(millis), text.decode().partition(" ")[2]) for text, millis in list(pairwise(flat))[::2]]
    return tuple(sorted(found, key=lambda each: -each[0])[:SLOWEST])
