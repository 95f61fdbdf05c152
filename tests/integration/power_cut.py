"""Ends every process at once, right after an acknowledgement, again and again: `python -m tests.integration.power_cut`.

A power cut as far as processes can tell: what they had in memory is gone, what the system had taken from them is not.
What the disk itself keeps is up to fsync, which is asked for where docs/reliability.md says.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.site import Site, jobs
from tests.support import Valkey, wait_until
from trinitas_tasks.errors import TrinitasError

PERSONAS = ("athena", "artemis")


@dataclass
class Cut:
    """One site through many power cuts, and what it acknowledged: key to content, None for what was forgotten."""

    folder: Path
    seed: int
    acknowledged: dict[tuple[str, str], str | None] = field(default_factory=dict)
    doubtful: dict[tuple[str, str], set[str | None]] = field(default_factory=dict)
    spooled_rounds: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.server = Valkey(self.folder)
        self.site = Site(self.folder, self.server)

    def round(self, number: int) -> None:
        """Start everything, write until some acknowledgement, end everything."""
        without_redis = self.random.random() < 0.25
        if not without_redis:
            self.server.start()
        elif not self.server.port:
            return
        self.spooled_rounds += without_redis
        read_end, write_end = os.pipe()
        wanted = self.random.randint(1, 12)
        writer = _forked(lambda: self._write(number, self.random.random(), write_end))
        worker = _forked(self._ingest)
        os.close(write_end)
        with os.fdopen(read_end, encoding="utf-8") as lines:
            for _ in range(wanted):
                self._note(lines.readline())
            for pid in (writer, worker):
                os.kill(pid, signal.SIGKILL)
            if not without_redis:
                self.server.kill()
            for pid in (writer, worker):
                os.waitpid(pid, 0)
            for line in lines:  # told before the end, read after it
                self._note(line)

    def _note(self, line: str) -> None:
        if not line.endswith("\n"):
            return  # the cut came while it was told
        told = json.loads(line)
        key = (told["persona"], told["id"])
        if told["state"] == "begun":
            self.doubtful.setdefault(key, set()).add(told["content"])
        else:
            self.acknowledged[key] = told["content"]
            self.doubtful.pop(key)

    def _write(self, number: int, seed: float, out: int) -> None:
        chance = random.Random(seed)
        known: list[tuple[str, str]] = []
        with self.site.client() as client:
            for step in range(10_000):
                persona = chance.choice(PERSONAS)
                content: str | None = f"round {number} step {step} {chance.random()}"
                memory_id = f"r{number}-{step}"
                if known and chance.random() < 0.3:
                    persona, memory_id = chance.choice(known)
                    content = None if chance.random() < 0.5 else content
                told = {"persona": persona, "id": memory_id, "content": content}
                _tell(out, {**told, "state": "begun"})
                if content is None:
                    client.forget(memory_id, persona=persona)
                else:
                    client.remember(content, id=memory_id, persona=persona)
                    known.append((persona, memory_id))
                _tell(out, {**told, "state": "acknowledged"})

    def _ingest(self) -> None:
        run = jobs(self.site.runtime())
        while True:
            try:
                run.tick()
            except TrinitasError:
                continue

    def verdict(self) -> list[str]:
        """Start everything once more, let it settle, and compare with what was acknowledged."""
        self.server.start()
        runtime = self.site.runtime()
        run = jobs(runtime)
        with self.site.client() as client:

            def settled() -> bool:
                run.tick()
                stats = client.stats()
                return not (stats.outbox or stats.spooled)

            wait_until(settled, 60)
            run.reconcile()
            wrong = []
            for (persona, memory_id), content in self.acknowledged.items():
                item = client.get(memory_id, persona=persona)
                record = runtime.archive.load(persona, [memory_id])[0]
                allowed = {content} | self.doubtful.get((persona, memory_id), set())
                for where, found in (("read", item), ("archived", record and record.item)):
                    if (found.content if found else None) not in allowed:
                        wrong.append(f"{persona}:{memory_id} {where} as {found!r}, not {content!r}")
            differences = run.compare(None)["differences"]
        runtime.close()
        self.server.stop()
        return wrong + [str(each) for each in differences]


def _forked(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(1)
    return pid


def _tell(out: int, told: dict[str, str | None]) -> None:
    os.write(out, json.dumps(told).encode() + b"\n")


def main(folder: Path, rounds: int, seed: int) -> int:
    """Print one line of JSON; 1 if anything was lost."""
    logging.getLogger("trinitas_tasks").setLevel(logging.ERROR)  # it tells of every failure, and here all is failures
    cut = Cut(folder, seed)
    for number in range(rounds):
        cut.round(number)
    wrong = cut.verdict()
    report = {
        "cuts": rounds,
        "without_redis": cut.spooled_rounds,
        "acknowledged": len(cut.acknowledged),
        "wrong": wrong[:20],
    }
    sys.stdout.write(json.dumps(report) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
