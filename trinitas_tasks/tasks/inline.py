"""The jobs in the caller's own process."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.tasks.activity import Activity, Worker
from trinitas_tasks.tasks.config import QUEUES
from trinitas_tasks.tasks.jobs import Jobs

logger = logging.getLogger(__name__)


class InlineDispatcher:
    """Runs the jobs in the caller's process, at once: no broker, no workers. For tests and for trying things out."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._jobs = Jobs(runtime, nudge=self.tell)

    def tell(self, job: str) -> None:
        """See Dispatcher."""
        try:
            getattr(self._jobs, job)()
        except TrinitasError as error:
            logger.warning("%s is left for the next sweep: %s", job, error)

    def ask(self, job: str, arguments: Sequence[Any], *, deadline_ms: int) -> Any:  # noqa: ARG002 - nothing to wait for
        """See Dispatcher."""
        if job == "search":
            self.tell("tend")  # no thread does
        return getattr(self._jobs, job)(*arguments)

    def workers(self) -> dict[str, list[str]]:
        """See Dispatcher."""
        return {queue: ["this process"] for queue in QUEUES}

    def activity(self) -> Activity:
        """See Dispatcher."""
        return Activity(dict.fromkeys(QUEUES, 0), (Worker("this process", QUEUES),))

    def close(self) -> None:
        """See Dispatcher."""
        self._runtime.close()
