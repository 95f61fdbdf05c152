"""The hot tier on Redis 7 or Valkey.

Every change is one Lua script, so it is atomic; durability is the server's (append-only file, `appendfsync always`).
Keys, all under the namespace:

    rec:PERSONA:ID       hash   b body, v version, c access count, a last access (us), x end of its time (ms), s by how
                                much (ms) each read moves it, q: fetched, and not read since; g marks a forgotten memory
    outbox, graves       zset   PERSONA:ID by the time (ms) at which it may be claimed
    pending:PERSONA      zset   ids that are not archived yet, by the time of the write
    clock                int    the highest version ever issued
    gen:PERSONA          int    changes whenever the persona's recalls may
    ans:PERSONA:GEN:..   cached answers    vec:..  cached query vectors    dedup:..  "ID VERSION" of recent writes
    nudge                somebody told the workers lately
    notes                hash   what workers have to say, by name: END:TEXT, END in ms

and those of redis_grants, redis_living, redis_rolls and redis_times.

The scripts reach keys that they build themselves: a Redis Cluster is not supported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.tiers.breaker import Breaker
from trinitas_tasks.tiers.hot.deadline import Deadline
from trinitas_tasks.tiers.hot.interface import (
    Claimed,
    Finished,
    Forgotten,
    Grave,
    HotStats,
    Probe,
    Replaced,
    Standing,
    Write,
    Written,
)
from trinitas_tasks.tiers.hot.redis_grants import GRAVE_MARK_MS, NUDGE_MS
from trinitas_tasks.tiers.hot.redis_living import RedisLiving
from trinitas_tasks.tiers.hot.redis_times import time_in, time_of
from trinitas_tasks.tiers.hot.rows import (
    key_of,
    member_of,
    micros_of,
    pack,
    standing_of,
    unpacked_or_raw,
)
from trinitas_tasks.tiers.hot.server import Call, Server

CLAIM_BYTES: Final = 8 << 20


class RedisHotTier(RedisLiving):
    """The hot tier at a Redis URL.

    ``timeout_seconds`` bounds the wait for one answer and ``connect_seconds`` that for a connection. Nothing is
    connected before the first call, and a failed call is not tried again here: the caller knows what to do instead.
    ``cache_mb`` is what all copies together may take.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str,
        pool_size: int,
        timeout_seconds: float,
        connect_seconds: float = 0.1,
        dedup_seconds: int = 60,
        outbox_limit: int = 1_000_000,
        cache_mb: float = 100,
        breaker: Breaker | None = None,
    ) -> None:
        server = Server(
            url,
            pool_size=pool_size,
            timeout_seconds=timeout_seconds,
            connect_seconds=connect_seconds,
            breaker=breaker,
        )
        super().__init__(server, Deadline(timeout_seconds), namespace, int(cache_mb * (1 << 20)))
        self._dedup_ms = dedup_seconds * 1000
        self._outbox_limit = outbox_limit
        self._queues = (f"{namespace}:outbox", f"{namespace}:graves")
        self._pendings = f"{namespace}:pending:"

    def write(self, writes: Sequence[Write], *, above: int = 0) -> Written:
        """See HotTier."""
        replies = self._in_time("write", [self._write_call(write, above) for write in writes])
        ids = tuple(cast(bytes, reply[0]).decode() for reply in replies)
        versions = tuple(int(reply[3]) for reply in replies)
        return Written(
            ids,
            fresh=sum(reply[1] for reply in replies),
            nudge=any(reply[2] for reply in replies),
            version=max(versions, default=0),
            versions=versions,
        )

    def replace(
        self, item: MemoryItem, version: int, *, generation: int | None = None, above: int = 0, tells: bool = False
    ) -> Replaced:
        """See Living."""
        over = version, "" if generation is None else generation, int(tells)
        [reply] = self._in_time("write", [self._write_call(Write(item), max(above, version), over)])
        return Replaced(int(reply[3]), bool(reply[2]))

    def _write_call(self, write: Write, above: int, over: tuple[int | str, int | str, int] = ("", "", 1)) -> Call:
        item, replayed = write.item, write.version or 0
        key = Key(item.persona, item.id)
        said = None if replayed else write.dedup
        keys = (*self._changed_keys(key), self._name("dedup", key.persona, said or ""))
        return keys, (
            member_of(key), key.id, pack(item.to_json()), self._dedup_ms if said else 0, NUDGE_MS, self._outbox_limit,
            f"{self._records}{key.persona}:", above, replayed, self._space, *over,
            time_of(item), item.access_count, micros_of(item.last_access),
        )  # fmt: skip

    def _changed_keys(self, key: Key) -> tuple[str, ...]:
        return (
            self._records + member_of(key), *self._queues, self._pendings + key.persona,
            self._generations + key.persona, self._name("nudge"), self._name("clock"),
            self._grants + member_of(key), self._name("granting"),
        )  # fmt: skip

    def forget(self, keys: Sequence[Key], *, versions: Sequence[int] = (), above: int = 0) -> Forgotten:
        """See HotTier."""
        calls: list[Call] = [
            (
                self._changed_keys(key),
                (member_of(key), key.id, NUDGE_MS, above, version, key.persona, self._space),
            )
            for key, version in zip(keys, versions or [0] * len(keys), strict=True)
        ]
        replies = self._in_time("forget", calls)
        return Forgotten(
            nudge=any(reply[0] for reply in replies), version=max((int(reply[1]) for reply in replies), default=0)
        )

    def claim(self, limit: int, lease_seconds: int) -> list[Claimed]:
        """See HotTier."""
        return [
            Claimed(key_of(member), int(version), unpacked_or_raw(body))
            for member, version, body in self._claim(self._queues[0], limit, lease_seconds)
        ]

    def claim_graves(self, limit: int, lease_seconds: int) -> list[Grave]:
        """See HotTier."""
        leased = self._claim(self._queues[1], limit, lease_seconds)
        return [Grave(key_of(member), int(version)) for member, version, _ in leased]

    def _claim(self, queue: str, limit: int, lease_seconds: int) -> list[list[Any]]:
        keys = (queue, self._name("nudge"))
        found = self._server.run("claim", keys, limit, lease_seconds * 1000, self._records, CLAIM_BYTES)
        return cast(list[list[Any]], found)

    def finish(self, done: Sequence[Finished]) -> list[bool]:
        """See HotTier."""
        if not done:
            return []
        rows = [part for each in done for part in (*each.key, each.version, each.seconds, int(each.slides))]
        finished = self._server.run("finish", self._queues[:1], self._space, self._copies_limit, *rows)
        return [bool(each) for each in finished]

    def bury(self, graves: Sequence[Grave], *, superseded: Sequence[Grave] = ()) -> None:
        """See HotTier."""
        marks = [(each, GRAVE_MARK_MS) for each in graves] + [(each, 0) for each in superseded]
        if marks:
            rows = [part for each, mark_ms in marks for part in (*each.key, each.version, mark_ms)]
            self._server.run("bury", self._queues[1:], self._records, self._generations, *rows)

    def give_back(self, keys: Sequence[tuple[Key, int]], seconds: float) -> None:
        """See HotTier."""
        if keys:
            rows = [part for key, version in keys for part in (member_of(key), version)]
            self._server.run("give_back", self._queues, self._records, int(seconds * 1000), *rows)

    def requeue(self, keys: Sequence[tuple[Key, int]]) -> None:
        """See HotTier."""
        if keys:
            with self._server.mapped("requeue") as redis, redis.pipeline(transaction=False) as pipe:
                for key, _ in keys:
                    pipe.hmget(self._records + member_of(key), "b", "v")
                bodies = pipe.execute()
            times = map(time_in, bodies)
            rows = [part for (key, version), at in zip(keys, times, strict=True) for part in (*key, version, at)]
            self._server.run("requeue", self._queues, self._space, *rows)

    def standings(self, keys: Sequence[Key]) -> list[Standing | None]:
        """See HotTier."""
        if not keys:
            return []
        found = self._server.run("standings", self._queues, self._records, *map(member_of, keys))
        return [standing_of(key, row) for key, row in zip(keys, found, strict=True)]

    def scan(self, cursor: int, count: int) -> tuple[int, list[Standing]]:
        """See HotTier."""
        with self._server.mapped("scan") as redis:
            cursor, found = redis.scan(cursor, match=f"{self._records}*", count=count)
        standings = self.standings([key_of(cast(bytes, name)[len(self._records) :]) for name in found])
        return cursor, [each for each in standings if each is not None]

    def advance(self, version: int) -> None:
        """See HotTier."""
        self._server.run("advance", [self._name("clock")], version)

    def note(self, name: str, text: str | None, seconds: int) -> None:
        """See HotTier."""
        millis = 0 if text is None else seconds * 1000
        self._server.run("note", [self._name("notes")], name, millis, text or "")

    def notes(self) -> dict[str, str]:
        """See HotTier."""
        flat = [each.decode() for each in self._server.run("notes", [self._name("notes")])]
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def due(self) -> bool:
        """See HotTier."""
        with self._server.mapped("look for due work") as redis:
            seconds, micros = redis.time()
            now_ms = seconds * 1000 + micros // 1000
            with redis.pipeline(transaction=False) as pipe:
                for queue in (*self._queues, self._name("granting")):
                    pipe.zcount(queue, "-inf", now_ms)
                return any(pipe.execute())

    def refill(self, records: Sequence[tuple[Record, int]], *, asked: bool = True) -> None:
        """See HotTier."""
        if not records:
            return
        keys: list[str] = []
        rows: list[Any] = []
        for (item, version), seconds in records:
            key = Key(item.persona, item.id)
            keys.append(self._records + member_of(key))
            rows += (*key, pack(item.to_json()), version, item.access_count, micros_of(item.last_access), seconds)
        self._server.run("refill", keys, self._space, self._copies_limit, int(asked), *rows)

    def probe(self, persona: str, digest: str) -> Probe:
        """See HotTier."""
        keys = [self._generations + persona]
        generation, answer = self._server.run("probe", keys, self._name("ans", persona, ""), digest)
        return Probe(int(generation), cast("bytes | None", answer))

    def cache_answer(self, persona: str, generation: int, digest: str, answer: bytes, seconds: int) -> None:
        """See HotTier."""
        self._server.run("cache", [self._name("ans", persona, str(generation), digest)], answer, seconds)

    def cached_vector(self, digest: str) -> bytes | None:
        """See HotTier."""
        with self._server.mapped("read a cached vector") as redis:
            return cast("bytes | None", redis.get(self._name("vec", digest)))

    def cache_vector(self, digest: str, vector: bytes, seconds: int) -> None:
        """See HotTier."""
        self._server.run("cache", [self._name("vec", digest)], vector, seconds)

    def changed(self, personas: Sequence[str]) -> None:
        """See HotTier."""
        with self._server.mapped("end cached answers") as redis, redis.pipeline(transaction=False) as pipe:
            for persona in personas:
                pipe.incr(self._generations + persona)
            pipe.execute()

    def stats(self, persona: str) -> HotStats:
        """See HotTier."""
        with self._server.mapped("count") as redis, redis.pipeline(transaction=False) as pipe:
            for queue in self._queues:
                pipe.zcard(queue)
            pipe.zcard(self._pendings + persona)
            pipe.zrange(self._pendings + persona, 0, 0, withscores=True)
            pipe.time()
            outbox, graves, pending, oldest, clock = pipe.execute()
        lag = max(0.0, clock[0] + clock[1] / 1e6 - oldest[0][1] / 1000) if oldest else 0.0
        return HotStats(outbox, graves, pending, lag, self._server.details())

    def ping(self) -> None:
        """See HotTier."""
        self._server.ping()

    def close(self) -> None:
        """See HotTier."""
        self._server.close()
