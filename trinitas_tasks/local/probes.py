"""Whether the processes of a stack answer, each asked in its own language."""

from __future__ import annotations

import http.client
import socket

import redis
from celery import Celery
from kombu.exceptions import OperationalError
from pydantic import SecretStr
from redis.backoff import NoBackoff
from redis.retry import Retry

from trinitas_tasks.local.ports import LOOPBACK
from trinitas_tasks.local.records import Record
from trinitas_tasks.settings import Settings
from trinitas_tasks.tasks.config import QUEUES, producer_config

PROBE_SECONDS = 1.0


def answers(name: str, record: Record, settings: Settings) -> bool:
    """Whether the process does its work; of those that cannot be asked, True."""
    if name == "valkey":
        return redis_answers(record.redis_url)
    if name == "chroma":
        return http_answers(record.chromadb_host, record.chromadb_port, "/api/v2/heartbeat")
    if name == "flower" and record.flower is not None:
        return http_answers(LOOPBACK, record.flower.port, "/healthcheck")
    if name in QUEUES:
        return worker_answers(name, record.redis_url, settings)
    return True


def redis_answers(url: str) -> bool:
    """Whether it answers PING with the password of the URL, and has loaded its data."""
    client = redis.Redis.from_url(
        url, socket_timeout=PROBE_SECONDS, socket_connect_timeout=PROBE_SECONDS, retry=Retry(NoBackoff(), 0)
    )
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def http_answers(host: str, port: int, path: str) -> bool:
    """Whether a GET of the path is answered with 200."""
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def worker_answers(queue: str, redis_url: str, settings: Settings) -> bool:
    """Whether the worker of this machine answers Celery's ping."""
    name = f"{queue}@{socket.gethostname()}"
    app = Celery(set_as_current=False)
    app.conf.update(producer_config(settings.model_copy(update={"redis_url": SecretStr(redis_url)})))
    try:
        with app.connection_for_write() as connection:
            found = app.control.inspect([name], timeout=PROBE_SECONDS, connection=connection).ping()
    except (OperationalError, redis.RedisError, OSError):
        return False
    finally:
        app.close()
    return name in (found or {})
