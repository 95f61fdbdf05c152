"""The soak's own judgement: each kind of violation is caught, and what is allowed is not called one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.soak import faults
from tests.soak.chaos import Struck
from tests.soak.journal import Journal, lines
from tests.soak.ledger import DUPLICATED, LEAKED, LOST, OLDER, RESURRECTED, Ledger, Violation
from tests.soak.measure import Calls
from tests.soak.operations import Kind, Plan, Seen, content, seen
from tests.soak.report import Result, history
from tests.soak.verdicts import Observed, judge, of_clients
from trinitas_tasks.model import Key, MemoryItem, utc_now

A, B = "soak-a", "soak-b"
FIRST, SECOND, THIRD = "c0n1i0", "c0n2i0", "c0n3i0"
KEY = Key(A, "m")


def intent(*items: tuple[str, str | None, str | None], n: int = 1) -> dict[str, Any]:
    return {"at": 1.0 * n, "client": 0, "n": n, "what": "intent", "does": "write", "items": [list(i) for i in items]}


def ack(*ids: str, n: int = 1) -> dict[str, Any]:
    return {"at": n + 0.5, "client": 0, "n": n, "what": "ack", "ids": list(ids), "took": 0.5}


def ledger_of(*told: dict[str, Any]) -> Ledger:
    ledger = Ledger()
    for line in told:
        ledger.feed(line)
    return ledger


def found(word: str, memory_id: str = "m", persona: str = A) -> Seen:
    return Seen(persona, memory_id, word, persona, True)


def stands(*memories: Seen, forgotten: tuple[Key, ...] = (), vectors: tuple[str, ...] = ()) -> Observed:
    by_key = {Key(each.persona, each.id): each for each in memories}
    return Observed({**dict.fromkeys(forgotten), **by_key}, by_key, {A: [*(each.id for each in memories), *vectors]})


def kinds(ledger: Ledger, observed: Observed) -> list[str]:
    return [each.kind for each in judge(ledger, observed, at=9.0)]


WRITTEN = (intent((A, "m", FIRST)), ack("m"))
REWRITTEN = (*WRITTEN, intent((A, "m", SECOND), n=2), ack("m", n=2))
FORGOTTEN = (*WRITTEN, intent((A, "m", None), n=2), ack("m", n=2))


def test_what_was_acknowledged_and_stands_is_no_violation() -> None:
    assert kinds(ledger_of(*REWRITTEN), stands(found(SECOND))) == []
    assert kinds(ledger_of(*FORGOTTEN), stands(forgotten=(KEY,))) == []


@pytest.mark.parametrize(
    "observed",
    [
        stands(forgotten=(KEY,)),
        stands(found(FIRST)),
        Observed({KEY: found(SECOND)}, {}, {}),
        Observed({KEY: None}, {KEY: found(SECOND)}, {}),
        Observed({}, {KEY: found(SECOND)}, {}, {KEY: "no answer"}),
        stands(replace(found(SECOND), intact=False)),
    ],
    ids=["gone", "older", "not archived", "get returns nothing", "get fails", "damaged"],
)
def test_what_was_acknowledged_and_does_not_stand_is_lost(observed: Observed) -> None:
    assert LOST in kinds(ledger_of(*REWRITTEN), observed)


@pytest.mark.parametrize(
    "observed",
    [
        stands(found(FIRST)),
        Observed({KEY: None}, {KEY: found(FIRST)}, {}),
        Observed({KEY: found(FIRST)}, {}, {}),
        stands(forgotten=(KEY,), vectors=("m",)),
    ],
    ids=["everywhere", "in the archive", "in get", "in the vector tier"],
)
def test_what_was_forgotten_and_stands_is_resurrected(observed: Observed) -> None:
    assert set(kinds(ledger_of(*FORGOTTEN), observed)) == {RESURRECTED}


def test_what_was_not_acknowledged_may_stand_or_not() -> None:
    ambiguous = ledger_of(*WRITTEN, intent((A, "m", SECOND), n=2), intent((A, None, THIRD), n=3))
    for observed in (stands(found(FIRST)), stands(found(SECOND)), stands(found(SECOND), found(THIRD, "made"))):
        assert kinds(ambiguous, observed) == []
    forgetting = ledger_of(*WRITTEN, intent((A, "m", None), n=2))
    assert kinds(forgetting, stands(found(FIRST))) == kinds(forgetting, stands(forgotten=(KEY,))) == []


def test_an_ambiguous_write_does_not_excuse_what_came_before_the_acknowledged() -> None:
    ledger = ledger_of(*REWRITTEN, intent((A, "m", THIRD), n=3))
    assert kinds(ledger, stands(found(FIRST))) == [LOST]
    again = ledger_of(*FORGOTTEN, intent((A, "m", SECOND), n=3))
    assert kinds(again, stands(found(FIRST))) == [RESURRECTED]


def test_one_content_under_two_ids_or_under_none_that_was_written_is_duplicated() -> None:
    retried = ledger_of(intent((A, None, FIRST)), intent((A, None, FIRST)), ack("m"))
    assert kinds(retried, stands(found(FIRST))) == []
    assert DUPLICATED in kinds(retried, stands(found(FIRST), found(FIRST, "other")))
    assert DUPLICATED in kinds(retried, stands(found(FIRST), found("c7n7i7", "nobody")))
    loose = ledger_of(intent((A, None, FIRST)))
    assert kinds(loose, stands(found(FIRST, "x"), found(FIRST, "y"))) == [DUPLICATED]


def test_what_belongs_to_another_persona_is_leaked() -> None:
    ledger = ledger_of(intent((A, "m", FIRST), (B, "m", SECOND)), ack("m", "m"))
    foreign = replace(found(SECOND), whose=B)
    right = found(SECOND, persona=B)
    assert kinds(ledger, stands(found(FIRST), right)) == []
    assert LEAKED in kinds(ledger, stands(foreign, right))
    assert [kind for kind, _ in ledger.judge_get(KEY, found(SECOND, persona=B))] == [LEAKED]
    assert [kind for kind, *_ in ledger.judge_recall(A, [found(FIRST), replace(foreign, id="n")])] == [LEAKED]


def test_a_recall_that_repeats_itself_is_duplicated() -> None:
    ledger = ledger_of(*WRITTEN)
    assert [kind for kind, *_ in ledger.judge_recall(A, [found(FIRST), found(FIRST)])] == [DUPLICATED]
    assert DUPLICATED in [kind for kind, *_ in ledger.judge_recall(A, [found(FIRST), found(FIRST, "n")])]


def test_reads_are_judged_by_what_was_acknowledged_before() -> None:
    ledger = ledger_of(*REWRITTEN)
    assert list(ledger.judge_get(KEY, found(SECOND))) == []
    assert [kind for kind, _ in ledger.judge_get(KEY, found(FIRST))] == [OLDER]
    assert [kind for kind, _ in ledger.judge_get(KEY, None)] == [LOST]
    assert [kind for kind, _ in ledger_of(*FORGOTTEN).judge_get(KEY, found(FIRST))] == [RESURRECTED]
    other = Ledger(client=1)
    assert list(other.judge_recall(A, [found(FIRST)])) == []


def test_an_older_version_is_stale_only_while_redis_is_away() -> None:
    older = Violation(OLDER, *KEY, "older", at=5.0)
    kept, stale = of_clients([older, replace(older, at=20.0), replace(older, at=21.0)], away=[(4.0, 6.0)])
    assert ([each.kind for each in kept], stale) == ([LOST], 1)


def test_a_violation_is_told_with_its_history_and_fails_the_run() -> None:
    lost = Violation(LOST, *KEY, f"{FIRST} stands here, not {SECOND}", at=9.0)
    fault = faults.Fault(2.0, faults.Kind.KILL, "valkey", 0.0, 0.5)
    struck = [Struck(fault, 2.0, 2.1, "process 7")]
    told = history(lost, REWRITTEN, struck)
    assert told[0].startswith("LOST at 9.00 s: soak-a/m")
    assert sum("acknowledged as m" in line for line in told) == 2
    assert any("FAULT kill valkey: process 7" in line for line in told)
    result = Result(1, 9.0, "none", Calls(operations=4), struck, [], [], [lost], [], [])
    assert result.failed
    assert result.last_line() == "4 operations, 1 faults: 1 lost, 0 resurrected, 0 duplicated, 0 leaked"
    assert not replace(result, violations=[]).failed
    assert replace(result, violations=[], problems=["it did not settle"]).failed


def test_the_plan_follows_from_the_seed() -> None:
    plans = [Plan(1, 0, (A, B)), Plan(1, 0, (A, B))]
    first, again = ([plan.operation(n) for n in range(400)] for plan in plans)
    assert first == again
    assert {each.kind for each in first} == set(Kind)
    assert first != [Plan(2, 0, (A, B)).operation(n) for n in range(400)]
    words = [item.word for each in first for item in each.items]
    assert len(set(words)) == len(words)
    struck = faults.plan(1, seconds=600, gap_seconds=5)
    assert struck == faults.plan(1, seconds=600, gap_seconds=5)
    assert {(each.kind, each.target) for each in struck} == set(faults.DECK)
    assert all(each.at + each.seconds <= 600 for each in struck)


def test_a_content_names_its_word_and_persona_and_is_compared_to_the_letter() -> None:
    sizes = []
    for number in range(200):
        word = f"c0n{number}i0"
        text = content(A, word)
        sizes.append(len(text.encode()))
        item = MemoryItem.build(id="m", persona=A, type="episodic", content=text, timestamp=utc_now())
        assert seen(item) == found(word)
        assert not seen(item.model_copy(update={"content": text + "."})).intact
    assert 1 <= sum(size > 190_000 for size in sizes) <= 12


def test_a_journal_goes_on_after_a_line_that_was_broken_off(tmp_path: Path) -> None:
    path = tmp_path / "client-0.jsonl"
    path.write_bytes(b'{"n": 1}\n{"n": 2, "wh')
    journal = Journal(path)
    journal.write({"n": 3})
    journal.close()
    assert [line["n"] for line in lines(path)] == [1, 3]
