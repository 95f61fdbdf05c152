"""What the soak prints: the figures, every violation with its history, and the last line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.soak.chaos import Struck
from tests.soak.journal import Line, lines
from tests.soak.ledger import KINDS, Violation
from tests.soak.measure import Calls, Healing, Latency

SHOWN = 20
"""Violations that are printed with their history."""
LINES = 30
AROUND_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to. ``problems`` make it fail as well: what did not settle, what crashed."""

    seed: int
    seconds: float
    disk: str
    calls: Calls
    struck: Sequence[Struck]
    healings: Sequence[Healing]
    latencies: Sequence[Latency]
    violations: Sequence[Violation]
    problems: Sequence[str]
    remarks: Sequence[str]

    @property
    def failed(self) -> bool:
        return bool(self.violations or self.problems)

    def last_line(self) -> str:
        counted = Counter(each.kind for each in self.violations)
        verdict = ", ".join(f"{counted[kind]} {kind}" for kind in KINDS)
        return f"{self.calls.operations} operations, {len(self.struck)} faults: {verdict}"


def show(result: Result, journals: Sequence[Path]) -> None:
    """Print all but the last line."""
    console = Console(width=None if Console().is_terminal else 120, highlight=False, markup=False)
    console.print(_faults(result.healings))
    console.print(_latencies(result.latencies))
    for each in result.remarks:
        console.print(each)
    if result.violations:
        told = list(_journaled(journals))
        for violation in result.violations[:SHOWN]:
            console.print("\n".join(history(violation, told, result.struck)))
        if len(result.violations) > SHOWN:
            console.print(f"… and {len(result.violations) - SHOWN} more violations")
    for problem, times in Counter(result.problems).items():
        console.print(f"FAILED: {problem}{f' ({times} times)' if times > 1 else ''}")


def _faults(healings: Iterable[Healing]) -> Table:
    table = Table(
        "fault",
        "count",
        "writes again, s",
        "all healthy again, s",
        title="median / worst by fault; they overlap",
    )
    for each in healings:
        table.add_row(each.name, str(each.count), _pair(each.writes), _pair(each.healthy))
    return table


def _latencies(latencies: Iterable[Latency]) -> Table:
    table = Table("calls", "count", "p50, ms", "p99, ms", "worst, ms")
    for each in latencies:
        table.add_row(each.what, str(each.count), *(f"{1000 * s:.1f}" for s in (each.p50, each.p99, each.worst)))
    return table


def _pair(seconds: tuple[float, float]) -> str:
    return " / ".join("never" if each == float("inf") else f"{each:.2f}" for each in seconds)


def history(violation: Violation, told: Sequence[Line], struck: Sequence[Struck]) -> list[str]:
    """The violation, and in the order of time what concerns its memory: journal lines, and the faults around them."""
    entries = [(line["at"], f"client {line['client']} op {line['n']}: {text}") for line, text in _of(violation, told)]
    entries = entries[-LINES:]
    moments = [violation.at, *(at for at, _ in entries)]
    for each in struck:
        if any(each.started - AROUND_SECONDS <= at <= each.ended + AROUND_SECONDS for at in moments):
            entries.append((each.started, f"FAULT {each.fault.name}: {each.note} (until {each.ended:.2f})"))
    head = f"{violation.kind.upper()} at {violation.at:.2f} s: {violation.persona}/{violation.id}: {violation.detail}"
    return [head, *(f"  {at:9.2f} {text}" for at, text in sorted(entries))]


def _of(violation: Violation, told: Iterable[Line]) -> Iterator[tuple[Line, str]]:
    """The journal lines of a memory with what they say of it: of its id, and of its words before they had one."""
    mine = [violation.persona, violation.id]
    intents: dict[int, Line] = {}
    for line in told:
        what = line["what"]
        if what == "intent":
            intents[line["client"]] = line
        if what == "violation" and [line["persona"], line["id"]] == mine:
            yield line, f"VIOLATION {line['kind']}: {line['detail']} (read at {line['began']})"
        if what == "read" and [line["persona"], line.get("id")] == mine:
            yield line, f"get: {line.get('error') or line['word']} after {line['took']:.3f} s"
        if what in ("intent", "ack", "error") and (intent := intents.get(line["client"])):
            ids = line.get("ids") or [None] * len(intent["items"])
            for (persona, memory_id, word), given in zip(intent["items"], ids, strict=True):
                if [persona, memory_id or given] == mine or f"{word} " in violation.detail:
                    yield line, _told(line, intent["does"], word, given)


def _told(line: Line, does: str, word: str | None, given: str | None) -> str:
    end = {"ack": f"acknowledged as {given}", "error": line.get("error", ""), "intent": ""}[line["what"]]
    took = f" after {line['took']:.3f} s" if "took" in line else ""
    return f"{line['what']} {does} {word or ''} {end}{took}"


def _journaled(journals: Iterable[Path]) -> Iterator[Line]:
    for each in journals:
        yield from lines(each)


def to_json(result: Result) -> str:
    """The whole result for machines."""
    faults = [
        {"name": each.fault.name, "started": each.started, "ended": each.ended, "note": each.note}
        for each in result.struck
    ]
    whole: dict[str, Any] = {
        "seed": result.seed,
        "seconds": result.seconds,
        "disk": result.disk,
        "operations": result.calls.operations,
        "failed_calls": result.calls.failed,
        "faults": faults,
        "healings": [asdict(each) for each in result.healings],
        "latencies": [asdict(each) for each in result.latencies],
        "violations": [asdict(each) for each in result.violations],
        "problems": list(result.problems),
        "remarks": list(result.remarks),
        "verdict": result.last_line(),
    }
    return json.dumps(whole, ensure_ascii=False, indent=2)
