"""What the in-memory tier keeps for a while only: cached answers and vectors, and notes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from trinitas_tasks.policy.personas import Roster
from trinitas_tasks.tiers.hot.interface import Probe

Name = TypeVar("Name", bound=Hashable)
Value = TypeVar("Value")


class Expiring(Generic[Name, Value]):
    """Values by name, each until its time is over by this clock."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._kept: dict[Name, tuple[Value, datetime]] = {}

    def keep(self, name: Name, value: Value, seconds: float) -> None:
        """Keep a value for so many seconds, in the place of an earlier one."""
        self._kept[name] = (value, self._clock() + timedelta(seconds=seconds))

    def drop(self, name: Name) -> None:
        """Keep it no longer."""
        self._kept.pop(name, None)

    def get(self, name: Name) -> Value | None:
        """The value, or None."""
        if (kept := self._kept.get(name)) and kept[1] > self._clock():
            return kept[0]
        self.drop(name)
        return None

    def all(self) -> dict[Name, Value]:
        """Every value by its name."""
        return {name: value for name in list(self._kept) if (value := self.get(name)) is not None}


class MemoryCaches:
    """That part of the contract of HotTier which a restart may lose."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._lock = threading.RLock()
        self._generations: dict[str, int] = {}
        self._cache: Expiring[tuple[str, ...], bytes] = Expiring(clock)
        self._notes: Expiring[str, str] = Expiring(clock)
        self._roster: Roster | None = None

    def probe(self, persona: str, digest: str) -> Probe:
        """See HotTier."""
        with self._lock:
            generation = self._generations.get(persona, 0)
            return Probe(generation, self._cache.get(("answer", persona, str(generation), digest)))

    def cache_answer(self, persona: str, generation: int, digest: str, answer: bytes, seconds: int) -> None:
        """See HotTier."""
        with self._lock:
            self._cache.keep(("answer", persona, str(generation), digest), answer, seconds)

    def cached_vector(self, digest: str) -> bytes | None:
        """See HotTier."""
        with self._lock:
            return self._cache.get(("vector", digest))

    def cache_vector(self, digest: str, vector: bytes, seconds: int) -> None:
        """See HotTier."""
        with self._lock:
            self._cache.keep(("vector", digest), vector, seconds)

    def changed(self, personas: Sequence[str]) -> None:
        """See HotTier."""
        with self._lock:
            for persona in personas:
                self._generations[persona] = self._generations.get(persona, 0) + 1

    def note(self, name: str, text: str | None, seconds: int) -> None:
        """See HotTier."""
        with self._lock:
            if text is None:
                self._notes.drop(name)
            else:
                self._notes.keep(name, text, seconds)

    def notes(self) -> dict[str, str]:
        """See HotTier."""
        with self._lock:
            return self._notes.all()

    def roster(self) -> Roster | None:
        """See Rolls."""
        with self._lock:
            return self._roster

    def keep_roster(self, roster: Roster) -> None:
        """See Rolls."""
        with self._lock:
            self._roster = roster
