"""Random calls of two clients, with every tier failing now and then, leave what a dictionary would hold."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.unit.world import LEASE_SECONDS, World
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import Transient, Unavailable
from trinitas_tasks.model import Key
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.services.replay import replay
from trinitas_tasks.settings import Settings
from trinitas_tasks.tasks.inline import InlineDispatcher
from trinitas_tasks.tasks.jobs import Jobs

PERSONAS = ("athena", "artemis")
NAMES = ("one", "two", "three")
KEYS = st.builds(Key, st.sampled_from(PERSONAS), st.sampled_from(NAMES))
SLOWLY: dict[str, Any] = {"TRINITAS_RETRY_DELAY": 3600}
TIERS = ("hot", "archive", "vectors", "embedder", "lexical", "spool")
Forgotten = None


class Switched:
    """A tier that can be away, or do what it is told and lose its answer."""

    def __init__(self, tier: Any) -> None:
        self.tier = tier
        self.away = False
        self.answers_lost = 0

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.tier, name)
        return self._guarded(name, attribute) if callable(attribute) and name != "close" else attribute

    def _guarded(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if self.away:
                raise Unavailable(f"{name}: nobody there")
            answer = method(*args, **kwargs)
            if self.answers_lost:
                self.answers_lost -= 1
                raise Unavailable(f"{name}: the answer was lost")
            return answer

        return guarded


class Clients(RuleBasedStateMachine):
    """``held`` is what was acknowledged last of every id, ``before`` everything that it may be read as meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        for name in TIERS:
            setattr(self.world, name, Switched(getattr(self.world, name)))
        self.runtime = Runtime(
            Settings(),
            **{name: getattr(self.world, name) for name in TIERS},  # as every worker of one machine
        )
        self.jobs = Jobs(self.runtime, nudge=lambda _: None)
        self.clients = [self.client(), self.client()]
        self.held: dict[Key, str | None] = {}
        self.before: dict[Key, set[str | None]] = {}
        self.texts = itertools.count()

    def client(self) -> MemoryClient:
        class Workers(InlineDispatcher):
            def tell(self, job: str) -> None:
                pass

        world = self.world
        dispatcher = Workers(self.runtime)
        # nothing goes on in the background: what is replayed when is a rule
        settings = Settings(**SLOWLY)
        return MemoryClient(world.hot, dispatcher, settings, spool=world.spool, archive=world.archive)

    def teardown(self) -> None:
        """When all is well again, everything is as acknowledged, in every tier."""
        self.heal()
        self.settle()
        for key, content in self.held.items():
            for client in self.clients:
                found = client.get(key.id, persona=key.persona)
                assert (found.content if found else None) == content, key
        archive, vectors = self.world.archive, self.world.vectors
        for persona in PERSONAS:
            held = {key.id for key, content in self.held.items() if key.persona == persona and content is not None}
            archived = [record for record in archive.load(persona, NAMES) if record is not None]
            assert {record.item.id for record in archived} == held
            assert all(record.item.content == self.held[Key(persona, record.item.id)] for record in archived)
            assert set(vectors.listed(persona, 0, 100)) == held
        assert self.world.spool.empty()
        for client in self.clients:
            client._front.close()
        assert self.jobs.compare(None)["differences"] == []

    def settle(self) -> None:
        for _ in range(3):
            self.world.advance(LEASE_SECONDS + 10)
            self.jobs.tick()
            self.jobs.ingest()
            self.jobs.reconcile()

    def heal(self) -> None:
        for name in TIERS:
            tier = getattr(self.world, name)
            tier.away, tier.answers_lost = False, 0

    def said(self, text: str) -> dict[str, Any]:  # noqa: ARG002 - for those who say more
        """What else is said of the memory of this text."""
        return {}

    # What clients do.

    @rule(key=KEYS, who=st.sampled_from((0, 1)))
    def remember(self, key: Key, who: int) -> None:
        text = f"fact{next(self.texts)} about herons"
        try:
            self.clients[who].remember(text, id=key.id, persona=key.persona, **self.said(text))
        except Transient:
            # not acknowledged: it may have been kept all the same
            self._ambiguous(key, text)
        else:
            self._acknowledged(key, text)

    @rule(key=KEYS, who=st.sampled_from((0, 1)))
    def forget(self, key: Key, who: int) -> None:
        try:
            self.clients[who].forget(key.id, persona=key.persona)
        except Transient:
            self._ambiguous(key, Forgotten)
        else:
            self._acknowledged(key, Forgotten)

    def _acknowledged(self, key: Key, content: str | None) -> None:
        self.before.setdefault(key, {None}).add(content)
        self.held[key] = content

    def _ambiguous(self, key: Key, content: str | None) -> None:
        """Find out, as a caller would: call again until it is acknowledged."""
        away = [getattr(self.world, name).away for name in TIERS]
        self.heal()
        client = self.clients[0]
        if content is None:
            client.forget(key.id, persona=key.persona)
        else:
            client.remember(content, id=key.id, persona=key.persona, **self.said(content))
        self._acknowledged(key, content)
        for name, was in zip(TIERS, away, strict=True):
            getattr(self.world, name).away = was

    @rule(key=KEYS, who=st.sampled_from((0, 1)))
    def get(self, key: Key, who: int) -> None:
        expected = self.held.get(key)
        try:
            found = self.clients[who].get(key.id, persona=key.persona)
        except Transient:
            return
        content = found.content if found else None
        if expected is None:
            assert content is None, "forgotten, and read"
        elif self.world.hot.away:
            assert content in self.before[key]  # the archive may have an older one
        else:
            assert content == expected

    @rule(persona=st.sampled_from(PERSONAS), who=st.sampled_from((0, 1)))
    def recall(self, persona: str, who: int) -> None:
        try:
            found = self.clients[who].recall("facts about herons", persona=persona)
        except Transient:
            return
        ids = [hit.item.id for hit in found]
        assert len(set(ids)) == len(ids)
        for hit in found:
            assert hit.item.persona == persona
            key = Key(persona, hit.item.id)
            assert self.held.get(key) is not None, "forgotten, and found"
            assert hit.item.content in self.before[key]

    # What workers and time do.

    @rule()
    def ingest(self) -> None:
        self._tried(self.jobs.ingest)

    @rule()
    def tick(self) -> None:
        self._tried(self.jobs.tick)

    @rule()
    def reconcile(self) -> None:
        self._tried(self.jobs.reconcile)

    @rule()
    def replay(self) -> None:
        self._tried(lambda: replay(hot=self.world.hot, spool=self.world.spool))

    def _tried(self, job: Callable[[], object]) -> None:
        with suppress(Transient):
            job()

    @rule(seconds=st.sampled_from((10, LEASE_SECONDS + 1, 400, 90_000)))
    def time_passes(self, seconds: int) -> None:
        self.world.advance(seconds)

    # What breaks.

    @rule(name=st.sampled_from(TIERS))
    def goes_away(self, name: str) -> None:
        getattr(self.world, name).away = True

    @rule(name=st.sampled_from(TIERS))
    def comes_back(self, name: str) -> None:
        getattr(self.world, name).away = False

    @rule(name=st.sampled_from(("hot", "archive", "vectors")))
    def loses_an_answer(self, name: str) -> None:
        getattr(self.world, name).answers_lost = 1

    @rule()
    def chroma_is_wiped(self) -> None:
        for persona in PERSONAS:
            self.world.vectors.tier.clear(persona)

    @precondition(lambda self: not self.world.hot.away)
    @rule(key=KEYS)
    def caches_are_evicted(self, key: Key) -> None:
        standing = self.world.hot.tier.standings([key])[0]
        if standing is not None and standing.copy and not standing.gone:
            del self.world.hot.tier._kept[key]


def test_clients_and_tiers_are_a_dictionary_whatever_fails() -> None:
    run_state_machine_as_test(
        Clients,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
