"""One Redis server: how our scripts run on it, and its errors in our words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from typing import Any, Final, TypeAlias, cast

from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from trinitas_tasks.errors import DeadlineExceeded, Overloaded, SettingsError, Transient, Unavailable
from trinitas_tasks.settings import hide_password
from trinitas_tasks.tiers.breaker import Breaker


class _Script:
    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


def _scripts() -> dict[str, _Script]:
    """By name. A line ``-- include _NAME`` stands for the text of that file."""
    paths = [path for path in (files(__package__) / "scripts").iterdir() if path.name.endswith(".lua")]
    texts = {path.name.removesuffix(".lua"): path.read_text(encoding="utf-8") for path in paths}
    return {
        name: _Script(re.sub(r"^-- include (_\w+)$", lambda part: texts[part[1]].rstrip(), text, flags=re.MULTILINE))
        for name, text in texts.items()
        if not name.startswith("_")
    }


SCRIPTS: Final = _scripts()

DETAILS: Final = (
    "redis_version", "valkey_version", "used_memory", "maxmemory", "maxmemory_policy", "aof_enabled",
    "aof_last_write_status", "appendfsync", "role",
)  # fmt: skip

AWAY: Final = (RedisConnectionError, RedisTimeoutError, ReadOnlyError)
"""What another call will meet too: no use in trying. A server out of memory still reads."""


class Late(Unavailable):
    """A command came to the server, whose clock says ``now`` (us), after its caller had given it up."""

    def __init__(self, message: str, now: int) -> None:
        super().__init__(message)
        self.now = now


Call: TypeAlias = tuple[tuple[str, ...], tuple[Any, ...]]
"""The keys and the arguments of one run of a script."""


class Server:
    """The server at a Redis URL.

    ``timeout_seconds`` bounds the wait for one answer and ``connect_seconds`` that for a connection. Nothing is
    connected before the first call, and a failed call is not tried again here: the caller knows what to do instead.
    Where the server is found away, the ``breaker`` opens.
    """

    def __init__(
        self, url: str, *, pool_size: int, timeout_seconds: float, connect_seconds: float, breaker: Breaker | None
    ) -> None:
        self._where = hide_password(url)
        self._breaker = breaker
        if breaker is not None:
            breaker.probe = self._probe
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

    def run(self, name: str, keys: Sequence[str], *arguments: Any) -> Any:
        """The script's answer. Raises: Unavailable, Overloaded."""
        script = SCRIPTS[name]
        with self.mapped(name) as redis:
            try:
                return redis.evalsha(script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return redis.eval(script.source, len(keys), *keys, *arguments)

    def run_many(self, name: str, calls: Sequence[Call]) -> list[Any]:
        """The script once for each call, in one round trip. Raises the first error; others may have been kept."""
        if len(calls) == 1:
            keys, arguments = calls[0]
            return [self.run(name, keys, *arguments)]
        with self.mapped(name) as redis:
            try:
                return self._pipelined(name, calls)
            except NoScriptError:  # then none of them has run
                redis.script_load(SCRIPTS[name].source)
                return self._pipelined(name, calls)

    def _pipelined(self, name: str, calls: Sequence[Call]) -> list[Any]:
        with self._redis.pipeline(transaction=False) as pipe:
            for keys, arguments in calls:
                pipe.evalsha(SCRIPTS[name].sha, len(keys), *keys, *arguments)
            return pipe.execute()

    def details(self) -> dict[str, str | int]:
        """What a report on health needs to know of the server."""
        with self.mapped("describe itself") as redis:
            info = redis.info("server", "memory", "persistence", "replication")
            with suppress(ResponseError):  # where it is a service, CONFIG may be refused
                info |= cast(dict[str, str], redis.config_get("appendfsync"))
        return {name: info[name] for name in DETAILS if name in info}

    @contextmanager
    def mapped(self, doing: str) -> Iterator[Redis]:
        """The client for plain commands; its errors become ours and say what was being done.

        Raises: Unavailable, at once while the breaker is open.
        """
        if self._breaker is not None:
            self._breaker.check()
        try:
            yield self._redis
        except RedisError as error:
            translated = self._translated(doing, error)
            if self._breaker is not None and isinstance(error, AWAY):
                self._breaker.failed(translated)
            raise translated from error

    def ping(self) -> None:
        """Return if it answers; an open breaker is closed by that. Raises: Unavailable."""
        self._probe()
        if self._breaker is not None:
            self._breaker.succeeded()

    def _probe(self) -> None:
        """Whether it answers and takes writes."""
        try:
            self._redis.ping()
            with suppress(NoPermissionError):  # where it is a service, INFO may be refused
                if self._redis.info("replication").get("role") == "slave":
                    raise ReadOnlyError("it follows another server")
        except RedisError as error:
            raise self._translated("ping", error) from error

    def _translated(self, doing: str, error: RedisError) -> Transient:
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
            case ResponseError() if full := re.search(r"OVERLOADED (\d+)", str(error)):
                return Overloaded(
                    f"{full[1]} memories wait to be archived: is an ingest worker running? (TRINITAS_OUTBOX_LIMIT)"
                )
            case ResponseError() if full := re.search(r"SIGNALS (\d+)", str(error)):
                return Overloaded(f"{full[1]} signals wait to be settled: is a maintenance worker running?")
            case ResponseError() if late := re.search(r"LATE (\d+)", str(error)):
                return Late(f"{where}it came too late", int(late[1]))
            case _:
                return Unavailable(f"{where}{error}")

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()
        self._pool.disconnect()
