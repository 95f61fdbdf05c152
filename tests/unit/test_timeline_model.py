"""Whatever is written, changed, shared, forgotten, archived or away between pages: a timeline is a sorted list."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from tests.unit.test_client_model import KEYS, NAMES, PERSONAS, TIERS
from tests.unit.test_share_model import GRANTEES, SOME, WHO, Sharers
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import NotFound, Transient
from trinitas_tasks.model import Key, MemoryItem
from trinitas_tasks.policy.chronology import BEGINNING, END, Place
from trinitas_tasks.policy.micros import to_micros
from trinitas_tasks.query import Page
from trinitas_tasks.tiers.archive.lives import Turn

T0 = datetime(2026, 5, 1, tzinfo=UTC)
READERS = st.sampled_from((*PERSONAS, *GRANTEES))


def at(text: str) -> datetime:
    """Some texts are of one time."""
    return T0 + timedelta(minutes=sum(text.encode()) % 4)


def key_of(item: MemoryItem) -> Key:
    return Key(item.persona, item.id)


@dataclass
class Paging:
    """Somebody reads page after page. ``stable`` is what was there when it began, and has been let alone since."""

    reader: str
    newest_first: bool
    limit: int
    stable: dict[Key, Place]
    cursor: str | None = None
    reached: Place | None = None
    met: set[Key] = field(default_factory=set)

    def read(self, client: MemoryClient) -> Page:
        return client.timeline(persona=self.reader, newest_first=self.newest_first, limit=self.limit, after=self.cursor)

    def passed(self, end: Place) -> dict[Key, Place]:
        """What of the stable ones lies between where it was and this end."""
        low, high = (end, self.reached or END) if self.newest_first else (self.reached or BEGINNING, end)
        within = {key: place for key, place in self.stable.items() if low <= place <= high}
        return {key: place for key, place in within.items() if place != self.reached}


class Timelines(Sharers):
    """``open`` are those who read."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[Paging] = []
        self.turns = itertools.cycle(itertools.product((0, 1), (100, 1, 2), (True, False), (*PERSONAS, *GRANTEES)))

    @initialize(shared=st.lists(st.tuples(KEYS, SOME), max_size=4), archived=st.booleans())
    def there_are_memories(self, shared: list[tuple[Key, list[str]]], archived: bool) -> None:
        for key in (Key(persona, name) for persona in PERSONAS for name in NAMES):
            self.remember(key, 0)
        for key, grantees in shared:
            self.share(key, 0, grantees)
        if archived:
            self.settle()

    def teardown(self) -> None:
        """When all is well again, everybody reads exactly what they may."""
        self.heal()
        self.settle()
        for reader in (*PERSONAS, *GRANTEES):
            for newest_first in (True, False):
                for limit in (1, 2, 100):
                    pages = self._pages(Paging(reader, newest_first, limit, {}), self.clients[0])
                    assert all(not page.degraded for page in pages)
                    assert all(len(page) == limit for page in pages[:-1])
                    self._exactly(reader, [item for page in pages for item in page], newest_first)
        for key in self.held:
            self._turn(key, cold=False)
        super().teardown()

    def said(self, text: str) -> dict[str, Any]:
        return {"timestamp": at(text)}

    def _place(self, key: Key) -> Place:
        content = self.held[key]
        assert content is not None
        return Place(to_micros(at(content)), *key)

    def _readable(self, reader: str) -> dict[Key, Place]:
        mine = (key for key, content in self.held.items() if content is not None)
        return {key: self._place(key) for key in mine if key.persona == reader or reader in self._readers(key)}

    def _exactly(self, reader: str, items: list[MemoryItem], newest_first: bool) -> None:
        expected = self._readable(reader)
        assert [key_of(item) for item in items] == sorted(expected, key=lambda key: expected[key], reverse=newest_first)
        assert all(item.content == self.held[key_of(item)] for item in items)

    def _pages(self, paging: Paging, client: MemoryClient) -> list[Page]:
        pages = [paging.read(client)]
        while (paging := Paging(paging.reader, paging.newest_first, paging.limit, {}, pages[-1].next)).cursor:
            pages.append(paging.read(client))
        return pages

    def _acknowledged(self, key: Key, content: str | None) -> None:
        super()._acknowledged(key, content)
        self._disturb(key)

    def _shared(self, key: Key, grantees: list[str] | None, *, grant: bool) -> None:
        super()._shared(key, grantees, grant=grant)
        self._disturb(key)

    def _disturb(self, key: Key) -> None:
        for paging in self.open:
            paging.stable.pop(key, None)

    # What clients do.

    @rule(key=KEYS, who=WHO)
    def update(self, key: Key, who: int) -> None:
        text = f"fact{next(self.texts)} about herons"
        try:
            self.clients[who].update(key.id, persona=key.persona, content=text, **self.said(text))
        except NotFound:
            assert self.held.get(key) is None
        except Transient:
            self._updated_in_the_end(key, text)
        else:
            assert self.held.get(key) is not None, "forgotten, and changed"
            self._acknowledged(key, text)

    def _updated_in_the_end(self, key: Key, text: str) -> None:
        away = [getattr(self.world, name).away for name in TIERS]
        self.heal()
        self.replay()
        if self.held.get(key) is not None:
            self.clients[0].update(key.id, persona=key.persona, content=text, **self.said(text))
            self._acknowledged(key, text)
        for name, was in zip(TIERS, away, strict=True):
            getattr(self.world, name).away = was

    @invariant()
    def somebody_reads(self) -> None:
        """Somebody else after every step, unless that would take what a step is to lose."""
        if not any(getattr(self.world, name).answers_lost for name in TIERS):
            who, limit, newest_first, reader = next(self.turns)
            self.read_all(reader, newest_first, limit, who)

    def read_all(self, reader: str, newest_first: bool, limit: int, who: int) -> None:
        waits = not self.world.spool.tier.empty()
        try:
            pages = self._pages(Paging(reader, newest_first, limit, {}), self.clients[who])
        except Transient:
            return
        items = [item for page in pages for item in page]
        places = [Place.of(item) for item in items]
        assert places == sorted(set(places), reverse=newest_first)
        degraded = {said for page in pages for said in page.degraded}
        assert degraded or not self.world.hot.away
        if not degraded and (reader in PERSONAS or not (waits or self.emptied)):
            self._exactly(reader, items, newest_first)
        for item in items:
            self._checked(reader, item, away=self.world.hot.away)

    def _checked(self, reader: str, item: MemoryItem, *, away: bool) -> None:
        key = key_of(item)
        assert key in self._readable(reader), "foreign or forgotten, and read"
        assert item.content in (self.before[key] if away else {self.held[key]})
        assert item.timestamp == at(item.content)

    @rule(reader=READERS, newest_first=st.booleans(), limit=st.integers(1, 2))
    def begin(self, reader: str, newest_first: bool, limit: int) -> None:
        self.open = [*self.open[-3:], Paging(reader, newest_first, limit, self._readable(reader))]

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 3), who=WHO)
    def go_on(self, which: int, who: int) -> None:
        paging = self.open[which % len(self.open)]
        waits = not self.world.spool.tier.empty()
        try:
            page = paging.read(self.clients[who])
        except Transient:
            return
        for item in page:
            self._checked(paging.reader, item, away=self.world.hot.away)
        keys = {key_of(item) for item in page}
        end = Place.of(page[-1]) if page else paging.reached
        if page.next is None:
            end = BEGINNING if paging.newest_first else END
        if page.degraded or ((waits or self.emptied) and paging.reader not in PERSONAS):
            paging.stable.clear()  # what was missing is not to be expected later
        elif end is not None:
            passed = paging.passed(end)
            assert passed.keys() <= keys, "there all the time, and missed"
            assert not keys & paging.met & paging.stable.keys(), "let alone, and met twice"
        paging.met |= keys
        if page.next is None:
            self.open.remove(paging)
        else:
            paging.cursor, paging.reached = page.next, end

    # What workers and time do, and what breaks.

    @rule(name=st.sampled_from(("hot", "archive", "spool")))
    def goes_away(self, name: str) -> None:
        if name != "spool" or self.world.spool.tier.empty():  # else nobody knows what was forgotten
            super().goes_away(name)

    @rule()
    def all_is_well(self) -> None:
        self.heal()

    @precondition(lambda self: not self.world.hot.away)
    @rule(key=KEYS)
    def it_grows_cold(self, key: Key) -> None:
        self._turn(key, cold=True)

    def _turn(self, key: Key, *, cold: bool) -> None:
        version = self.world.archive.tier.versions(key.persona, [key.id])[0]
        if version is not None:
            self.world.archive.tier.turn([Turn(key, version, cold=cold)])
            self.world.hot.tier.changed([*PERSONAS, *GRANTEES])


def test_a_timeline_is_a_sorted_list_whatever_happens() -> None:
    run_state_machine_as_test(
        Timelines,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
