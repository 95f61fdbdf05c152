"""The tiers that a client reaches by itself, as one: what one of them cannot do another does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from trinitas_tasks.errors import TrinitasError, Unavailable
from trinitas_tasks.model import Hit, Key, MemoryItem, Query, Recall, Record
from trinitas_tasks.policy import fusion
from trinitas_tasks.policy.text import sharing_words, terms
from trinitas_tasks.services.answer import Answer, Found
from trinitas_tasks.services.replay import replay
from trinitas_tasks.tiers.archive.interface import Reader
from trinitas_tasks.tiers.hot.interface import Gone, HotTier, Write, Written
from trinitas_tasks.tiers.spool.interface import Entry, Spool

logger = logging.getLogger(__name__)

PENDING: Final = 1000
"""How many of the persona's newest unarchived memories are matched by their words."""
KNOWN: Final = 10_000
"""Of how many memories a client remembers which version it has seen, the latest ones: 2 MB."""
DEPTH: Final = 4
"""How many times ``limit`` is asked of full text: some of it was forgotten or changed meanwhile."""

Fetch = Callable[[str, Sequence[str]], Sequence[str]]


class Front:
    """The hot tier, the spool that stands in for it, and the archive where this process can read it.

    ``fetch`` asks the workers to bring archived memories into the hot tier and returns the ids of those that exist.
    While anything waits in the spool, its replay is tried every ``retry_seconds``; ``replayed`` is called after it.
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
    ) -> None:
        self._hot = hot
        self._spool = spool
        self._archive = archive
        self._fetch = fetch
        self._replayed = replayed
        self._cache_seconds = cache_seconds
        self._retry_seconds = retry_seconds
        self._starting = threading.Lock()
        self._replayer: threading.Thread | None = None
        self._closed = threading.Event()
        self._knowing = threading.Lock()
        self._known: dict[Key, int] = {}
        self.seen = 0

    def close(self) -> None:
        """End what goes on in the background."""
        self._closed.set()

    # Writing. While anything waits in the spool, what follows waits behind it: else a repeated write would be
    # answered with a memory that a spooled forget is about to take away.

    def write(self, writes: Sequence[Write]) -> Written:
        """Keep memories in the hot tier or, while it is away, in the spool. Raises: Unavailable, Overloaded."""
        try:
            self._pass_spool()
            return self.write_through(writes)
        except Unavailable as away:
            # what failed may have been kept all the same, or will be: under an older version
            self._saw(self._hot.fence)
            try:
                ids, version = self._spool.write([(each.item, each.dedup) for each in writes], above=self.seen)
            except Unavailable as error:
                raise Unavailable(f"{away}; and {error}") from away
        self._saw(version)
        self._replay_soon()
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
            self._pass_spool()
            forgotten = self._hot.forget(keys, above=self.seen)
        except Unavailable as away:
            self._saw(self._hot.fence)
            try:
                self._saw(self._spool.forget(keys, above=self.seen))
            except Unavailable as error:
                raise Unavailable(f"{away}; and {error}") from away
            self._replay_soon()
            return False
        self._saw(forgotten.version)
        self._spool.mark(keys, forgotten.version)
        return forgotten.nudge

    def _pass_spool(self) -> None:
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
            found = _newest(self._archived_alone(key), spooled)
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

    def read(self, persona: str, ids: Sequence[str]) -> list[Record | None]:
        """The memories in order, from the hot tier, or else the archive, of which the hot tier then has copies.

        Counts as an access. Raises: Unavailable.
        """
        spooled = self._waiting(persona, ids)  # first: what is replayed meanwhile is in the hot tier then
        records = self._hot.read(persona, ids, touch=True)
        missing = [each for each, record in zip(ids, records, strict=True) if record is None]
        found = dict(zip(ids, records, strict=True)) | (self._archived(persona, missing) if missing else {})
        kept = [_newest(found[each], entry) for each, entry in zip(ids, spooled, strict=True)]
        for each, record in zip(ids, kept, strict=True):
            if record is not None:
                self._saw(record.version)
                self._know(Key(persona, each), record.version)
        return kept

    def _archived(self, persona: str, ids: Sequence[str]) -> dict[str, Record | Gone | None]:
        """By the workers where the archive cannot be read from here; those that exist."""
        found: dict[str, Record | Gone | None]
        try:
            found = self._loaded(persona, ids)
        except TrinitasError as error:
            logger.debug("the workers are asked: %s", error)
            found = dict.fromkeys(self._fetch(persona, ids))
        copies = dict(zip(found, self._hot.read(persona, list(found), touch=True), strict=True)) if found else {}
        if lost := [each for each in found if copies[each] is None and found[each] is None]:
            raise Unavailable(f"{', '.join(lost)}: archived, but Redis did not keep a copy: is it out of memory?")
        return {each: copies[each] or found[each] for each in found}

    def _loaded(self, persona: str, ids: Sequence[str]) -> dict[str, Record | Gone | None]:
        if self._archive is None:
            raise Unavailable("the archive is not on this machine")
        records = [record for record in self._archive.load(persona, ids) if record is not None]
        self._hot.refill([(record, self._cache_seconds) for record in records])
        return {record.item.id: record for record in records}

    def recall(self, query: Query, search: Callable[[], tuple[Answer, bool]]) -> Recall:
        """The memories that the workers' answer names, and what waits in the spool and shares words with the query.

        ``search`` gives the answer, and whether it was a cached one. Raises: Unavailable, and what ``search`` raises.
        """
        waiting = self._spooled_items(query)  # first, as in read
        answer, cached = search()
        found = {each.id: each for each in answer.found}
        if waiting:
            lists = {"answer": list(found), "spool": sharing_words(terms(query.text), waiting)}
            found = {
                each: replace(found.get(each) or Found(each, 0, _ranks(each, lists), "spool"), score=round(score, 6))
                for each, score in fusion.fuse(lists, {})
            }
        hits = [
            Hit(item=record.item, score=each.score, why=dict(each.why), tier=each.tier)
            for each, record in zip(found.values(), self.read(query.persona, list(found)), strict=True)
            if record is not None and _is_wanted(query, record.item)
        ]
        return Recall(tuple(hits[: query.limit]), answer.answered, answer.degraded, cached)

    def by_words(self, query: Query, away: Unavailable) -> Recall:
        """What holds words of the query, without the workers: full text, and what is not archived yet.

        Raises: ``away`` where the archive cannot be read from here.
        """
        if self._archive is None:
            raise away
        wanted = terms(query.text)
        spooled = self._spooled_items(query)  # first, as in read
        hot: HotTier | None = self._hot
        pending: Sequence[Record] = ()
        degraded = f"search: {away}"
        try:
            pending = self._hot.pending(query.persona, PENDING)
        except Unavailable as error:
            hot, degraded = None, f"redis: {error}"
        matches = self._archive.search_text(query.persona, wanted, query.limit * DEPTH, types=query.types)
        lists = {
            "fulltext": [match.id for match in matches],
            "pending": sharing_words(wanted, (record.item for record in pending if _is_wanted(query, record.item))),
            "spool": sharing_words(wanted, spooled),
        }
        ranked = fusion.fuse(lists, {})
        standing = self._standing(query.persona, [each for each, _ in ranked], hot)
        hits = tuple(
            Hit(item=item, score=round(score, 6), why=_ranks(each, lists), tier="archive")
            for each, score in ranked
            if (item := standing.get(each)) is not None and _is_wanted(query, item)
        )
        return Recall(hits[: query.limit], ("archive", "redis") if hot else ("archive",), (degraded,))

    def _standing(self, persona: str, ids: Sequence[str], hot: HotTier | None) -> dict[str, MemoryItem]:
        """The newest states of those that are not forgotten."""
        assert self._archive is not None
        spooled = self._waiting(persona, ids) if hot else self._spool.latest(persona, ids)
        states: Sequence[Record | Gone | None] = hot.read(persona, ids, touch=True) if hot else [None] * len(ids)
        archived = self._archive.load(persona, ids)
        kept = {}
        for each, record, state, entry in zip(ids, archived, states, spooled, strict=True):
            found = _newest(record if state is None else state, entry)
            if found is not None and found.version >= self._known.get(Key(persona, each), 0):
                kept[each] = found.item
                self._saw(found.version)
        return kept

    # The spool: seldom anything is in it, and no trouble with it may disturb what works without it.

    def _nothing_waits(self) -> bool:
        try:
            empty = self._spool.empty()
        except Unavailable as error:
            logger.warning("reading without the spool: %s", error)
            return True
        if not empty:
            self._replay_soon()
        return empty

    def _waiting(self, persona: str, ids: Sequence[str]) -> list[Entry | None]:
        return [None] * len(ids) if self._nothing_waits() else self._spool.latest(persona, ids)

    def _spooled_items(self, query: Query) -> list[MemoryItem]:
        entries = [] if self._nothing_waits() else self._spool.pending(query.persona, PENDING)
        return [entry.item for entry in entries if entry.item is not None and _is_wanted(query, entry.item)]

    def _replay_soon(self) -> None:
        """Replay from a thread of its own, as soon as the hot tier takes it; unless one is at it.

        It may be what another process spooled and did not live to replay.
        """
        with self._starting:
            if self._replayer is None or not self._replayer.is_alive():
                self._replayer = threading.Thread(target=self._replay, name="replay of the spool", daemon=True)
                self._replayer.start()

    def _replay(self) -> None:
        while not self._closed.wait(self._retry_seconds):
            try:
                self._hot.ping()
                replay(hot=self._hot, spool=self._spool)
                self._replayed()
                with self._starting:
                    if self._spool.empty():
                        self._replayer = None  # what is spooled from now on starts another
                        return
            except TrinitasError as error:
                logger.info("the spool waits on: %s", error)
            except Exception:
                if not self._closed.is_set():  # else its connections were closed under it
                    logger.exception("the spool waits on")

    def _saw(self, version: int) -> None:
        self.seen = max(self.seen, version)

    def _know(self, key: Key, version: int) -> None:
        """Of what this client has written or read, no older version is ever read by it again."""
        with self._knowing:
            self._known.pop(key, None)
            self._known[key] = version
            if len(self._known) > KNOWN:
                del self._known[next(iter(self._known))]


def _newest(found: Record | Gone | None, spooled: Entry | None) -> Record | None:
    """What counts of a memory's state elsewhere and in the spool; None if it was forgotten, or is not there."""
    if spooled is not None and not spooled.waits and isinstance(found, Gone):
        return None  # a mark tells of what was; somebody has forgotten it since
    if spooled is not None and (not isinstance(found, Record) or spooled.version >= found.version):
        return None if spooled.item is None else Record(spooled.item, spooled.version)
    return found if isinstance(found, Record) else None


def _is_wanted(query: Query, item: MemoryItem) -> bool:
    return not query.types or item.type in query.types


def _ranks(each: str, lists: dict[str, list[str]]) -> dict[str, int]:
    return {f"{name}_rank": ids.index(each) + 1 for name, ids in lists.items() if each in ids}
