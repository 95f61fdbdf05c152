"""What a door lets somebody do, what it writes down, and what it tells nobody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.unit.clients import Bench, Held, Workerless, ids
from tests.unit.doors import Enter, Notebook, rows
from trinitas_tasks.errors import Forbidden, InvalidMemory, InvalidQuery, NotFound, Unavailable
from trinitas_tasks.interfaces.door import Door
from trinitas_tasks.tiers.ledger.interface import Deed

NOBODYS = "0190d3c5-0000-7000-8000-000000000000"


# What is written down.


def test_what_is_done_is_written_down_with_what_came_of_it(enter: Enter, ledger: Notebook) -> None:
    door = enter("athena", "hestia")
    made = door.remember("The staging database moved.", persona="athena")
    door.pin(made, pinned=True, persona="athena")
    door.pin(made, pinned=False, persona="athena")
    door.feedback(made, useful=True, persona="athena")
    assert door.share(made, to="hestia", persona="athena") == {"hestia"}
    assert door.unshare(made, to=["hestia"], persona="athena") == frozenset()
    assert door.unshare(made, persona="athena") == frozenset()
    door.forget(made, persona="athena")
    assert rows(ledger) == [
        ("remember", "athena", made, "done", None),
        ("pin", "athena", made, "done", None),
        ("unpin", "athena", made, "done", None),
        ("feedback", "athena", made, "done", "useful"),
        ("share", "athena", made, "done", "to hestia"),
        ("unshare", "athena", made, "done", "to hestia"),
        ("unshare", "athena", made, "done", "to all"),
        ("forget", "athena", made, "done", None),
    ]
    assert {(deed.who, deed.door) for deed in ledger.deeds(100)} == {("token x (1)", "http")}


def test_what_fails_is_written_down_and_what_may_have_happened_stays_open(
    enter: Enter, bench: Bench, ledger: Notebook
) -> None:
    door = enter("athena")
    with pytest.raises(InvalidMemory):
        door.remember("")
    with pytest.raises(NotFound):
        door.forget(NOBODYS)
    bench.world.hot.ping = None
    away = enter("athena", of=bench.client(Workerless, persona=None))
    with pytest.raises(Unavailable):
        away.run("prune", dry_run=True)
    assert rows(ledger) == [
        ("remember", "athena", None, "failed", "InvalidMemory"),
        ("forget", "athena", NOBODYS, "failed", "NotFound"),
        ("run prune", "athena", None, None, "dry run: Unavailable"),
    ]


def test_reads_leave_no_rows(enter: Enter, ledger: Notebook) -> None:
    door = enter("athena")
    made = door.remember("The staging database moved.")
    assert (door.get(made).id, ids(door.recall("staging"))) == (made, [made])
    door.stats(), door.health(), door.personas(), door.shared_with(made), door.analytics()
    assert len(rows(ledger)) == 1


def test_no_row_holds_what_a_memory_says(enter: Enter, ledger: Notebook) -> None:
    door = enter("athena")
    calls: list[Callable[[Any], object]] = [
        door.forget,
        door.unshare,
        lambda wrong: door.share(wrong, to="hestia"),
        lambda wrong: door.pin(wrong, pinned=True),
        lambda wrong: door.feedback(wrong, useful=True),
    ]
    for wrong in ("the secret plan", {"secret": "plan"}, "x" * 200):
        with pytest.raises(InvalidMemory):
            door.remember("secret", id=wrong)
        for call in calls:
            with pytest.raises(InvalidQuery):
                call(wrong)
    with pytest.raises(InvalidQuery, match="there is no 'the secret task'"):
        door.run("the secret task", dry_run=True)
    assert "secret" not in str(rows(ledger))
    assert "xxx" not in str(rows(ledger))


def test_nothing_is_done_that_cannot_be_written_down(enter: Enter, ledger: Notebook) -> None:
    door = enter("athena")
    made = door.remember("before")
    ledger.full = frozenset({"begin"})
    for call in (lambda: door.remember("after"), lambda: door.forget(made), lambda: door.share(made, to="hestia")):
        with pytest.raises(Unavailable, match="disk full"):
            call()
    assert door.get(made).content == "before"
    assert "after" not in [hit.item.content for hit in door.recall("after")]


def test_what_is_done_is_no_error_because_its_end_cannot_be_written_down(
    enter: Enter, ledger: Notebook, caplog: pytest.LogCaptureFixture
) -> None:
    door = enter("athena")
    ledger.full = frozenset({"end"})
    made = door.remember("kept")
    assert door.get(made).content == "kept"
    with pytest.raises(NotFound):
        door.forget(NOBODYS)
    with pytest.raises(Forbidden):
        door.get(made, persona="hestia")
    assert [deed.outcome for deed in ledger.deeds(10)] == [None, None, None]
    assert caplog.text.count("could not be written down: disk full") == 3


def test_a_refusal_that_cannot_be_written_down_is_one(enter: Enter, ledger: Notebook) -> None:
    ledger.full = frozenset({"begin"})
    with pytest.raises(Forbidden):
        enter("athena").remember("x", persona="hestia")


def test_forgetting_where_nobody_can_look_forgets(enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    door = enter("athena")
    made = door.remember("x y z")

    def away(*_: object, **__: object) -> None:
        raise Unavailable("nobody can say")

    with monkeypatch.context() as patched:
        patched.setattr(door.client, "get", away)
        door.forget(made)
    with pytest.raises(NotFound):
        door.get(made)


# What is told.


def test_figures_tell_nothing_of_others(enter: Enter, bench: Bench) -> None:
    few, all_of = enter("athena", "seshat"), enter(of=bench.client(Held, persona=None))
    before = [_figures(few, whose) for whose in ("athena", "seshat")]
    all_of.remember("hestia's own", persona="hestia")
    assert all_of.stats(persona="athena").outbox == 1
    assert [_figures(few, whose) for whose in ("athena", "seshat")] == before
    assert set(few.personas()) == {"athena", "seshat"}
    assert set(all_of.personas()) >= {"athena", "hestia"}
    assert all_of.analytics()["copies"]["count"] == 0
    assert few.analytics(persona="athena")["copies"] == {}


def _figures(door: Door, persona: str) -> tuple[object, ...]:
    told = door.analytics(persona=persona)
    return door.stats(persona=persona), {**told, "at": None}, door.personas(), door.health()


def test_why_names_no_memory_that_somebody_else_read_next(enter: Enter) -> None:
    athena, hestia = enter("athena"), enter("hestia")
    mine = [athena.remember(f"athena's page {number}") for number in range(2)]
    hers = [hestia.remember(f"hestia's page {number}") for number in range(2)]
    athena.share(mine[0], to=["hestia"])
    hestia.share(hers[0], to=["athena"])
    for _ in range(3):
        for memory_id in (mine[0], *hers):
            hestia.get(memory_id)
        for memory_id in (*mine, hers[0]):
            athena.get(memory_id)
    hestia.unshare(hers[0])
    known = athena.why(mine[0])
    assert [each["id"] for each in known["read_next"]] == [mine[1]]
    assert not any(each in str(known) for each in hers)


def test_what_is_wrong_is_told_to_who_administers_all(enter: Enter, bench: Bench) -> None:
    def away() -> None:
        raise Unavailable("no answer from redis://10.0.0.7")

    bench.world.hot.ping = away
    assert enter().health().parts["redis"] == "no answer from redis://10.0.0.7"
    for door in (enter("athena"), enter("athena", "hestia", rights=frozenset())):
        assert not door.health().ok
        assert "10.0.0.7" not in str(door.health())


def test_a_block_of_administration_may_name_what_it_made(enter: Enter, ledger: Notebook) -> None:
    with enter().administering("token create") as done:
        done.subject, done.detail = "0000000a", "for athena"
    with pytest.raises(KeyboardInterrupt), enter().administering("token create"):
        raise KeyboardInterrupt
    with enter("athena").administering("personas edit", persona="athena"):
        pass
    assert rows(ledger) == [
        ("token create", None, "0000000a", "done", "for athena"),
        ("token create", None, None, None, "KeyboardInterrupt"),
        ("personas edit", "athena", None, "done", None),
    ]
    assert isinstance(ledger.deeds(1)[0], Deed)
    assert isinstance(ledger.deeds(1)[0].at, datetime)
