"""The Celery application: the jobs, registered as tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from celery import Celery

from trinitas_tasks.errors import Transient
from trinitas_tasks.policy.life import LifeTask
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.settings import Settings
from trinitas_tasks.tasks.config import worker_config
from trinitas_tasks.tasks.jobs import Jobs
from trinitas_tasks.tasks.shown import Shown

SENT: Final = ("ingest", "forget", *LifeTask)
"""Jobs that mean "whatever is due now"."""
ANSWERED: Final = (
    "search", "fetch", "timeline", "count", "examine", "alive", "facts", "compare", "mend", "rebuild",
    "dead_letters", "drop_dead", "retry_dead", "run", "runs", "why", "undo", "consolidations", "analytics",
    "migrate_step", "migrate_verify", "migrate_notes", "migrate_undo",
    "export_step", "unarchived", "relive", "roster", "tally", "define",
)  # fmt: skip
"""Jobs whose result somebody waits for."""


def create_app(settings: Settings, runtime: Runtime) -> Celery:
    """The application that workers, beat and Flower run."""
    app = Celery("trinitas", set_as_current=False)
    app.conf.update(worker_config(settings))
    register(app, runtime)
    return app


def register(app: Celery, runtime: Runtime) -> None:
    """Make every job a task of the application, named ``trinitas.JOB``."""
    jobs = Jobs(runtime, nudge=lambda name: app.send_task(f"trinitas.{name}", ignore_result=True))
    for name in (*SENT, *ANSWERED):
        answered = name in ANSWERED
        app.task(
            _as_function(getattr(jobs, name)),
            name=f"trinitas.{name}",
            shared=False,  # by default every later application of the process gets it, with this runtime
            ignore_result=not answered,
            # somebody waits: answer first, acknowledge then (its fsync costs 0.5 ms); doubled answers are harmless
            acks_late=answered,
            # nothing is retried by message: what failed is still due, and the next sweep finds it
            throws=(Transient,),
        )


def _as_function(job: Callable[..., Any]) -> Callable[..., Any]:
    """Celery makes a class out of what it is given; a bound method needs a function around it."""

    def task(*args: Any, **kwargs: Any) -> Any:
        return Shown(job(*args, **kwargs))

    task.__name__, task.__doc__ = job.__name__, job.__doc__
    return task
