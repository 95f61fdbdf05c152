"""`trinitas top`: what it counts, and how it looks on terminals of several widths, in a pipe and as JSON."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.unit.clients import Workerless
from tests.unit.commands import CommandLine
from tests.unit.world import Away
from trinitas_tasks.interfaces.cli import screen
from trinitas_tasks.interfaces.monitor import Look, Monitor, Rates
from trinitas_tasks.tasks.activity import Activity, Doing, Worker
from trinitas_tasks.tasks.pulse import Pulse
from trinitas_tasks.tiers.hot.interface import Counts

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
COUNTS = Counts(12_345, 2, 90.5, 1000, 500, 50, 30, 3210, 8_100_000)
ACTIVITY = Activity(
    {"search": 0, "ingest": 7, "lifecycle": 0},
    (
        Worker("ingest@a-machine-with-a-long-name.example.org", ("ingest",), (Doing("ingest", "", 3.25),)),
        Worker("search@b", ("search", "lifecycle"), ()),
    ),
)
RUN = {"task": "flush_access", "started": NOW.isoformat(), "seconds": 0.123, "examined": 79, "changed": 79, "errors": 0}
PULSE = Pulse(NOW, 1.0, (COUNTS, COUNTS), 12_400_000, 256_000_000, 3, ACTIVITY, [RUN])
LOOK = Look(PULSE, Rates(12.34, 40.0, 3.0), 0.9312)


def later(pulse: Pulse, seconds: float, **grown: int) -> Pulse:
    """So many seconds later."""
    assert pulse.counted is not None
    counts = replace(pulse.counted[1], **{name: getattr(pulse.counted[1], name) + by for name, by in grown.items()})
    return replace(pulse, at=pulse.at + timedelta(seconds=seconds), counted=(counts, counts))


# What is counted.


def test_rates_are_those_since_the_look_before() -> None:
    pulses = [PULSE, later(PULSE, 2, written=10, read=4), later(later(PULSE, 2, written=10), 4, searched=2)]
    monitor = Monitor(lambda: pulses.pop(0))
    assert monitor.look().rates == Rates(0.0, 0.0, 0.0)
    assert monitor.look().rates == Rates(5.0, 2.0, 0.0)
    assert monitor.look().rates == Rates(0.0, 0.0, 0.5)


def test_the_first_look_tells_of_the_time_that_it_took() -> None:
    assert PULSE.counted is not None
    first = replace(PULSE, counted=(PULSE.counted[0], replace(COUNTS, written=1003)), seconds=0.5)
    assert Monitor(lambda: first).look().rates == Rates(6.0, 0.0, 0.0)


def test_the_hit_rate_is_what_redis_answered_of_all_reads() -> None:
    assert Monitor(lambda: PULSE).look().hit_rate == 0.9
    unread = replace(PULSE, counted=(COUNTS, replace(COUNTS, read=0, fetched=0)))
    assert Monitor(lambda: unread).look().hit_rate is None


def test_a_server_that_was_emptied_gives_no_rates_below_zero() -> None:
    pulses = [PULSE, later(PULSE, 1, written=-900, read=-500, searched=-30)]
    monitor = Monitor(lambda: pulses.pop(0))
    monitor.look()
    assert monitor.look().rates == Rates(0.0, 0.0, 0.0)


# From all tiers.


def test_one_look_at_a_whole_world(trinitas: CommandLine) -> None:
    given = trinitas("remember", "The river.", "-p", "athena").out.strip()
    trinitas("get", given, "-p", "athena")
    told = trinitas("top", "--json").told
    assert (told["counts"]["written"], told["counts"]["read"], told["spooled"], told["problems"]) == (1, 1, 0, {})
    assert set(told["queues"]) == {"search", "ingest", "lifecycle"}
    assert told["workers"] == [{"name": "this process", "queues": ["search", "ingest", "lifecycle"], "doing": []}]
    assert ("top", None, None, "done") in trinitas.rows()


def test_who_acts_for_one_persona_does_not_see_everybody_s_figures(trinitas: CommandLine) -> None:
    done = trinitas("top", "--json", TRINITAS_PERSONA="athena")
    assert (done.code, done.out) == (1, "")
    assert '"type": "Forbidden"' in done.err


def test_what_is_away_is_told_and_the_rest_is_shown(trinitas: CommandLine) -> None:
    trinitas.bench.world.hot = Away(trinitas.bench.world.hot, "counts")
    trinitas.client = trinitas.bench.client(Workerless, persona=None)
    done = trinitas("top")
    assert done.code == 1
    assert done.out.startswith("spool: 0\n")
    assert done.err == "error: redis: counts: nobody there\n"


def test_workers_that_do_not_answer_are_told(trinitas: CommandLine) -> None:
    trinitas.client = trinitas.bench.client(Workerless, persona=None)
    done = trinitas("top")
    assert (done.code, "outbox: 0\n" in done.out) == (1, True)
    assert done.err.startswith("error: runs: ")


# How it looks.


def shown(look: Look, width: int) -> list[str]:
    """The lines of a terminal of so many columns."""
    console = Console(width=width, color_system=None, force_terminal=True, highlight=False)
    with console.capture() as captured:
        console.print(screen.fitted(look, width))
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_fits_the_terminal(width: int) -> None:
    lines = shown(LOOK, width)
    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines)
    for part in ("trinitas top", "writes 12.3/s", "hit rate 93.1%", "outbox 12,345", "overdue 90.5 s", "flush_access"):
        assert part in text
    assert len(lines) < 40


def test_a_narrow_terminal_keeps_what_matters_of_runs() -> None:
    narrow, wide = "\n".join(shown(LOOK, 40)), "\n".join(shown(LOOK, 80))
    assert ("examined" in narrow, "examined" in wide, "changed" in narrow) == (False, True, True)


def test_a_pipe_gets_everything_in_plain_lines(trinitas: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trinitas.client, "pulse", lambda: PULSE)
    out = trinitas("top").out
    assert "ingest@a-machine-with-a-long-name.example.org" in out
    assert re.search(r"^ingest +7 +1 *$", out, re.MULTILINE)
    assert "\x1b" not in out
    assert "spool: 3\n" in out


def test_what_people_wrote_reaches_no_terminal(monkeypatch: pytest.MonkeyPatch, trinitas: CommandLine) -> None:
    evil = Worker("w\x1b]0;owned\x07", ("search",), (Doing("search", "\x1b[2J", 1.0),))
    monkeypatch.setattr(trinitas.client, "pulse", lambda: replace(PULSE, activity=Activity({}, (evil,))))
    for columns in (0, 80):
        assert "\x1b]" not in trinitas("top", "--once", columns=columns).out
        assert "\x1b[2J" not in trinitas("top", "--once", columns=columns).out
