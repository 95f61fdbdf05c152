"""Gathering what a doctor must know, on this machine and from the workers: nothing here fails, whatever is down."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, cast

from pydantic import ValidationError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.interfaces.entering import ledger_of
from trinitas_tasks.interfaces.tokens import is_valid
from trinitas_tasks.model import utc_now
from trinitas_tasks.services.doctor.facts import Address, Facts, WorkerFacts
from trinitas_tasks.settings import Settings
from trinitas_tasks.tasks.config import SEARCH
from trinitas_tasks.tasks.dispatch import CeleryDispatcher
from trinitas_tasks.tasks.facts import OF_CLIENTS, address, packages
from trinitas_tasks.tiers.breaker import Breaker
from trinitas_tasks.tiers.hot.redis import RedisHotTier
from trinitas_tasks.tiers.spool.sqlite import SqliteSpool

TIMEOUT_SECONDS: Final = 2.0
ANSWER_MS: Final = 10_000
MB: Final = 1 << 20


def gather(settings: Settings) -> Facts:
    """All that can be told."""
    facts: dict[str, Any] = {"packages": packages(OF_CLIENTS), "free_mb": _free(settings), **_ledger(settings)}
    try:
        settings.redis()
    except TrinitasError as error:  # nothing says where it is
        return Facts(redis_error=str(error), **facts)
    facts |= _spool(settings)
    try:
        facts |= _redis(settings)
    except TrinitasError as error:
        return Facts(redis_error=str(error), **facts)
    return Facts(
        address=_address(settings.redis()), skew_seconds=_skew(settings.redis()), **facts, **_workers(settings)
    )


def _redis(settings: Settings) -> dict[str, Any]:
    hot = RedisHotTier(
        settings.redis(),
        namespace=settings.namespace,
        pool_size=1,
        timeout_seconds=TIMEOUT_SECONDS,
        connect_seconds=TIMEOUT_SECONDS,
    )
    with closing(hot):
        hot.ping()
        stats = hot.stats("doctor")
        return {
            "redis": stats.details,
            "outbox": stats.outbox,
            "lag_seconds": stats.lag_seconds,
            "notes": hot.notes(),
        }


def _address(url: str) -> Address | None:
    with _plain(url) as redis:
        given = redis.get_connection_kwargs()
    password = bool(given.get("password"))
    if "path" in given:
        return Address(where=given["path"], local=True, password=password)
    host, port = given.get("host", "localhost"), given.get("port", 6379)
    try:
        return address(host, port, password=password, answers=lambda other: not password and _pong(other, port))
    except OSError:
        return None


def _pong(host: str, port: int) -> bool:
    with _plain(f"redis://{host}:{port}/0") as redis:
        try:
            return bool(redis.ping())
        except RedisError:
            return False


def _skew(url: str) -> float | None:
    """How far this machine's clock is at least from that of Redis; above 0: ahead."""
    with _plain(url) as redis:
        try:
            redis.ping()  # the connection is made
            sent = time.time()
            seconds, micros = cast(tuple[int, int], redis.time())
            came = time.time()
        except RedisError:
            return None
    theirs = seconds + micros / 1_000_000
    return max(0.0, sent - theirs) + min(0.0, came - theirs)


def _plain(url: str) -> Redis:
    return Redis.from_url(
        url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0)
    )


def _workers(settings: Settings) -> dict[str, Any]:
    with closing(CeleryDispatcher(settings, redis=Breaker("Redis", retry_seconds=settings.retry_delay))) as dispatcher:
        try:
            queues = dispatcher.workers()
        except TrinitasError as error:
            return {"worker_error": str(error)}
        # one that is at work does not say that it is there
        deadline_ms = ANSWER_MS if SEARCH in queues else settings.deadline_ms
        try:
            told = WorkerFacts.model_validate(dispatcher.ask("facts", (), deadline_ms=deadline_ms))
        except (TrinitasError, ValidationError) as error:
            return {"queues": queues, "worker_error": str(error)}
        return {"queues": queues, "worker": told}


def _spool(settings: Settings) -> dict[str, Any]:
    try:
        spool = SqliteSpool(settings.spool_file(), target=settings.deployment(), limit_mb=settings.spool_limit_mb)
        with closing(spool):
            return {"spool_waiting": spool.waiting(), "spool_unreadable": spool.unreadable()}
    except TrinitasError as error:
        return {"spool_error": str(error)}


def _ledger(settings: Settings) -> dict[str, Any]:
    path, now = settings.ledger_file(), utc_now()
    try:
        with closing(ledger_of(settings)) as ledger:
            found: dict[str, Any] = {"ledger_tokens": sum(is_valid(each, now) for each in ledger.tokens())}
    except TrinitasError as error:
        return {"ledger_error": str(error)}
    return found | ({"ledger_mode": path.stat().st_mode & 0o777} if path.exists() else {})


def _free(settings: Settings) -> Mapping[str, float]:
    grows = {"home": settings.home, "spool": settings.spool_file()}
    return {what: mb for what, path in grows.items() if (mb := _free_mb(path)) is not None}


def _free_mb(path: Path) -> float | None:
    """What is left on the disk on which this lies, or will."""
    for each in (path.absolute(), *path.absolute().parents):
        try:
            return shutil.disk_usage(each).free / MB
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None
