"""The Celery configuration, as plain data: `celeryconfig.py` at the top level says the same.

Nothing here keeps a promise: a lost message only delays, since the outbox is swept. The values make failures fast
for producers and make workers wait for ever.
"""

from __future__ import annotations

from typing import Any, Final

from celery.exceptions import CeleryError
from kombu.entity import Exchange, Queue
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from trinitas_tasks.policy.life import LifeTask
from trinitas_tasks.settings import Settings

SEARCH, INGEST, LIFECYCLE = "search", "ingest", "lifecycle"
QUEUES: Final = (SEARCH, INGEST, LIFECYCLE)
RESULT_SECONDS: Final = 60
INSPECT_SECONDS: Final = 0.5
MESSAGING_ERRORS: Final = (CeleryError, KombuError, RedisError, OSError)
"""What sending a message or waiting for its result may raise when the broker is in trouble."""

ROUTES: Final = {
    "trinitas.search": SEARCH,
    "trinitas.fetch": SEARCH,
    "trinitas.timeline": SEARCH,
    "trinitas.count": SEARCH,
    "trinitas.examine": SEARCH,
    "trinitas.alive": SEARCH,
    "trinitas.facts": SEARCH,
    "trinitas.compare": SEARCH,
    "trinitas.export_step": SEARCH,
    "trinitas.unarchived": SEARCH,
    "trinitas.relive": LIFECYCLE,
    "trinitas.roster": SEARCH,
    "trinitas.tally": SEARCH,
    "trinitas.define": INGEST,
    "trinitas.ingest": INGEST,
    "trinitas.forget": INGEST,
    **{f"trinitas.{task}": LIFECYCLE for task in LifeTask},
    # it gives memories vectors that have none, which takes the model
    "trinitas.reconcile": INGEST,
    "trinitas.mend": INGEST,
    "trinitas.rebuild": INGEST,
    "trinitas.dead_letters": SEARCH,
    "trinitas.drop_dead": INGEST,
    "trinitas.retry_dead": INGEST,
    **dict.fromkeys((f"trinitas.migrate_{each}" for each in ("step", "verify", "notes", "undo")), INGEST),
    **dict.fromkeys(("trinitas.run", "trinitas.runs", "trinitas.why", "trinitas.undo"), LIFECYCLE),
    **dict.fromkeys(("trinitas.consolidations", "trinitas.analytics"), LIFECYCLE),
}

PRODUCER_TRANSPORT: Final = {
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
    "connect_retries_timeout": 0.1,
    "socket_connect_timeout": 0.1,
}
WORKER_TRANSPORT: Final = {
    "visibility_timeout": 3600,
    "socket_keepalive": True,
    "socket_connect_timeout": 5,
    # a read waits for a second at most: one that takes longer means a stalled Redis or a network that lost it
    "socket_timeout": 15,
    "health_check_interval": 30,
}


def worker_config(settings: Settings) -> dict[str, Any]:
    """The configuration of workers, beat and Flower."""
    return {
        **_common(settings),
        "broker_transport_options": {**WORKER_TRANSPORT, **_prefix(settings)},
        "result_backend_transport_options": _prefix(settings),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
        "task_create_missing_queues": False,
        "task_default_queue": LIFECYCLE,
        "task_send_sent_event": True,
        "task_track_started": False,
        "worker_send_task_events": True,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_soft_shutdown_timeout": 10.0,
        "beat_schedule": schedule(settings),
        "beat_max_loop_interval": 5,
    }


def producer_config(settings: Settings) -> dict[str, Any]:
    """The configuration of a client: one fast failure, no retries."""
    patience = settings.redis_timeout_ms / 1000
    return {
        **_common(settings),
        "broker_transport_options": {**PRODUCER_TRANSPORT, "socket_timeout": patience, **_prefix(settings)},
        "result_backend_transport_options": {**_prefix(settings), "retry_policy": {"max_retries": 0}},
        "redis_socket_connect_timeout": 0.1,
        # of one answer of Redis; a result is waited for in another way
        "redis_socket_timeout": patience,
        "redis_retry_on_timeout": False,
        "redis_max_connections": settings.connection_pool_size,
        "broker_pool_limit": settings.connection_pool_size,
        "broker_pool_acquire_timeout": 0.1,
        "task_publish_retry": False,
        "result_backend_always_retry": False,
    }


def schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """What beat sends, and when."""
    every = {task: settings.seconds_between(task) for task in LifeTask}
    return {
        # expires: after a stop of the workers one tick is enough
        f"{task} every {_said(seconds)}": {
            "task": f"trinitas.{task}", "schedule": float(seconds), "options": {"expires": float(seconds)},
        }
        for task, seconds in every.items()
        if seconds
    }  # fmt: skip


def _said(seconds: float) -> str:
    """So long, for people.

    >>> _said(5), _said(300), _said(3600), _said(86400)
    ('5 s', '5 min', '1 h', '1 d')
    """
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"


def _common(settings: Settings) -> dict[str, Any]:
    return {
        "broker_url": settings.redis(),
        "result_backend": settings.redis(),
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "result_expires": RESULT_SECONDS,
        "task_ignore_result": True,
        "task_routes": {name: {"queue": queue} for name, queue in ROUTES.items()},
        "enable_utc": True,
        "timezone": "UTC",
        "task_store_errors_even_if_ignored": False,
    }


def _prefix(settings: Settings) -> dict[str, Any]:
    return {"global_keyprefix": f"{settings.namespace}:celery:"}
