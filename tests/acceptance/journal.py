"""What a writer did to memories, one state after the other, and up to which of them it was acknowledged."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from itertools import count

from trinitas_tasks import MemoryClient

FORGOTTEN = None
IDS = 60


@dataclass
class Journal:
    """The states of each id: what was written, or that it was forgotten. All are written by one thread."""

    states: dict[str, list[str | None]] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)
    """How many of its states."""

    def write(self, client: MemoryClient, chance: random.Random, stop: threading.Event) -> None:
        """Write, change and forget memories until it is to stop: some always anew, most again and again."""
        for number in count():
            if stop.is_set():
                return
            some = {f"pond{chance.randrange(IDS)}" for _ in range(8)} | {f"once{number}"}
            gone = {id_ for id_ in some if self.states.get(id_) and chance.random() < 0.15}
            for id_ in some:
                told = FORGOTTEN if id_ in gone else f"crane {number} rests at {id_}"
                self.states.setdefault(id_, []).append(told)
            client.remember_many([{"content": self.states[id_][-1], "id": id_} for id_ in sorted(some - gone)])
            for id_ in gone:
                client.forget(id_)
            for id_ in some:
                self.acknowledged[id_] = len(self.states[id_])

    def at(self) -> dict[str, int]:
        """Of each id how many states are acknowledged by now."""
        return dict(self.acknowledged)

    def may_be(self, id_: str, found: str | None, before: dict[str, int]) -> bool:
        """Whether this is a state of the memory that is not older than what was acknowledged before."""
        known = before.get(id_, 0)
        states = self.states[id_]
        return found in states[known - 1 if known else 0 :] or (not known and found is FORGOTTEN)
