"""How a client reaches the jobs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

from celery import Celery
from celery.exceptions import TimeoutError as CeleryTimeoutError

from trinitas_tasks.errors import DeadlineExceeded, TrinitasError, Unavailable
from trinitas_tasks.settings import Settings, hide_password
from trinitas_tasks.tasks.config import INSPECT_SECONDS, MESSAGING_ERRORS, producer_config

logger = logging.getLogger(__name__)


class Dispatcher(Protocol):
    """Sends jobs to whoever runs them."""

    def tell(self, job: str) -> None:
        """Ask for a run; best effort: what is due is found by the sweep in any case. Never raises."""

    def ask(self, job: str, arguments: Sequence[Any], *, deadline_ms: int) -> Any:
        """Run it and return its result. Raises: Unavailable, DeadlineExceeded and what the job raises."""

    def workers(self) -> dict[str, list[str]]:
        """The queues that somebody serves, with the names of who does. Raises: Unavailable."""

    def close(self) -> None:
        """Give the connections back."""


class CeleryDispatcher:
    """Sends jobs to the workers by way of Redis. Thread-safe; connects with the first call."""

    def __init__(self, settings: Settings) -> None:
        self._app = Celery("trinitas-client", set_as_current=False)
        self._app.conf.update(producer_config(settings))
        self._where = hide_password(settings.redis())

    def tell(self, job: str) -> None:
        """See Dispatcher."""
        try:
            self._app.send_task(f"trinitas.{job}", ignore_result=True)
        except MESSAGING_ERRORS as error:
            logger.warning("%s is left for the next sweep: %s", job, error)

    def ask(self, job: str, arguments: Sequence[Any], *, deadline_ms: int) -> Any:
        """See Dispatcher."""
        seconds = deadline_ms / 1000
        try:
            result = self._app.send_task(f"trinitas.{job}", args=list(arguments), expires=seconds, ignore_result=False)
            return result.get(timeout=seconds)
        except TrinitasError:
            raise
        except CeleryTimeoutError as error:
            raise DeadlineExceeded(
                f"no worker answered {job} within {deadline_ms} ms: does one serve its queue? (`trinitas status`)"
            ) from error
        except MESSAGING_ERRORS as error:
            raise Unavailable(f"{job}: the broker at {self._where} failed: {error}") from error

    def workers(self) -> dict[str, list[str]]:
        """See Dispatcher."""
        try:
            replies = self._app.control.inspect(timeout=INSPECT_SECONDS).active_queues() or {}
        except MESSAGING_ERRORS as error:
            raise Unavailable(f"the broker at {self._where} failed: {error}") from error
        served: dict[str, list[str]] = {}
        for worker, queues in replies.items():
            for queue in queues:
                served.setdefault(queue["name"], []).append(worker)
        return served

    def close(self) -> None:
        """See Dispatcher."""
        self._app.close()
