"""How a client reaches the jobs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakSet

from celery import Celery
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult

from trinitas_tasks.errors import DeadlineExceeded, TrinitasError, Unavailable
from trinitas_tasks.settings import Settings, hide_password
from trinitas_tasks.tasks import patience
from trinitas_tasks.tasks.activity import Activity, Doing, Worker
from trinitas_tasks.tasks.config import INSPECT_SECONDS, MESSAGING_ERRORS, QUEUES, ROUTES, SEARCH, producer_config
from trinitas_tasks.tasks.shown import briefly
from trinitas_tasks.tiers.breaker import Breaker

logger = logging.getLogger(__name__)

T = TypeVar("T")
PROBE_MS: Final = 1000


class Dispatcher(Protocol):
    """Sends jobs to whoever runs them."""

    def tell(self, job: str) -> None:
        """Ask for a run; best effort: what is due is found by the sweep in any case. Never raises."""

    def ask(self, job: str, arguments: Sequence[Any], *, deadline_ms: int) -> Any:
        """Run it and return its result. Raises: Unavailable, DeadlineExceeded and what the job raises."""

    def workers(self) -> dict[str, list[str]]:
        """The queues that somebody serves, with the names of who does. Raises: Unavailable."""

    def activity(self) -> Activity:
        """What waits in the queues and what each worker is at. Raises: Unavailable."""

    def close(self) -> None:
        """Give the connections back."""


class CeleryDispatcher:
    """Sends jobs to the workers by way of Redis. Thread-safe; connects with the first call.

    ``redis`` is the breaker of the broker, which the hot tier finds away. When no worker answers a search in time, the
    next ones fail at once, until one answers.
    """

    def __init__(self, settings: Settings, *, redis: Breaker) -> None:
        self._settings = settings
        self._app = self._new_app()
        # Celery makes one for each thread that asks, and leaves its connections to the garbage collector
        self._backends: WeakSet[Any] = WeakSet()
        self._where = hide_password(settings.redis())
        self._redis = redis
        self._search = Breaker("the search workers", retry_seconds=settings.retry_delay)
        self._search.probe = lambda: self._asked("alive", (), PROBE_MS)

    def tell(self, job: str) -> None:
        """See Dispatcher."""
        try:
            self._redis.check()
            self._app.send_task(f"trinitas.{job}", ignore_result=True)
        except (Unavailable, *MESSAGING_ERRORS) as error:
            logger.warning("%s is left for the next sweep: %s", job, error)

    def ask(self, job: str, arguments: Sequence[Any], *, deadline_ms: int) -> Any:
        """See Dispatcher."""
        if ROUTES[f"trinitas.{job}"] != SEARCH:
            return self._asked(job, arguments, deadline_ms)
        if job == "search":
            self._search.check()
        try:
            answer = self._asked(job, arguments, deadline_ms)
        except DeadlineExceeded as error:
            if job == "search":
                self._search.failed(error)
            raise
        self._search.succeeded()
        return answer

    def _asked(self, job: str, arguments: Sequence[Any], deadline_ms: int) -> Any:
        self._redis.check()
        seconds = deadline_ms / 1000
        try:
            self._backends.add(self._app.backend)
            result = self._app.send_task(
                f"trinitas.{job}",
                args=list(arguments),
                argsrepr=briefly(arguments),
                expires=seconds,
                ignore_result=False,
            )
            return _waited(result, seconds)
        except TrinitasError:
            raise
        except CeleryTimeoutError as error:
            raise DeadlineExceeded(
                f"no worker answered {job} within {deadline_ms} ms: does one serve its queue? (`trinitas status`)"
            ) from error
        except RuntimeError as error:  # "retry limit exceeded … the Celery application must be restarted"
            self._app.close()
            self._app = self._new_app()
            raise Unavailable(f"{job}: Redis at {self._where} went away before the answer came") from error
        except MESSAGING_ERRORS as error:
            raise Unavailable(f"{job}: the broker at {self._where} failed: {error}") from error

    def _new_app(self) -> Celery:
        app = Celery("trinitas-client", set_as_current=False)
        app.conf.update(producer_config(self._settings))
        return app

    def workers(self) -> dict[str, list[str]]:
        """See Dispatcher."""
        served: dict[str, list[str]] = {}
        for worker, queues in self._asked_broker(self._queues).items():
            for queue in queues:
                served.setdefault(queue, []).append(worker)
        return served

    def activity(self) -> Activity:
        """See Dispatcher."""
        queues = self._asked_broker(self._queues)
        # who is known to be there is waited for no longer than it takes
        active = self._asked_broker(lambda: self._inspect(limit=len(queues)).active(safe=True) or {}) if queues else {}
        now = time.time()
        workers = tuple(
            Worker(name, served, tuple(doing(each, now) for each in active.get(name, ())))
            for name, served in sorted(queues.items())
        )
        return Activity(self._asked_broker(self._waiting), workers)

    def _asked_broker(self, look: Callable[[], T]) -> T:
        self._redis.check()
        try:
            try:
                return look()
            except MESSAGING_ERRORS:  # of a pooled connection perhaps, to a server that was started again since
                return look()
        except MESSAGING_ERRORS as error:
            raise Unavailable(f"the broker at {self._where} failed: {error}") from error

    def _queues(self) -> dict[str, tuple[str, ...]]:
        """Of each worker that answers the names of its queues."""
        replies = self._inspect().active_queues() or {}
        return {worker: tuple(queue["name"] for queue in queues) for worker, queues in replies.items()}

    def _inspect(self, limit: int | None = None) -> Any:
        return self._app.control.inspect(timeout=INSPECT_SECONDS, limit=limit)

    def _waiting(self) -> dict[str, int]:
        with self._app.connection_for_read() as connection, connection.channel() as channel:
            # not passive: kombu looks for the queue under its name without our prefix then, and finds none
            return {queue: int(channel.queue_declare(queue).message_count) for queue in QUEUES}

    def close(self) -> None:
        """See Dispatcher."""
        self._search.close()
        self._redis.close()
        self._app.close()
        for backend in list(self._backends):
            backend.result_consumer.stop()
            backend.client.connection_pool.disconnect()


def doing(request: Mapping[str, Any], now: float) -> Doing:
    """What a worker says of a task that it runs."""
    since = request.get("time_start")
    asked = str(request.get("args") or "").removeprefix("()")
    return Doing(request["name"].removeprefix("trinitas."), asked, 0.0 if since is None else max(0.0, now - since))


def _waited(result: AsyncResult, seconds: float) -> Any:
    until = time.monotonic() + seconds
    try:
        while True:
            left = max(until - time.monotonic(), 0.0)
            step = patience.look_after(left)
            try:
                return result.get(timeout=step)
            except CeleryTimeoutError:
                if step == left:
                    raise
            patience.check()
    except BaseException:
        # else the garbage collector does so, and complains when Redis is away
        backend, result.backend = result.backend, None
        with suppress(RuntimeError, *MESSAGING_ERRORS):
            backend.remove_pending_result(result)
        raise
