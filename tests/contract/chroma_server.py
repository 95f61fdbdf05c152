"""A private Chroma server that can be paused, killed and started again."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from tests.contract.archives import MODEL
from tests.support import free_port, wait_until
from trinitas_tasks.tiers.vectors.chroma import ChromaVectors
from trinitas_tasks.tiers.vectors.interface import VectorTier

DIM = 8
LISTENS = b"listening on address"


def made(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Vectors that point anywhere."""
    return np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)


def put(tier: VectorTier, persona: str, ids: list[str], vectors: NDArray[np.float32], version: int = 1) -> None:
    """Upsert them all under one version."""
    tier.upsert(persona, ids, vectors, [version] * len(ids))


def ids_of(tier: VectorTier, persona: str, vector: NDArray[np.float32], limit: int = 10) -> list[str]:
    """The ids that a search finds."""
    return [near.id for near in tier.query(persona, vector, limit)]


@contextmanager
def tier_at(port: int, *, deadline_ms: int = 20_000, model: str = MODEL) -> Iterator[ChromaVectors]:
    """A tier as of a process of its own."""
    tier = ChromaVectors("127.0.0.1", port, namespace="own", model=model, deadline_ms=deadline_ms)
    yield tier
    tier.close()


@dataclass
class ChromaServer:
    """One `chroma run` on loopback with its files in ``folder``."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    _begins: int = 0

    def start(self) -> None:
        """Start it and return when it answers; another port where the first was taken meanwhile."""
        for _ in range(5):
            self.port = self.port or free_port()
            self.process = self._spawned()
            if wait_until(lambda: self._answers() or self._ended(), 60) == "answers":
                return
            self.stop()
            self.port = 0
        raise AssertionError(self._log.read_text())

    @property
    def _log(self) -> Path:
        return self.folder.parent / f"{self.folder.name}.log"

    def _spawned(self) -> subprocess.Popen[bytes]:
        chroma = str(Path(sys.executable).with_name("chroma"))
        command = (chroma, "run", "--host", "127.0.0.1", "--port", str(self.port), "--path", str(self.folder))
        with self._log.open("ab") as log:
            self._begins = log.tell()
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _answers(self) -> str:
        if LISTENS not in self._log.read_bytes()[self._begins :]:  # it may be another server that answers at this port
            return ""
        try:
            return (
                "answers" if httpx.get(f"http://127.0.0.1:{self.port}/api/v2/heartbeat", timeout=5).is_success else ""
            )
        except httpx.TransportError:
            return ""

    def _ended(self) -> str:
        return "ended" if self.process is None or self.process.poll() is not None else ""

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stalled: it accepts connections and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill it and wait for its end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
