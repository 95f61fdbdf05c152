"""Sharing in the process's own memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from trinitas_tasks.model import Key, Record
from trinitas_tasks.policy.grants import EVERYBODY, Grant, holders
from trinitas_tasks.tiers.hot.caches import Expiring, MemoryCaches
from trinitas_tasks.tiers.hot.sharing import Barred, Gone, Grants, Shared

NUDGE_SECONDS = 1
GRAVE_MARK = timedelta(hours=1)


class MemoryGrants(MemoryCaches, ABC):
    """That part of MemoryHotTier which implements Sharing."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self._clock = clock
        self._highest = 0
        self._nudged: Expiring[str, bool] = Expiring(clock)
        self._granted: dict[Key, dict[str, Grant]] = {}
        self._granting: dict[Key, datetime] = {}
        self._cleared: dict[Key, datetime] = {}

    @abstractmethod
    def _forgotten(self, key: Key) -> int:
        """The version of the memory's mark, 0 where it has none."""

    @abstractmethod
    def _read(self, key: Key, touch: bool) -> Record | Gone | None:
        """What stands there."""

    @abstractmethod
    def _read_together(self, reader: str, keys: Sequence[Key]) -> None:
        """These records were found by one read that counts."""

    def advance(self, version: int) -> None:
        """See HotTier."""
        with self._lock:
            self._highest = max(self._highest, version)

    def _next(self, above: int) -> int:
        """A version greater than all that is known."""
        version = max(int(self._clock().timestamp() * 1_000_000), 1 + max(self._highest, above))
        self.advance(version)
        return version

    def _nudge(self) -> bool:
        if self._nudged.get("workers"):
            return False
        self._nudged.keep("workers", True, NUDGE_SECONDS)
        return True

    def _lease(self, queue: dict[Key, datetime], limit: int, lease_seconds: int) -> list[Key]:
        self._nudged.drop("workers")
        now = self._clock()
        due = sorted((at, key) for key, at in queue.items() if at <= now)[:limit]
        for _, key in due:
            queue[key] = now + timedelta(seconds=lease_seconds)
        return [key for _, key in due]

    def share(self, key: Key, grantees: Sequence[str], *, above: int = 0) -> Shared:
        """See Sharing."""
        with self._lock:
            if not grantees or self._forgotten(key):
                return Shared(nudge=False, version=0, gone=bool(grantees))
            version = self._next(above)
            return self._changed(Grant(key, each, version, revoked=False) for each in grantees)

    def unshare(self, key: Key, grantees: Sequence[str] | None = None, *, above: int = 0) -> Shared:
        """See Sharing."""
        with self._lock:
            named = [EVERYBODY, *self._marks(key)] if grantees is None else grantees
            if not named:
                return Shared(nudge=False, version=0)
            version = self._next(above)
            return self._changed(Grant(key, each, version, revoked=True) for each in named)

    def _changed(self, grants: Iterable[Grant]) -> Shared:
        version = 0
        for each in grants:
            self._put(each)
            version = each.version
        return Shared(self._nudge(), version)

    def _put(self, grant: Grant) -> None:
        self._granted[grant.key] = self._marks(grant.key) | {grant.grantee: grant}
        self._cleared.pop(grant.key, None)
        self._granting[grant.key] = self._clock()
        self.changed([grant.grantee])

    def _marks(self, key: Key) -> dict[str, Grant]:
        if key in self._cleared and self._cleared[key] <= self._clock():
            del self._cleared[key]
            self._granted.pop(key, None)  # of what has no marks there are none to clear
        return self._granted.get(key, {})

    def _end_grants(self, key: Key, version: int) -> None:
        """The memory was forgotten; ``version`` is above that of every grant, also where a replayed forget's is not."""
        for each in self._marks(key).values():
            if not each.revoked:
                self.advance(version)
                self._put(each._replace(version=version, revoked=True))

    def _mark_left(self, key: Key, version: int) -> None:
        """The mark of a forgotten memory goes, which ended also those grants that only the archive knows."""
        known = self._marks(key).get(EVERYBODY)
        self._put(Grant(key, EVERYBODY, max(version, known.version if known else 0), revoked=True))

    def _grantees(self, key: Key) -> list[str]:
        return sorted(holders(self._marks(key).values()))

    def read(self, persona: str, ids: Sequence[str], *, touch: bool) -> list[Record | Gone | None]:
        """See HotTier."""
        found = self.read_scoped(persona, [Key(persona, each) for each in ids], touch=touch)
        return [None if isinstance(each, Barred) else each for each in found]

    def read_scoped(self, reader: str, keys: Sequence[Key], *, touch: bool) -> list[Record | Gone | Barred | None]:
        """See Sharing."""
        with self._lock:
            found = [
                self._read(key, touch) if key.persona == reader or reader in self._grantees(key) else Barred()
                for key in keys
            ]
            if touch:
                self._read_together(reader, [key for key, each in zip(keys, found, strict=True) if _record(each)])
            return found

    def granted(self, persona: str, limit: int) -> list[Key]:
        """See Sharing."""
        with self._lock:
            return [key for _, key in sorted(self._lent(persona), reverse=True)[:limit]]

    def lenders(self, persona: str, memory_id: str) -> list[Key]:
        """See Sharing."""
        with self._lock:
            return sorted(key for _, key in self._lent(persona) if key.id == memory_id)

    def _lent(self, persona: str) -> list[tuple[int, Key]]:
        found = [self._granted[key].get(persona) for key in list(self._granted) if persona in self._grantees(key)]
        return [(each.version, each.key) for each in found if each is not None]

    def grants(self, keys: Sequence[Key]) -> list[Grants]:
        """See Sharing."""
        with self._lock:
            return [Grants(key, tuple(self._marks(key).values()), queued=key in self._granting) for key in keys]

    def untold(self) -> list[Grants]:
        """See Sharing."""
        with self._lock:
            return self.grants(list(self._granting))

    def claim_grants(self, limit: int, lease_seconds: int) -> list[Grants]:
        """See Sharing."""
        with self._lock:
            leased = self.grants(self._lease(self._granting, limit, lease_seconds))
            for empty in (each for each in leased if not each.grants):
                del self._granting[empty.key]
            return [each for each in leased if each.grants]

    def finish_grants(self, done: Sequence[Grants]) -> None:
        """See Sharing."""
        with self._lock:
            for each in done:
                marks = self._marks(each.key).values()
                if max((mark.version for mark in marks), default=0) <= each.version:
                    self._granting.pop(each.key, None)
                    if all(mark.revoked for mark in marks):
                        self._cleared[each.key] = self._clock() + GRAVE_MARK

    def restore_grants(self, grants: Sequence[Grant]) -> None:
        """See Sharing."""
        with self._lock:
            for each in sorted(grants, key=lambda each: each.version):
                self._restore(each)

    def _restore(self, told: Grant) -> None:
        marks = self._marks(told.key)
        known, floor = (marks[name].version if name in marks else 0 for name in (told.grantee, EVERYBODY))
        if told.version <= (known if told.revoked else max(known, floor, self._forgotten(told.key))):
            return
        if told.grantee == EVERYBODY:
            for each in list(marks.values()):
                if not each.revoked and each.version < told.version:
                    self._put(each._replace(version=told.version, revoked=True))
        self._put(told)
        self.advance(told.version)

    def requeue_grants(self, keys: Sequence[Key]) -> None:
        """See Sharing."""
        with self._lock:
            for key in keys:
                self._granting.setdefault(key, self._clock())


def _record(found: Record | Gone | Barred | None) -> bool:
    return isinstance(found, Record)
