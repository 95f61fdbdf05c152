"""The lives of memories in a SQL database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from trinitas_tasks.model import Key
from trinitas_tasks.policy.prediction import Follower
from trinitas_tasks.tiers.archive import census, choosing, consolidating, learned, living, reading
from trinitas_tasks.tiers.archive.engines import Engines
from trinitas_tasks.tiers.archive.lives import (
    Audit,
    Census,
    Choice,
    Consolidation,
    Feedback,
    Life,
    Restored,
    Settlement,
    Turn,
)
from trinitas_tasks.tiers.archive.schema import memories


class SqlLives:
    """That part of the contract of Archive, one transaction a call."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def lives(self, persona: str, ids: Sequence[str]) -> list[Life | None]:
        """See Lives."""
        with self._engines.read("look up lives") as connection:
            found = reading.of(connection, persona, ids, memories.c)
        lives = {row["id"]: choosing.life_from(row) for row in found}
        return [lives.get(id_) for id_ in ids]

    def chosen(self, choice: Choice, limit: int) -> list[Life]:
        """See Lives."""
        with self._engines.read("choose memories") as connection:
            return choosing.chosen(connection, choice, limit)

    def named(self, persona: str, after: str, limit: int) -> list[Life]:
        """See Lives."""
        with self._engines.read("list lives") as connection:
            return choosing.named(connection, persona, after, limit)

    def active(self, persona: str) -> int:
        """See Lives."""
        with self._engines.read("count active memories") as connection:
            return learned.active(connection, persona)

    def cold(self, persona: str, ids: Sequence[str]) -> set[str]:
        """See Lives."""
        with self._engines.read("look up what is cold") as connection:
            found = reading.of(connection, persona, ids, (memories.c.id, memories.c.cold))
        return {row["id"] for row in found if row["cold"]}

    def turn(self, turns: Sequence[Turn]) -> list[bool]:
        """See Lives."""
        with self._engines.write("change lives") as connection:
            return living.turn(connection, turns)

    def restore_lives(self, lives: Sequence[Restored]) -> list[bool]:
        """See Lives."""
        with self._engines.write("restore lives") as connection:
            return living.restore(connection, lives)

    def settle(self, settlement: Settlement) -> bool:
        """See Lives."""
        with self._engines.write("settle accesses") as connection:
            return living.settle(connection, settlement)

    def settled(self) -> int:
        """See Lives."""
        with self._engines.read("tell what was settled") as connection:
            return learned.settled(connection)

    def followers(self, keys: Sequence[Key]) -> dict[Key, list[Follower]]:
        """See Lives."""
        with self._engines.read("look up followers") as connection:
            return learned.followers(connection, keys)

    def feedback(self, limit: int) -> list[Feedback]:
        """See Lives."""
        with self._engines.read("list feedback") as connection:
            return learned.feedback_waiting(connection, limit)

    def weights(self, persona: str) -> dict[str, float]:
        """See Lives."""
        with self._engines.read("look up weights") as connection:
            return learned.weights_of(connection, persona)

    def learn(self, turns: Sequence[Turn], weights: Mapping[str, Mapping[str, float]], learned: Sequence[int]) -> None:
        """See Lives."""
        with self._engines.write("keep what was learned") as connection:
            living.learn(connection, turns, weights, learned)

    def consolidate(self, done: Sequence[Consolidation], turns: Sequence[Turn]) -> list[Consolidation]:
        """See Lives."""
        with self._engines.write("consolidate memories") as connection:
            return consolidating.consolidate(connection, done, turns)

    def consolidations(
        self, *, persona: str | None = None, key: Key | None = None, seq: int | None = None, limit: int = 100
    ) -> list[Consolidation]:
        """See Lives."""
        with self._engines.read("list consolidations") as connection:
            return consolidating.listed(connection, persona, key, seq, limit)

    def undo(self, seq: int, at: datetime, turns: Sequence[Turn]) -> bool:
        """See Lives."""
        with self._engines.write("undo a consolidation") as connection:
            return consolidating.undo(connection, seq, at, turns)

    def audit(self, entries: Sequence[Audit]) -> None:
        """See Lives."""
        with self._engines.write("keep audits") as connection:
            consolidating.audit(connection, entries)

    def audits(self, limit: int, *, persona: str | None = None, key: Key | None = None) -> list[Audit]:
        """See Lives."""
        with self._engines.read("list audits") as connection:
            return consolidating.audited(connection, limit, persona, key)

    def mark(self, name: str) -> int:
        """See Lives."""
        with self._engines.read("look up a mark") as connection:
            return consolidating.mark(connection, name)

    def put_mark(self, name: str, value: int) -> None:
        """See Lives."""
        with self._engines.write("keep a mark") as connection:
            consolidating.keep_mark(connection, name, value)

    def census(self, persona: str, now: datetime) -> Census:
        """See Lives."""
        with self._engines.read("count memories") as connection:
            shared = learned.shared(connection, persona)
            return census.census(persona, learned.counted(connection, persona), shared, now)
