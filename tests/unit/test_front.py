"""The client's side while Redis, the workers or the spool come and go: nothing acknowledged is lost or comes back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.fronts import NEW, OLD, OTHER, Site, found
from trinitas_tasks.errors import Overloaded, Unavailable
from trinitas_tasks.tiers.spool.memory import MemorySpool


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


# Writing.


def test_what_is_written_while_redis_is_away_is_read_at_once_and_archived_later(site: Site) -> None:
    site.hot.away = True
    written = site.write(OLD, OTHER)
    assert (written.ids, written.fresh, written.nudge) == (("tea", "water"), 2, False)
    assert (site.get(), site.get(OTHER)) == (OLD.content, OTHER.content)
    site.hot.away = False
    assert (site.get(), site.get(OTHER)) == (OLD.content, OTHER.content)
    site.replay()
    assert site.world.spool.empty()
    assert site.world.standing(OTHER).version == written.version  # type: ignore[union-attr]
    assert site.get() == OLD.content
    site.settle()
    site.workers.assert_whole([OLD, OTHER])


def test_while_anything_waits_what_follows_waits_behind_it(site: Site) -> None:
    site.hot.away = True
    site.write(OLD)
    site.hot.away = False
    site.write(OTHER)
    site.forget(OLD)
    site.write(NEW)
    assert site.world.hot.stats("athena").outbox == 0
    assert (site.get(), site.get(OTHER)) == (NEW.content, OTHER.content)
    assert [entry.item for entry in site.world.spool.take(10)] == [OLD, OTHER, None, NEW]
    site.settle()
    site.workers.assert_whole([NEW, OTHER])
    site.write(OLD)
    assert site.world.hot.stats("athena").outbox == 1


AWAY = list(itertools.product([False, True], repeat=3))


@pytest.mark.parametrize("replayed", [False, True], ids=["waits", "replayed between"])
@pytest.mark.parametrize("dedup", [None, "said"])
@pytest.mark.parametrize("away", AWAY, ids=["".join("-+"[not each] for each in calls) for calls in AWAY])
def test_what_is_forgotten_and_remembered_again_across_an_outage_is_there(
    site: Site, away: tuple[bool, ...], dedup: str | None, replayed: bool
) -> None:
    """Written, forgotten, and the same call as the first: each while Redis is there (+) or away (-)."""
    again = OLD if dedup is None else OLD.model_copy(update={"id": "again"})
    calls: list[Callable[[], object]] = [
        lambda: site.write(OLD, dedup=dedup), lambda: site.forget(OLD), lambda: site.write(again, dedup=dedup)
    ]  # fmt: skip
    for call, is_away in zip(calls, away, strict=True):
        site.hot.away = is_away
        call()
        if replayed and not is_away:
            site.replay()
    assert site.get(again) == again.content
    site.settle()
    assert site.get(again) == again.content
    assert site.get() == (OLD.content if dedup is None else None)
    site.workers.assert_whole([again])


@pytest.mark.parametrize("away", AWAY, ids=["".join("-+"[not each] for each in calls) for calls in AWAY])
def test_what_was_forgotten_last_stays_forgotten_across_an_outage(site: Site, away: tuple[bool, ...]) -> None:
    calls: list[Callable[[], object]] = [lambda: site.write(OLD), lambda: site.write(NEW), lambda: site.forget(OLD)]
    for call, is_away in zip(calls, away, strict=True):
        site.hot.away = is_away
        call()
    if not site.hot.away or not site.world.spool.empty():
        assert site.get() is None
    assert found(site.recall("What does Ann drink?")) == {} if not site.hot.away else True
    assert found(site.by_words("What does Ann drink?")) == {}
    site.settle()
    assert (site.get(), site.world.archived(OLD), site.world.vectors.count("athena")) == (None, None, 0)


def test_a_full_outbox_is_told_and_not_spooled(site: Site) -> None:
    site.world.hot._outbox_limit = 1
    site.write(OLD)
    with pytest.raises(Overloaded):
        site.write(OTHER)
    assert site.world.spool.empty()


def test_with_nobody_to_keep_it_a_write_fails_and_says_why(site: Site) -> None:
    site.hot.away = site.spool.away = True
    for name, call in (("write", lambda: site.write(OLD)), ("forget", lambda: site.forget(OLD))):
        with pytest.raises(Unavailable, match=f"^{name}: nobody there; and {name}: nobody there$"):
            call()
    site.hot.away = site.spool.away = False
    assert site.get() is None


# Versions.


@pytest.mark.parametrize("change", ["write", "forget"])
@pytest.mark.parametrize("seen", ["got", "got from the archive", "recalled", "recalled by words", "written"])
def test_a_machine_whose_clock_is_late_wins_over_what_it_has_seen(site: Site, seen: str, change: str) -> None:
    late = MemorySpool(clock=lambda: site.world.now() - timedelta(hours=5))
    site.world.spool = late
    site.front = site.make(spool=late)
    if seen == "written":
        site.write(OLD)
    else:
        site.world.remember(OLD)
        site.world.settle()
    site.hot.away = seen in ("got from the archive", "recalled by words")
    look: dict[str, Callable[[], object]] = {
        "recalled": lambda: site.recall("Ann"), "recalled by words": lambda: site.by_words("Ann"),
        "written": lambda: None,
    }  # fmt: skip
    assert look.get(seen, site.get)() or seen == "written"
    site.hot.away = True
    site.write(NEW) if change == "write" else site.forget(OLD)
    site.settle()
    assert site.get() == (NEW.content if change == "write" else None)
    assert site.world.archived(NEW) == (NEW if change == "write" else None)


class Ghostly:
    """A server that stalls: it executes a call within the deadline that came with it, but after its caller gave up."""

    def __init__(self, tier: Any, until: int) -> None:
        self._tier, self.fence = tier, until
        self.given_up: list[Callable[[], object]] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._tier, name)

        def stalled(*args: Any, **kwargs: Any) -> None:
            self.given_up.append(lambda: method(*args, **kwargs))
            raise Unavailable(f"{name}: no answer in time")

        return stalled if name in ("write", "forget") else method


@pytest.mark.parametrize("then", ["written", "forgotten"])
@pytest.mark.parametrize("first", ["write", "forget"])
def test_what_redis_does_after_its_caller_gave_up_does_not_count(site: Site, first: str, then: str) -> None:
    site.write(OLD)
    deadline = site.world.now() + timedelta(seconds=1.5)
    ghost = Ghostly(site.world.hot, int(deadline.timestamp() * 1_000_000))
    site.front = site.make(hot=ghost)
    site.write(OTHER.model_copy(update={"id": "tea"})) if first == "write" else site.forget(OLD)
    site.write(NEW) if then == "written" else site.forget(OLD)
    site.world.advance(1)
    for call in ghost.given_up:
        call()
    site.front = site.make()
    assert site.get() == (NEW.content if then == "written" else None)
    site.settle()
    assert site.get() == (NEW.content if then == "written" else None)
    assert site.world.archived(NEW) == (NEW if then == "written" else None)
