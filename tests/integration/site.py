"""One deployment without Celery: a real Valkey and archive file, a stub model, and jobs run by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import Valkey
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.embedding.stub import HashEmbedder
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.services.ingest import Step
from trinitas_tasks.settings import Settings
from trinitas_tasks.tasks.activity import Activity
from trinitas_tasks.tasks.jobs import Jobs
from trinitas_tasks.tiers.breaker import Breaker
from trinitas_tasks.tiers.vectors.interface import VectorTier
from trinitas_tasks.tiers.vectors.memory import MemoryVectors


class NoWorkers:
    """Nobody serves the queues: jobs are run by hand."""

    def tell(self, job: str) -> None:
        """See Dispatcher."""

    def ask(self, job: str, arguments: Sequence[Any], *, deadline_ms: int) -> Any:
        """See Dispatcher."""
        raise Unavailable(f"{job}{tuple(arguments)}: no worker within {deadline_ms} ms")

    def workers(self) -> dict[str, list[str]]:
        """See Dispatcher."""
        return {}

    def activity(self) -> Activity:
        """See Dispatcher."""
        return Activity({})

    def close(self) -> None:
        """See Dispatcher."""


@dataclass(frozen=True, slots=True)
class Site:
    """``folder`` holds the archive and the spool."""

    folder: Path
    server: Valkey

    def settings(self, **more: Any) -> Settings:
        given: dict[str, Any] = {
            "TRINITAS_HOME": self.folder,
            "SQLITE_PATH": self.folder / "archive.db",
            "REDIS_URL": self.server.url,
            "TRINITAS_RETRY_DELAY": 0.2,
            "TRINITAS_LEASE_SECONDS": 1,
        }
        return Settings(**given, **more)

    def client(self, persona: str = "athena", **more: Any) -> MemoryClient:
        """As an application of this machine has it, but for the dispatcher."""
        settings = self.settings(**more)
        return MemoryClient.connect(settings, persona=persona, dispatcher=NoWorkers())

    def runtime(self, *, vectors: VectorTier | None = None, step: Step = lambda _: None) -> Runtime:
        """As an ingest worker of this machine has it, but for the model."""
        return Runtime(self.settings(), vectors=vectors or MemoryVectors(), embedder=HashEmbedder(), step=step)


def jobs(runtime: Runtime) -> Jobs:
    """The jobs of a worker that nobody else helps."""
    return Jobs(runtime, nudge=lambda _: None)


def breaker() -> Breaker:
    """One that is closed."""
    return Breaker("a service", retry_seconds=0.2)
