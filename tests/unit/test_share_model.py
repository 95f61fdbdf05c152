"""Whatever is shared, revoked, forgotten, replaced, away or emptied, in whatever order: it is clear who reads what."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from tests.unit.test_client_model import KEYS, NAMES, PERSONAS, TIERS, Clients
from trinitas_tasks.errors import NotFound, Transient
from trinitas_tasks.model import Key
from trinitas_tasks.tiers.hot.memory import MemoryHotTier

GRANTEES = ("hera", "zeus")
WHO = st.sampled_from((0, 1))
SOME = st.lists(st.sampled_from(GRANTEES), min_size=1, unique=True)


class Sharers(Clients):
    """``granted`` is what was acknowledged last; while ``emptied``, Redis may know less of it."""

    def __init__(self) -> None:
        super().__init__()
        self.granted: dict[Key, set[str]] = {}
        self.emptied = False

    def teardown(self) -> None:
        """When all is well again everything is shared as acknowledged, and nothing else."""
        super().teardown()
        for key in (Key(persona, name) for persona in PERSONAS for name in NAMES):
            for client in self.clients:
                assert client.shared_with(key.id, persona=key.persona) == self._readers(key)
                for grantee in GRANTEES:
                    found = client.get(key.id, persona=grantee, owner=key.persona)
                    assert (found is not None) == (grantee in self._readers(key)), (key, grantee)
        for grantee in GRANTEES:
            shared = {(key.persona, key.id) for key in self.held if grantee in self._readers(key)}
            hits = self.clients[0].recall("facts about herons", persona=grantee, limit=20)
            assert {(hit.item.persona, hit.item.id) for hit in hits} == shared
        assert self.world.hot.claim_grants(100, 0) == []

    def settle(self) -> None:
        super().settle()
        self.emptied = False

    def _readers(self, key: Key) -> set[str]:
        return self.granted.get(key, set()) if self.held.get(key) is not None else set()

    def _acknowledged(self, key: Key, content: str | None) -> None:
        super()._acknowledged(key, content)
        if content is None:
            self.granted.pop(key, None)

    # What clients do.

    @rule(key=KEYS, who=WHO, grantees=SOME)
    def share(self, key: Key, who: int, grantees: list[str]) -> None:
        try:
            self.clients[who].share(key.id, to=grantees, persona=key.persona)
        except NotFound:
            assert self.held.get(key) is None
        except Transient:
            self._repeated(key, grantees, grant=True)
        else:
            self._shared(key, grantees, grant=True)

    @rule(key=KEYS, who=WHO, grantees=st.none() | SOME)
    def unshare(self, key: Key, who: int, grantees: list[str] | None) -> None:
        try:
            self.clients[who].unshare(key.id, to=grantees, persona=key.persona)
        except Transient:
            self._repeated(key, grantees, grant=False)
        else:
            self._shared(key, grantees, grant=False)

    def _shared(self, key: Key, grantees: list[str] | None, *, grant: bool) -> None:
        if grant:
            assert self.held.get(key) is not None, "forgotten, and shared"
            self.granted.setdefault(key, set()).update(grantees or ())
        else:
            self.granted.setdefault(key, set()).difference_update(GRANTEES if grantees is None else grantees)

    def _repeated(self, key: Key, grantees: list[str] | None, *, grant: bool) -> None:
        """As the error says: until it returns."""
        away = [getattr(self.world, name).away for name in TIERS]
        self.heal()
        self.replay()
        client = self.clients[0]
        if not grant:
            client.unshare(key.id, to=grantees, persona=key.persona)
        elif self.held.get(key) is not None:
            client.share(key.id, to=grantees or (), persona=key.persona)
        if not grant or self.held.get(key) is not None:
            self._shared(key, grantees, grant=grant)
        for name, was in zip(TIERS, away, strict=True):
            getattr(self.world, name).away = was

    @rule(key=KEYS, who=WHO, grantee=st.sampled_from(GRANTEES), named=st.booleans())
    def get_shared(self, key: Key, who: int, grantee: str, named: bool) -> None:
        waits = not self.world.spool.tier.empty()
        try:
            found = self.clients[who].get(key.id, persona=grantee, owner=key.persona if named else None)
        except Transient:
            return
        assert not self.world.hot.away, "nobody could say what was granted"
        if found is not None:
            named_key = Key(found.persona, found.id)
            assert grantee in self._readers(named_key), "not granted, and read"
            assert found.content == self.held[named_key]
        elif named and grantee in self._readers(key):
            assert waits or self.emptied, "granted, and not read"

    @rule(grantee=st.sampled_from(GRANTEES), who=WHO)
    def recall_shared(self, grantee: str, who: int) -> None:
        try:
            found = self.clients[who].recall("facts about herons", persona=grantee, limit=20)
        except Transient:
            return
        assert not (self.world.hot.away and found)
        keys = [Key(hit.item.persona, hit.item.id) for hit in found]
        assert len(set(keys)) == len(keys)
        for key, hit in zip(keys, found, strict=True):
            assert grantee in self._readers(key), "not granted, and found"
            assert hit.item.content == self.held[key]

    # What breaks.

    @precondition(lambda self: not self.world.hot.away and self._all_archived())
    @rule()
    def redis_is_emptied(self) -> None:
        self.world.hot.tier = MemoryHotTier(clock=self.world.now)
        self.emptied = True

    def _all_archived(self) -> bool:
        tier: Any = self.world.hot.tier
        return not (tier._outbox or tier._graves or tier._granting)


def test_who_reads_what_is_a_dictionary_whatever_fails() -> None:
    run_state_machine_as_test(
        Sharers,
        settings=settings(
            max_examples=60,
            stateful_step_count=50,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
