"""The tiers that a client reaches by itself, as one: what one of them cannot do another does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final

from trinitas_tasks.errors import TrinitasError, Unavailable
from trinitas_tasks.model import Key, MemoryItem, Record, utc_now
from trinitas_tasks.services import granted
from trinitas_tasks.services.archived import load_ahead
from trinitas_tasks.services.replay import Replayer, replay
from trinitas_tasks.services.states import Scoped, counting, newest, visible
from trinitas_tasks.tiers.archive.interface import Reader
from trinitas_tasks.tiers.hot.interface import Gone, HotTier, Replaced, Write, Written
from trinitas_tasks.tiers.spool.interface import Entry, Spool

logger = logging.getLogger(__name__)

PENDING: Final = 1000
"""How many of the persona's newest unarchived memories are matched by their words."""
KNOWN: Final = 10_000
"""Of how many memories a client remembers which version it has seen, the latest ones: 2 MB."""

Fetch = Callable[[str, Sequence[str]], Sequence[str]]


class Front:
    """The hot tier, the spool that stands in for it, and the archive where this process can read it.

    ``fetch`` asks the workers to bring archived memories into the hot tier and returns the ids of those that exist.
    While anything waits in the spool, its replay is tried every ``retry_seconds``; ``replayed`` is called after it.
    ``clock`` may be simulated.
    ``seen`` is the highest version met so far: those of the writes made here are above it, whatever the clocks say.
    """

    def __init__(
        self,
        hot: HotTier,
        spool: Spool,
        archive: Reader | None,
        *,
        fetch: Fetch,
        replayed: Callable[[], None],
        cache_seconds: int,
        retry_seconds: float,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._hot = hot
        self._spool = spool
        self._archive = archive
        self._fetch = fetch
        self._replayed = replayed
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._replayer = Replayer(self._replay, spool.empty, retry_seconds)
        self._knowing = threading.Lock()
        self._known: dict[Key, int] = {}
        self.seen = 0

    def close(self) -> None:
        """End what goes on in the background."""
        self._replayer.close()

    # Writing. While anything waits in the spool, what follows waits behind it: else a repeated write would be
    # answered with a memory that a spooled forget is about to take away.

    def write(self, writes: Sequence[Write]) -> Written:
        """Keep memories in the hot tier or, while it is away, in the spool. Raises: Unavailable, Overloaded."""
        try:
            self.pass_spool()
            return self.write_through(writes)
        except Unavailable as away:
            # what failed may have been kept all the same, or will be: under an older version
            self._saw(self._hot.fence)
            try:
                ids, version = self._spool.write([(each.item, each.dedup) for each in writes], above=self.seen)
            except Unavailable as error:
                raise Unavailable(f"{away}; and {error}") from away
        self._saw(version)
        self._replayer.soon()
        return Written(tuple(ids), len(writes), False, version)

    def write_through(self, writes: Sequence[Write]) -> Written:
        """Keep memories in the hot tier or not at all. Raises: Unavailable, Overloaded."""
        written = self._hot.write(writes, above=self.seen)
        self._saw(written.version)
        for each, memory_id, version in zip(writes, written.ids, written.versions, strict=True):
            self._know(Key(each.item.persona, memory_id), version)
        return written

    def forget(self, keys: Sequence[Key]) -> bool:
        """Make memories unreadable; whether to nudge. Raises: Unavailable.

        The spool is told in any case: while the hot tier is away, it alone knows what the archive must not answer.
        """
        try:
            self.pass_spool()
            forgotten = self._hot.forget(keys, above=self.seen)
        except Unavailable as away:
            self._saw(self._hot.fence)
            try:
                self._saw(self._spool.forget(keys, above=self.seen))
            except Unavailable as error:
                raise Unavailable(f"{away}; and {error}") from away
            self._replayer.soon()
            return False
        self._saw(forgotten.version)
        self._spool.mark(keys, forgotten.version)
        return forgotten.nudge

    def pass_spool(self) -> None:
        """Raises: Unavailable while anything waits there."""
        if not self._nothing_waits():
            raise Unavailable("earlier writes wait in the spool")

    # Reading.

    def get(self, key: Key) -> Record | None:
        """The memory, None if there is none. Counts as an access.

        Raises: Unavailable; also while the hot tier is away and it is found nowhere else: it may be there.
        """
        try:
            return self.read(key.persona, [key.id])[0]
        except Unavailable as away:
            spooled = self._spool.latest(key.persona, [key.id])[0]
            found = counting(self._archived_alone(key), spooled)
            self._saw(found.version if found else 0)
            if found is None and (spooled is None or not spooled.waits):
                raise away from None
            if found is not None and found.version < self._known.get(key, 0):
                raise away from None  # the hot tier has a newer version: this client wrote it, or has read it
            return found

    def _archived_alone(self, key: Key) -> Record | None:
        try:
            return None if self._archive is None else self._archive.load(key.persona, [key.id])[0]
        except TrinitasError as error:
            logger.debug("nor the archive: %s", error)
            return None

    def read(self, persona: str, ids: Sequence[str], *, touch: bool = True) -> list[Record | None]:
        """The memories in order, from the hot tier, or else the archive, of which the hot tier then has copies.

        ``touch`` counts it as an access. Raises: Unavailable.
        """
        return self.read_scoped(persona, [Key(persona, each) for each in ids], touch=touch)

    def read_scoped(self, reader: str, keys: Sequence[Key], *, touch: bool = True) -> list[Record | None]:
        """The same of several owners: what the reader may not see, by what the hot tier says now, is not there.

        Nor is another's memory of which a change waits in the spool: a forget may be among them, which ends grants.
        """
        spooled = self._waiting_of(keys)  # first: what is replayed meanwhile is in the hot tier then
        records = self._hot.read_scoped(reader, keys, touch=touch)
        missing = [key for key, record in zip(keys, records, strict=True) if record is None]
        found = dict(zip(keys, records, strict=True)) | (self._archived(reader, missing, touch) if missing else {})
        kept = [visible(found[key], entry, own=key.persona == reader) for key, entry in zip(keys, spooled, strict=True)]
        for key, record in zip(keys, kept, strict=True):
            if record is not None:
                self._saw(record.version)
                self._know(key, record.version)
        return kept

    def _archived(self, reader: str, keys: Sequence[Key], touch: bool) -> dict[Key, Scoped]:
        """By the workers where the archive cannot be read from here; those that exist."""
        found: dict[Key, Record | None]
        try:
            found = self._loaded(keys)
        except TrinitasError as error:
            logger.debug("the workers are asked: %s", error)
            found = dict.fromkeys(key for owner, ids in _by_owner(keys) for key in self._fetched(owner, ids))
        copies = dict(zip(found, self._hot.read_scoped(reader, list(found), touch=touch), strict=True)) if found else {}
        if lost := [key.id for key in found if copies[key] is None and found[key] is None]:
            raise Unavailable(f"{', '.join(lost)}: archived, but Redis did not keep a copy: is it out of memory?")
        return {key: copies[key] or found[key] for key in found}

    def _loaded(self, keys: Sequence[Key]) -> dict[Key, Record | None]:
        if self._archive is None:
            raise Unavailable("the archive is not on this machine")
        found: dict[Key, Record | None] = dict(granted.load(keys, self._archive))
        self._hot.refill([(record, self._cache_seconds) for record in found.values() if record is not None])
        there = [key for key, record in found.items() if record is not None]
        load_ahead(there, hot=self._hot, archive=self._archive, seconds=self._cache_seconds, now=self._clock())
        return found

    def _fetched(self, owner: str, ids: Sequence[str]) -> list[Key]:
        return [Key(owner, each) for each in self._fetch(owner, ids)]

    def read_whole(self, keys: Sequence[Key], *, touch: bool = True) -> list[Record | None]:
        """The same for somebody who may read all of these owners' memories."""
        found = {
            key: record
            for owner, ids in _by_owner(keys)
            for key, record in zip((Key(owner, each) for each in ids), self.read(owner, ids, touch=touch), strict=True)
        }
        return [found[key] for key in keys]

    def standing(self, persona: str, ids: Sequence[str], hot: HotTier | None) -> dict[str, MemoryItem]:
        """The persona's memories as the archive, the spool and, unless it is away, the hot tier have them: the newest
        states of those that are not forgotten."""
        assert self._archive is not None
        spooled = self._waiting(persona, ids) if hot else self._spool.latest(persona, ids)
        states: Sequence[Record | Gone | None] = hot.read(persona, ids, touch=True) if hot else [None] * len(ids)
        archived = self._archive.load(persona, ids)
        kept = {}
        for each, record, state, entry in zip(ids, archived, states, spooled, strict=True):
            found = counting(record if state is None else state, entry)
            if found is not None and found.version >= self._known.get(Key(persona, each), 0):
                kept[each] = found.item
                self._saw(found.version)
        return kept

    def replace(self, item: MemoryItem, version: int, generation: int | None) -> Replaced:
        """Write a memory in place of this version of it (see HotTier). Raises: Unavailable, Overloaded."""
        replaced = self._hot.replace(item, version, generation=generation, above=self.seen, tells=True)
        if replaced.version:
            self._saw(replaced.version)
            self._know(Key(item.persona, item.id), replaced.version)
        return replaced

    def current(self, reader: str, records: Mapping[Key, Record], hot: HotTier | None) -> dict[Key, MemoryItem]:
        """What counts now of memories that were found in these states, as far as the reader may see them: the newest of
        these, what the hot tier has, unless it is away (None), and what waits in the spool. Is no access."""
        keys = [key for key in records if hot or key.persona == reader]
        spooled = self._waiting_of(keys) if hot else self._latest_of(keys)
        states: Sequence[Scoped] = hot.read_scoped(reader, keys, touch=False) if hot else [None] * len(keys)
        found: dict[Key, MemoryItem] = {}
        for key, state, entry in zip(keys, states, spooled, strict=True):
            kept = visible(newest(state, records[key]), entry, own=key.persona == reader)
            if kept is not None and (hot or kept.version >= self._known.get(key, 0)):
                self._saw(kept.version)
                found[key] = kept.item
        return found

    # The spool: seldom anything is in it, and no trouble with it may disturb what works without it.

    def _nothing_waits(self) -> bool:
        try:
            empty = self._spool.empty()
        except Unavailable as error:
            logger.warning("reading without the spool: %s", error)
            return True
        if not empty:
            self._replayer.soon()
        return empty

    def _waiting(self, persona: str, ids: Sequence[str]) -> list[Entry | None]:
        return [None] * len(ids) if self._nothing_waits() else self._spool.latest(persona, ids)

    def _waiting_of(self, keys: Sequence[Key]) -> list[Entry | None]:
        return [None] * len(keys) if self._nothing_waits() else self._latest_of(keys)

    def _latest_of(self, keys: Sequence[Key]) -> list[Entry | None]:
        found = {
            Key(owner, each): entry
            for owner, ids in _by_owner(keys)
            for each, entry in zip(ids, self._spool.latest(owner, ids), strict=True)
        }
        return [found[key] for key in keys]

    def spooled(self, personas: Sequence[str]) -> list[MemoryItem]:
        """What waits in the spool, the newest of each persona."""
        if self._nothing_waits():
            return []
        return [record.item for persona in personas for record in self.waiting(persona)]

    def waiting(self, persona: str) -> list[Record]:
        """The persona's newest writes that wait in the spool, at most PENDING. Raises: Unavailable."""
        entries = self._spool.pending(persona, PENDING)
        return [Record(entry.item, entry.version) for entry in entries if entry.item is not None]

    def _replay(self) -> None:
        self._hot.ping()
        replay(hot=self._hot, spool=self._spool)
        self._replayed()

    def _saw(self, version: int) -> None:
        self.seen = max(self.seen, version)

    def _know(self, key: Key, version: int) -> None:
        """Of what this client has written or read, no older version is ever read by it again."""
        with self._knowing:
            self._known.pop(key, None)
            self._known[key] = version
            if len(self._known) > KNOWN:
                del self._known[next(iter(self._known))]


def _by_owner(keys: Sequence[Key]) -> list[tuple[str, list[str]]]:
    return [(owner, [key.id for key in group]) for owner, group in groupby(sorted(keys), key=lambda key: key.persona)]
