"""One client process: does its operations one after the other, journals them, and checks what it reads at once.

Started by the soak as ``python -m tests.soak.client ERRAND`` and killed now and then; it goes on where its
journal ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.soak.journal import Journal, Line, lines
from tests.soak.ledger import Ledger
from tests.soak.operations import Item, Kind, Operation, Plan, arguments, seen
from trinitas_tasks import MemoryClient, load_settings
from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.model import Key

LEASE_SECONDS = 10
RETRY_SECONDS = (1.0, 2.0, 4.0)
"""Between the attempts of a patient write: all of them lie within the dedup window."""
BEHIND_SECONDS = 1.0
"""How much of a delay is made up for by working faster."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What a client is told. Times are of the machine's monotonic clock, in seconds."""

    home: str
    journal: str
    client: int
    seed: int
    personas: tuple[str, ...]
    started: float
    ends: float
    pace_seconds: float


class Client:
    """Does the operations of a plan until the time is over."""

    def __init__(self, errand: Errand, memory: MemoryClient) -> None:
        self._errand = errand
        self._memory = memory
        self._plan = Plan(errand.seed, errand.client, errand.personas)
        self._ledger = Ledger(errand.client)
        self._next = 0
        for line in lines(Path(errand.journal)):
            self._ledger.feed(line)
            # what was broken off is done again, as an application would that does not know
            self._next = line["n"] + (line["what"] != "intent")
        self._journal = Journal(Path(errand.journal))
        self._parent = os.getppid()

    def run(self) -> None:
        due = time.monotonic()
        while time.monotonic() < self._errand.ends and os.getppid() == self._parent:
            self._do(self._plan.operation(self._next))
            self._next += 1
            due = max(due + self._errand.pace_seconds, time.monotonic() - BEHIND_SECONDS)
            time.sleep(max(0.0, due - time.monotonic()))

    def _do(self, operation: Operation) -> None:
        if operation.items:
            self._remember(operation)
        elif operation.target is not None:
            self._use(operation, operation.target)

    def _use(self, operation: Operation, target: Item) -> None:
        memory_id = self._id(target)
        # of what was never acknowledged nobody knows the id
        if operation.kind in (Kind.RECALL, Kind.FOREIGN_RECALL) or memory_id is None:
            self._recall(operation, target)
        elif operation.kind in (Kind.FORGET, Kind.FOREIGN_FORGET):
            self._forget(operation, memory_id)
        else:
            self._get(operation, memory_id)

    def _id(self, item: Item) -> str | None:
        return item.id or self._ledger.ids.get((item.persona, item.word))

    def _remember(self, operation: Operation) -> None:
        items = [[each.persona, each.id, each.word] for each in operation.items]
        waits = RETRY_SECONDS if operation.patient else ()
        for wait in (*waits, None):
            self._note(operation, what="intent", does="write", items=items)
            started = time.monotonic()
            try:
                ids = self._write(operation.items)
            except TrinitasError as error:
                self._failed(operation, started, error)
            else:
                self._note(operation, what="ack", ids=ids, took=_since(started))
                return
            if wait is None or time.monotonic() + wait > self._errand.ends:
                return
            time.sleep(wait)

    def _write(self, items: Sequence[Item]) -> list[str]:
        if len(items) == 1:
            return [self._memory.remember(**arguments(items[0]))]
        return self._memory.remember_many(map(arguments, items))

    def _forget(self, operation: Operation, memory_id: str) -> None:
        self._note(operation, what="intent", does="forget", items=[[operation.persona, memory_id, None]])
        started = time.monotonic()
        try:
            self._memory.forget(memory_id, persona=operation.persona)
        except TrinitasError as error:
            self._failed(operation, started, error)
        else:
            self._note(operation, what="ack", ids=[memory_id], took=_since(started))

    def _get(self, operation: Operation, memory_id: str) -> None:
        began = self._now()
        started = time.monotonic()
        try:
            item = self._memory.get(memory_id, persona=operation.persona)
        except TrinitasError as error:
            self._read(operation, "get", started, id=memory_id, error=_shown(error))
            return
        found = None if item is None else seen(item)
        self._read(operation, "get", started, id=memory_id, word=found and found.word)
        for kind, detail in self._ledger.judge_get(Key(operation.persona, memory_id), found):
            self._violated(operation, began, kind, memory_id, detail)

    def _recall(self, operation: Operation, target: Item) -> None:
        began = self._now()
        started = time.monotonic()
        try:
            recalled = self._memory.recall(target.word, persona=operation.persona)
        except TrinitasError as error:
            self._read(operation, "recall", started, error=_shown(error))
            return
        hits = [seen(hit.item) for hit in recalled]
        noted: dict[str, Any] = {"hits": len(hits)}
        standing = self._ledger.standings.get(Key(operation.persona, self._id(target) or "-"))
        if standing is not None and standing.possible == {target.word} and not recalled.degraded:
            noted["found"] = any(hit.word == target.word for hit in hits)
        self._read(operation, "recall", started, word=target.word, **noted)
        for kind, memory_id, detail in self._ledger.judge_recall(operation.persona, hits):
            why = f"; degraded: {'; '.join(recalled.degraded)}" if recalled.degraded else ""
            cached = " (a cached answer)" if recalled.cached else ""
            self._violated(operation, began, kind, memory_id, f"recall: {detail}{cached}{why}")

    def _failed(self, operation: Operation, started: float, error: TrinitasError) -> None:
        self._note(operation, what="error", error=_shown(error), took=_since(started))

    def _read(self, operation: Operation, does: str, started: float, **noted: Any) -> None:
        self._note(operation, what="read", does=does, persona=operation.persona, took=_since(started), **noted)

    def _violated(self, operation: Operation, began: float, kind: str, memory_id: str, detail: str) -> None:
        # when the read began: that is what counts for whether Redis was away
        self._note(
            operation, what="violation", began=began, kind=kind, persona=operation.persona, id=memory_id, detail=detail
        )

    def _note(self, operation: Operation, **fields: Any) -> None:
        line: Line = {"at": self._now(), "client": self._errand.client, "n": operation.number, **fields}
        self._journal.write(line)
        self._ledger.feed(line)

    def _now(self) -> float:
        return round(time.monotonic() - self._errand.started, 4)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 4)


def _shown(error: TrinitasError) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def encoded(errand: Errand) -> str:
    """The errand as an argument of the command line."""
    return json.dumps(asdict(errand))


def main() -> None:
    given = json.loads(sys.argv[1])
    errand = Errand(**{**given, "personas": tuple(given["personas"])})
    home = Path(errand.home)
    settings = load_settings(folder=home, overrides={"home": home, "lease_seconds": LEASE_SECONDS})
    with MemoryClient.connect(settings) as memory:
        Client(errand, memory).run()


if __name__ == "__main__":
    main()
