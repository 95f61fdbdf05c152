"""A space in Chroma is rebuilt and replaces the old one while others search, and wherever the rebuild is killed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import count
from threading import Event

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.contract.chroma_server import DIM, ChromaServer, ids_of, made, put, tier_at
from tests.support import wait_until
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.tiers.vectors.chroma import ChromaVectors


class Killed(BaseException):
    """The process ends here."""


def rebuild(tier: ChromaVectors, persona: str, ids: list[str], vectors: NDArray[np.float32]) -> None:
    tier.spare().clear(persona)
    put(tier.spare(), persona, ids, vectors)
    tier.promote(persona)


def collections_of(tier: ChromaVectors, persona: str) -> int:
    return sum(f".{persona}." in each.name for each in tier._connection.api.list_collections())


@contextmanager
def watched(tier: ChromaVectors, watch: Callable[[httpx.Request], None]) -> Iterator[None]:
    """Show each request before it is sent."""
    hooks = tier._connection.api._session.event_hooks["request"]
    hooks.append(watch)
    try:
        yield
    finally:
        hooks.remove(watch)


def killed_after(tier: ChromaVectors, requests: int) -> AbstractContextManager[None]:
    """Send so many requests more, then end."""
    sent = count()

    def watch(_: httpx.Request) -> None:
        if next(sent) == requests:
            raise Killed

    return watched(tier, watch)


def test_no_search_notices_a_rebuild(chroma_server: ChromaServer) -> None:
    stored = made(2000)
    ids = [f"m{n}" for n in range(2000)]
    done = Event()
    searches = {"the same": 0, "another": 0, "a new": 0}

    def search(process: str, tier: ChromaVectors) -> None:
        while not done.is_set():
            n = random.randrange(2000)
            if process == "a new":
                tier._live.forget("swap")
            assert ids_of(tier, "swap", stored[n], 1) == [f"m{n}"]
            searches[process] += 1

    def searched_since(before: dict[str, int]) -> bool:
        return all(searches[name] > before[name] for name in before) or any(each.done() for each in running)

    with (
        tier_at(chroma_server.port) as tier,
        tier_at(chroma_server.port) as another,
        tier_at(chroma_server.port) as new,
    ):
        put(tier, "swap", ids, stored)
        with ThreadPoolExecutor(3) as pool:
            running = [pool.submit(search, *each) for each in zip(searches, (tier, another, new), strict=True)]
            try:
                for _ in range(2):
                    rebuild(tier, "swap", ids, stored)
                    before = dict(searches)
                    wait_until(partial(searched_since, before))
            finally:
                done.set()
            for each in running:
                each.result()
        assert collections_of(tier, "swap") == 1


@pytest.mark.parametrize("turn", [0, 1], ids=["the first rebuild", "the second rebuild"])
def test_a_rebuild_that_is_killed_between_any_two_requests_does_no_harm(chroma_server: ChromaServer, turn: int) -> None:
    old, new = made(2)
    for requests in count():
        persona = f"killed-{turn}-{requests}"
        with tier_at(chroma_server.port) as tier, tier_at(chroma_server.port) as another:
            put(tier, persona, ["old"], old[np.newaxis])
            for _ in range(turn):
                rebuild(tier, persona, ["old"], old[np.newaxis])
            assert ids_of(another, persona, old) == ["old"]
            try:
                with killed_after(tier, requests):
                    rebuild(tier, persona, ["new"], new[np.newaxis])
                lived = True
            except Killed:
                lived = False
            with tier_at(chroma_server.port) as fresh:
                assert ids_of(fresh, persona, old) in (["old"], ["new"])
                assert ids_of(another, persona, old) in (["old"], ["new"])
                rebuild(fresh, persona, ["newer"], new[np.newaxis])
                assert ids_of(fresh, persona, old) == ids_of(another, persona, old) == ["newer"]
                assert collections_of(fresh, persona) == 1
        if lived:
            break
    assert requests > 8


def test_a_replaced_space_that_stays_is_not_asked_for_long(
    chroma_server: ChromaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tier_at(chroma_server.port) as tier, tier_at(chroma_server.port) as another:
        put(another, "stays", ["old"], made(1))
        monkeypatch.setattr(tier._spare, "sweep", lambda _: (_ for _ in ()).throw(Unavailable("the file is locked")))
        rebuild(tier, "stays", ["new"], made(1))
        assert ids_of(tier, "stays", made(1)[0]) == ["new"]
        assert ids_of(another, "stays", made(1)[0]) == ["old"]
        monkeypatch.setattr("trinitas_tasks.tiers.vectors.spaces.KNOWN_SECONDS", 0.01)
        another._live.forget("stays")
        wait_until(lambda: ids_of(another, "stays", made(1)[0]) == ["new"])
        assert collections_of(tier, "stays") == 2


def test_of_two_rebuilds_the_later_one_wins(chroma_server: ChromaServer) -> None:
    with tier_at(chroma_server.port) as first, tier_at(chroma_server.port) as second:
        put(first, "twice", ["old"], made(1))
        first.spare().clear("twice")
        put(first.spare(), "twice", ["first"], made(1))
        second.spare().clear("twice")
        with pytest.raises(Unavailable, match="taken"):
            first.promote("twice")
        with pytest.raises(Unavailable, match="another rebuild may have taken it"):
            put(first.spare(), "twice", ["first"], made(1))
        put(second.spare(), "twice", ["second"], made(1))
        assert ids_of(first, "twice", made(1)[0]) == ["old"]
        second.promote("twice")
        assert ids_of(first, "twice", made(1)[0]) == ["second"]
        assert collections_of(first, "twice") == 1


def test_only_deleting_a_space_may_take_longer_than_the_deadline(chroma_server: ChromaServer) -> None:
    """One of a million vectors does, and the server undoes what is cut off."""
    allowed: dict[str, list[float]] = {}

    def watch(request: httpx.Request) -> None:
        allowed.setdefault(request.method, []).append(request.extensions["timeout"]["read"])

    with tier_at(chroma_server.port, deadline_ms=20_000) as tier:
        put(tier, "large", ["old"], made(1))
        tier.spare().clear("large")
        with watched(tier, watch):
            rebuild(tier, "large", ["new"], made(1))
    assert len(allowed["DELETE"]) == 2
    assert min(allowed.pop("DELETE")) > 50
    assert all(seconds <= 20 for some in allowed.values() for seconds in some)


def test_a_collection_of_an_earlier_version_answers_and_can_be_replaced(chroma_server: ChromaServer) -> None:
    with tier_at(chroma_server.port) as tier:
        collections = tier._spare._collections
        with tier._connection.bounded("make one"):
            model = tier._connection.api.create_collection(collections._names("legacy")[0])
            collections.opened(model).upsert(ids=["m1"], embeddings=np.ones((1, DIM), np.float32))
        assert tier.versions("legacy", ["m1", "m2"]) == [0, None]
        rebuild(tier, "legacy", ["m2"], made(1))
        assert tier.listed("legacy", 0, 9) == ["m2"]
        assert collections_of(tier, "legacy") == 1
