"""What `celery -A trinitas_tasks.tasks.worker …` loads: the application over the settings in force.

A worker of the search or ingest queue opens its tiers and loads the model before it takes its first task, so that
it is ready when it says so.
"""

from __future__ import annotations

import logging
from typing import Any

from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.signals import celeryd_after_setup, worker_shutdown

from trinitas_tasks.runtime import Runtime
from trinitas_tasks.settings import load_settings
from trinitas_tasks.tasks.app import create_app
from trinitas_tasks.tasks.config import INGEST, SEARCH

logger = logging.getLogger(__name__)

logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every request

settings = load_settings()
runtime = Runtime(settings)
app = create_app(settings, runtime)


@celeryd_after_setup.connect(weak=False)  # type: ignore[untyped-decorator] # celery has no types
def prepare(instance: Any, **_: object) -> None:
    """Before the worker takes tasks."""
    queues = set(instance.app.amqp.queues.consume_from)
    # a parent that forks must not have loaded torch: its children load it with their first task
    if queues & {SEARCH, INGEST} and not issubclass(instance.pool_cls, PreforkPool):
        if INGEST not in queues:
            runtime.embedding_threads = 1  # one question is no faster on two, and far slower while the other is busy
        runtime.archive.ping()
        logger.info("the archive is ready; loading %s", settings.chromadb_model)
        logger.info("%s is loaded", runtime.embedder.name)


@worker_shutdown.connect(weak=False)  # type: ignore[untyped-decorator] # celery has no types
def finish(**_: object) -> None:
    """Give connections back."""
    runtime.close()
