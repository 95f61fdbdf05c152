"""The hot tier on Redis 7 or Valkey.

Every change is one Lua script, so it is atomic; durability is the server's (append-only file, `appendfsync always`).
Keys, all under the namespace:

    rec:PERSONA:ID       hash   b body, v version, c and n access counts, a last access (us), x end of its time (ms);
                                g marks a forgotten memory
    outbox, graves       zset   PERSONA:ID by the time (ms) at which it may be claimed
    pending:PERSONA      zset   ids that are not archived yet, by the time of the write
    gen:PERSONA          int    changes whenever the persona's recalls may
    ans:PERSONA:GEN:..   cached answers    vec:..  cached query vectors    dedup:..  recent writes
    dirty                set    PERSONA:ID with accesses to flush          nudge     somebody told the workers lately

The scripts reach keys that they build themselves: a Redis Cluster is not supported.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, Final, cast

from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from trinitas_tasks.errors import DeadlineExceeded, InvalidMemory, Overloaded, SettingsError, Unavailable
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.settings import hide_password
from trinitas_tasks.tiers.hot.interface import (
    Access,
    Claimed,
    Finished,
    Gone,
    Grave,
    HotStats,
    Probe,
    Write,
    Written,
)

COMPRESS_ABOVE: Final = 4096
NUDGE_MS: Final = 1000
CLAIM_BYTES: Final = 8 << 20
GRAVE_MARK_MS: Final = 3_600_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Script:
    def __init__(self, name: str) -> None:
        self.source = (files(__package__) / "scripts" / f"{name}.lua").read_text(encoding="utf-8")
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()


SCRIPTS: Final = {
    name: _Script(name)
    for name in (
        "bury", "cache", "claim", "finish", "forget", "pending", "probe", "read", "refill", "take_accesses", "write",
    )
}  # fmt: skip


class RedisHotTier:
    """The hot tier at a Redis URL.

    ``timeout_seconds`` bounds the wait for one answer and ``connect_seconds`` that for a connection. Nothing is
    connected before the first call, and a failed call is not tried again here: the caller knows what to do instead.
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
    ) -> None:
        self._where = hide_password(url)
        try:
            self._pool = BlockingConnectionPool.from_url(
                url,
                max_connections=pool_size,
                timeout=max(timeout_seconds, 1.0),
                socket_timeout=timeout_seconds,
                socket_connect_timeout=connect_seconds,
                retry=Retry(NoBackoff(), 0),
                health_check_interval=0,
            )
        except ValueError:  # its text may hold a part of the password
            raise SettingsError(
                f"REDIS_URL: {self._where} is not redis://[USER:PASSWORD@]HOST[:PORT][/DB] "
                "(also rediss:// and unix://; a password's special characters as %XX)"
            ) from None
        self._redis = Redis(connection_pool=self._pool)
        self._ns = namespace
        self._dedup_ms = dedup_seconds * 1000
        self._outbox_limit = outbox_limit
        self._records = f"{namespace}:rec:"

    def _name(self, kind: str, *parts: str) -> str:
        return ":".join((self._ns, kind, *parts))

    def write(self, writes: Sequence[Write]) -> Written:
        """See HotTier."""
        calls = [self._write_call(write) for write in writes]
        replies = self._run_many("write", calls)
        ids = tuple(cast(bytes, reply[0]).decode() for reply in replies)
        return Written(ids, sum(reply[1] for reply in replies), any(reply[2] for reply in replies))

    def _write_call(self, write: Write) -> tuple[Any, ...]:
        item = write.item
        persona, dedup_ms = item.persona, self._dedup_ms if write.dedup else 0
        dedup = self._name("dedup", persona, write.dedup or "")
        member = f"{persona}:{item.id}"
        keys = (
            self._records + member, f"{self._ns}:outbox", f"{self._ns}:graves", f"{self._ns}:pending:{persona}",
            f"{self._ns}:gen:{persona}", f"{self._ns}:nudge", dedup,
        )  # fmt: skip
        body = _pack(item.to_json())
        prefix = f"{self._records}{persona}:"
        return (len(keys), *keys, member, item.id, body, dedup_ms, NUDGE_MS, self._outbox_limit, prefix)

    def read(self, persona: str, ids: Sequence[str], *, touch: bool) -> list[Record | Gone | None]:
        """See HotTier."""
        if not ids:
            return []
        members = [f"{persona}:{each}" for each in ids]
        keys = (f"{self._ns}:dirty", *(self._records + member for member in members))
        return [_read(found) for found in self._run("read", len(keys), *keys, int(touch), *members)]

    def forget(self, keys: Sequence[Key]) -> bool:
        """See HotTier."""
        calls = []
        for persona, memory_id in keys:
            member = f"{persona}:{memory_id}"
            names = (
                self._records + member, f"{self._ns}:outbox", f"{self._ns}:graves",
                f"{self._ns}:pending:{persona}", f"{self._ns}:gen:{persona}", f"{self._ns}:nudge",
            )  # fmt: skip
            calls.append((len(names), *names, member, memory_id, NUDGE_MS))
        return any(self._run_many("forget", calls))

    def claim(self, limit: int, lease_seconds: int) -> list[Claimed]:
        """See HotTier."""
        return [
            Claimed(_key(member), int(version), _unpacked_or_raw(body))
            for member, version, body in self._claim("outbox", limit, lease_seconds)
        ]

    def claim_graves(self, limit: int, lease_seconds: int) -> list[Grave]:
        """See HotTier."""
        return [Grave(_key(member), int(version)) for member, version, _ in self._claim("graves", limit, lease_seconds)]

    def _claim(self, queue: str, limit: int, lease_seconds: int) -> list[list[Any]]:
        keys = (self._name(queue), self._name("nudge"))
        return cast(
            list[list[Any]], self._run("claim", 2, *keys, limit, lease_seconds * 1000, self._records, CLAIM_BYTES)
        )

    def finish(self, done: Sequence[Finished]) -> list[bool]:
        """See HotTier."""
        if not done:
            return []
        rows = [part for each in done for part in (*each.key, each.version, each.seconds)]
        prefixes = (self._records, self._name("pending", ""), self._name("gen", ""))
        return [bool(each) for each in self._run("finish", 1, self._name("outbox"), *prefixes, *rows)]

    def bury(self, graves: Sequence[Grave]) -> None:
        """See HotTier."""
        if graves:
            rows = [part for each in graves for part in (":".join(each.key), each.version)]
            self._run("bury", 1, self._name("graves"), self._records, GRAVE_MARK_MS, *rows)

    def due(self) -> bool:
        """See HotTier."""
        with self._mapped("look for due work"):
            seconds, micros = self._redis.time()
            now_ms = seconds * 1000 + micros // 1000
            with self._redis.pipeline(transaction=False) as pipe:
                for queue in ("outbox", "graves"):
                    pipe.zcount(self._name(queue), "-inf", now_ms)
                return any(pipe.execute())

    def refill(self, records: Sequence[tuple[Record, int]]) -> None:
        """See HotTier."""
        if not records:
            return
        keys = [f"{self._records}{record.item.persona}:{record.item.id}" for record, _ in records]
        rows: list[Any] = []
        for (item, version), seconds in records:
            rows += (_pack(item.to_json()), version, item.access_count, _micros(item.last_access), seconds)
        self._run("refill", len(keys), *keys, *rows)

    def pending(self, persona: str, limit: int) -> list[Record]:
        """See HotTier."""
        prefix = f"{self._records}{persona}:"
        rows = self._run("pending", 1, self._name("pending", persona), limit, prefix)
        return list(_readable(rows))

    def unarchived(self, key: Key) -> bool:
        """See HotTier."""
        with self._mapped("look for a record"):
            return self._redis.zscore(self._name("pending", key.persona), key.id) is not None

    def probe(self, persona: str, digest: str) -> Probe:
        """See HotTier."""
        generation, answer = self._run("probe", 1, self._name("gen", persona), self._name("ans", persona, ""), digest)
        return Probe(int(generation), cast("bytes | None", answer))

    def cache_answer(self, persona: str, generation: int, digest: str, answer: bytes, seconds: int) -> None:
        """See HotTier."""
        self._run("cache", 1, self._name("ans", persona, str(generation), digest), answer, seconds)

    def cached_vector(self, digest: str) -> bytes | None:
        """See HotTier."""
        with self._mapped("read a cached vector"):
            return cast("bytes | None", self._redis.get(self._name("vec", digest)))

    def cache_vector(self, digest: str, vector: bytes, seconds: int) -> None:
        """See HotTier."""
        self._run("cache", 1, self._name("vec", digest), vector, seconds)

    def changed(self, personas: Sequence[str]) -> None:
        """See HotTier."""
        with self._mapped("end cached answers"), self._redis.pipeline(transaction=False) as pipe:
            for persona in personas:
                pipe.incr(self._name("gen", persona))
            pipe.execute()

    def take_accesses(self, limit: int) -> list[Access]:
        """See HotTier."""
        return [
            Access(_key(member), int(count), _moment(last))
            for member, count, last in self._run("take_accesses", 1, self._name("dirty"), limit, self._records)
        ]

    def stats(self, persona: str) -> HotStats:
        """See HotTier."""
        with self._mapped("count"), self._redis.pipeline(transaction=False) as pipe:
            pipe.zcard(self._name("outbox"))
            pipe.zcard(self._name("graves"))
            pipe.zcard(self._name("pending", persona))
            pipe.zrange(self._name("pending", persona), 0, 0, withscores=True)
            pipe.time()
            pipe.info("server", "memory", "persistence")
            outbox, graves, pending, oldest, clock, info = pipe.execute()
        lag = max(0.0, clock[0] + clock[1] / 1e6 - oldest[0][1] / 1000) if oldest else 0.0
        wanted = (
            "redis_version", "valkey_version", "used_memory", "maxmemory", "maxmemory_policy", "aof_enabled",
            "aof_last_write_status",
        )  # fmt: skip
        return HotStats(outbox, graves, pending, lag, {name: info[name] for name in wanted if name in info})

    def ping(self) -> None:
        """See HotTier."""
        with self._mapped("ping"):
            self._redis.ping()

    def close(self) -> None:
        """See HotTier."""
        self._redis.close()
        self._pool.disconnect()

    # How a script runs.

    def _run(self, name: str, *arguments: Any) -> Any:
        script = SCRIPTS[name]
        with self._mapped(name):
            try:
                return self._redis.evalsha(script.sha, *arguments)
            except NoScriptError:
                return self._redis.eval(script.source, *arguments)

    def _run_many(self, name: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The script once for each call, in one round trip. Raises the first error; others may have been kept."""
        if len(calls) == 1:
            return [self._run(name, *calls[0])]
        with self._mapped(name):
            try:
                return self._pipelined(name, calls)
            except NoScriptError:  # then none of them has run
                self._redis.script_load(SCRIPTS[name].source)
                return self._pipelined(name, calls)

    def _pipelined(self, name: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        with self._redis.pipeline(transaction=False) as pipe:
            for arguments in calls:
                pipe.evalsha(SCRIPTS[name].sha, *arguments)
            return pipe.execute()

    @contextmanager
    def _mapped(self, doing: str) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            raise self._translated(doing, error) from error

    def _translated(self, doing: str, error: RedisError) -> Exception:
        where = f"Redis at {self._where}: {doing}: "
        match error:
            case RedisTimeoutError():
                return DeadlineExceeded(f"{where}no answer in time")
            case AuthenticationError():
                return Unavailable(f"{where}the password is refused ({error}): check REDIS_PASSWORD or REDIS_URL")
            case OutOfMemoryError():
                return Unavailable(f"{where}it is out of memory: raise maxmemory")
            case ReadOnlyError():
                return Unavailable(f"{where}it is a read-only replica: point REDIS_URL at the primary")
            case RedisConnectionError():
                return Unavailable(f"{where}{error}: is it running?")
            case ResponseError() if "OVERLOADED" in str(error):
                return Overloaded(
                    f"{self._outbox_limit} memories wait to be archived: is an ingest worker running? "
                    "(TRINITAS_OUTBOX_LIMIT)"
                )
            case _:
                return Unavailable(f"{where}{error}")


def _pack(body: bytes) -> bytes:
    return zlib.compress(body, 1) if len(body) > COMPRESS_ABOVE else body


def _unpack(packed: bytes) -> bytes:
    # JSON begins with a brace, zlib with 0x78
    try:
        return packed if packed[:1] == b"{" else zlib.decompress(packed)
    except zlib.error as error:
        raise InvalidMemory(f"unreadable record: {error}") from error


def _unpacked_or_raw(packed: bytes) -> bytes:
    try:
        return _unpack(packed)
    except InvalidMemory:
        return packed  # the ingest tells so


def _readable(rows: Sequence[tuple[bytes, bytes]]) -> Iterator[Record]:
    for body, version in rows:
        # the ingest puts an unreadable one to the dead letters: it must not spoil the others
        with suppress(InvalidMemory):
            yield Record(MemoryItem.from_json(_unpack(body)), int(version))


def _read(found: Any) -> Record | Gone | None:
    if not found:
        return None
    if found == b"g":
        return Gone()
    body, version, count, last = found
    last_access = _moment(last) if last else None
    item = MemoryItem.from_json(_unpack(body), access_count=int(count), last_access=last_access)
    return Record(item, int(version))


def _key(member: bytes) -> Key:
    persona, _, memory_id = member.decode().partition(":")
    return Key(persona, memory_id)


def _moment(micros: bytes) -> datetime:
    return EPOCH + timedelta(microseconds=int(micros))


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)
