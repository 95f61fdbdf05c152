"""What `celery -A trinitas_tasks.tasks.worker …` loads: the application over the settings in force.

A worker of the search or ingest queue opens its tiers and loads the model before it takes its first task, so that
it is ready when it says so.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.signals import celeryd_after_setup, worker_ready, worker_shutdown, worker_shutting_down

from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.settings import load_settings
from trinitas_tasks.tasks.app import create_app
from trinitas_tasks.tasks.config import INGEST, SEARCH
from trinitas_tasks.tasks.jobs import Jobs

logger = logging.getLogger(__name__)

logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every request

TICK_SECONDS: Final = 5.0
TEND_SECONDS: Final = 1.0
"""How often a search worker's full-text index takes over what was archived; searches see it before."""

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
        try:
            runtime.archive.ping()
        except TrinitasError as error:  # the tasks will tell; what does not need it works
            logger.error("the archive is not ready: %s", error)
        logger.info("loading %s", settings.chromadb_model)
        logger.info("%s is loaded", runtime.embedder.name)


@worker_ready.connect(weak=False)  # type: ignore[untyped-decorator] # celery has no types
def watch(sender: Any, **_: object) -> None:
    """From now on an ingest worker also looks for due work by itself, and a search worker tends its index."""
    if INGEST in sender.app.amqp.queues.consume_from:
        threading.Thread(target=_watch, name="tick", daemon=True).start()
    if SEARCH in sender.app.amqp.queues.consume_from:
        threading.Thread(target=_tend, name="full text", daemon=True).start()


def _watch() -> None:
    jobs = Jobs(runtime, nudge=lambda _: None)
    advanced = False
    while not runtime.stopping.wait(TICK_SECONDS):
        try:
            if not advanced:
                runtime.hot.advance(runtime.archive.highest())
                advanced = True
            jobs.tick()
        except TrinitasError as error:
            logger.warning("nothing could be looked for: %s", error)
        except Exception:
            logger.exception("looking for due work failed")


def _tend() -> None:
    jobs = Jobs(runtime, nudge=lambda _: None)
    while not runtime.stopping.is_set():
        try:
            jobs.tend()
        except TrinitasError as error:
            logger.warning("the full-text index stays behind: %s", error)
        except Exception:
            logger.exception("tending the full-text index failed")
        runtime.stopping.wait(TEND_SECONDS)


@worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator] # celery has no types
def stop(**_: object) -> None:
    """The batch at hand is the last one."""
    runtime.stopping.set()


@worker_shutdown.connect(weak=False)  # type: ignore[untyped-decorator] # celery has no types
def finish(**_: object) -> None:
    """Give connections back."""
    runtime.close()
