"""The processes of a stack and how each is started: the one place where their command lines stand.

No command line carries a password: those travel in the environment (``REDIS_URL``, ``FLOWER_BASIC_AUTH``)
and in valkey.conf, because anybody on the machine can read the argv of a process.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trinitas_tasks.tasks.config import LIFECYCLE, SEARCH

APP = "trinitas_tasks.tasks.worker"
SERVERS = ("valkey", "chroma")
"""Started first and stopped last: the others cannot work without."""
COLUMNS = "name,state,args,result,runtime,received,worker,uuid"
"""What Flower's list of tasks shows: what came of them first."""
CELERY = (sys.executable, "-m", "celery", "-A", APP)


@dataclass(frozen=True, slots=True)
class Process:
    """One process. It counts as running after ``up_seconds`` of life; until then its retries slow down."""

    name: str
    command: tuple[str, ...]
    order: int
    up_seconds: int
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_seconds: int = 15


def valkey(binary: Path, conf: Path) -> Process:
    return Process("valkey", (str(binary), str(conf)), order=10, up_seconds=1)


def chroma(folder: Path, *, host: str, port: int) -> Process:
    """Under a guard, which keeps it healthy: see `chroma_guard`."""
    program = (sys.executable, "-m", "trinitas_tasks.local.chroma_guard")
    command = (*program, "--host", host, "--path", str(folder), "--port", str(port))
    # else it writes 3 KB into its log for each request
    quiet = {"ANONYMIZED_TELEMETRY": "False", "RUST_LOG": "warn"}
    return Process("chroma", command, order=20, up_seconds=1, environment=quiet)


def worker(queue: str) -> Process:
    """A worker of one task at a time: the embedding model is not thread-safe, and more workers are more processes.

    Searches run in the main thread, which saves 1 ms each; an ingest, which takes seconds, runs beside it, so that the
    worker goes on answering `inspect`. The lifecycle worker, which has no model, takes two: who asks it something, such
    as `trinitas why`, need not wait for a run of 20 s.
    """
    pool = "solo" if queue == SEARCH else "threads"
    threads = 2 if queue == LIFECYCLE else 1
    options = (
        "worker",
        "-Q",
        queue,
        "-n",
        f"{queue}@%h",
        "--loglevel=INFO",
        "-E",
        f"--pool={pool}",
        f"--concurrency={threads}",
    )
    return Process(queue, (*CELERY, *options), order=30, up_seconds=5)


def beat(schedule: Path) -> Process:
    command = (*CELERY, "beat", "--schedule", str(schedule), "--pidfile=", "--loglevel=INFO")
    return Process("beat", command, order=40, up_seconds=5)


def flower(*, host: str, port: int, user: str, password: str) -> Process:
    command = (*CELERY, "flower", f"--address={host}", f"--port={port}", f"--tasks-columns={COLUMNS}")
    return Process("flower", command, order=50, up_seconds=5, environment={"FLOWER_BASIC_AUTH": f"{user}:{password}"})


def valkey_conf(*, folder: Path, port: int, password: str) -> str:
    """Durable to the last acknowledged write; only keys with a TTL (copies) may be evicted."""
    quoted = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    return f"""\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
tcp-keepalive 60
daemonize no
dir "{quoted}"
appendonly yes
appendfsync always
aof-use-rdb-preamble yes
save ""
maxmemory-policy volatile-lru
loglevel notice
# its title would be written over its environment, and with it the stack's mark
set-proc-title no
"""
