"""What `trinitas top` shows: fitted to a terminal, or as plain lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.policy.hygiene import visible

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.monitor import Look

LATE_SECONDS: Final = 60.0
"""What is overdue for longer waits for nobody."""
MB: Final = 1e6
IDLE: Final = "nothing"
NUMBERS: Final = frozenset({"waiting", "workers", "for", "seconds", "examined", "changed", "errors"})


class Figure(NamedTuple):
    """A number with its name; ``style`` where it asks for attention."""

    name: str
    value: str
    style: str = ""


Rows = Sequence[Sequence[str]]


def waiting() -> RenderableType:
    """Before the first look has come."""
    return Text("looking …", style="dim")


def fitted(look: Look, width: int) -> RenderableType:
    """For a terminal of so many columns."""
    narrow = width < output.NARROW_COLUMNS
    title = Text.assemble(("trinitas top", "bold"), (f"  {look.pulse.at.astimezone():%H:%M:%S}  q ends", "dim"))
    parts: list[RenderableType] = [title, *(_problem(*each) for each in look.pulse.problems.items()), ""]
    parts.append(Columns([_figure(each) for each in figures(look)], padding=(0, 3)))
    for columns, rows in tables(look, narrow=narrow):
        parts += ["", _table(columns, rows)]
    return Group(*parts)


def say(look: Look) -> None:
    """For a pipe: nothing is cut."""
    output.show_fields({each.name: each.value for each in figures(look)})
    for columns, rows in tables(look, narrow=False):
        output.say("")
        output.show_table(columns, rows)
    for what, why in look.pulse.problems.items():
        output.note(f"error: {what}: {why}")


def figures(look: Look) -> Iterator[Figure]:
    """Those that are one number each; of what could not be seen none."""
    pulse, counts, rates = look.pulse, look.counts, look.rates
    if rates is not None:
        yield Figure("writes", f"{rates.written:,.1f}/s")
        yield Figure("reads", f"{rates.read:,.1f}/s")
        yield Figure("searches", f"{rates.searched:,.1f}/s")
    if look.hit_rate is not None:
        yield Figure("hit rate", f"{look.hit_rate:.1%}")
    if counts is not None:
        late = counts.overdue_seconds > LATE_SECONDS
        yield Figure("outbox", f"{counts.outbox:,}")
        yield Figure("overdue", f"{counts.overdue_seconds:,.1f} s", output.STYLES["warning"] if late else "")
        yield Figure("to erase", f"{counts.graves:,}")
    if pulse.spooled is not None:
        yield Figure("spool", f"{pulse.spooled:,}", output.STYLES["warning"] if pulse.spooled else "")
    if pulse.memory_bytes is not None:
        limit = f" of {pulse.memory_limit / MB:,.0f}" if pulse.memory_limit else ""
        yield Figure("Redis", f"{pulse.memory_bytes / MB:,.1f}{limit} MB")
    if counts is not None:
        yield Figure("copies", f"{counts.copies:,} ({counts.copies_bytes / MB:,.1f} MB)")


def tables(look: Look, *, narrow: bool) -> Iterator[tuple[Sequence[str], Rows]]:
    """Queues, workers, runs of tasks: titles and rows of each. ``narrow``: without what can be left out."""
    activity, runs = look.pulse.activity, look.pulse.runs
    if activity is not None:
        served = [queue for worker in activity.workers for queue in worker.queues]
        yield (
            ("queue", "waiting", "workers"),
            [(queue, f"{count:,}", str(served.count(queue))) for queue, count in activity.waiting.items()],
        )
        yield (
            ("worker", "doing", "for"),
            [
                (worker.name, f"{each.task} {each.asked}".rstrip(), f"{each.seconds:,.1f} s")
                for worker in activity.workers
                for each in worker.doing
            ]
            + [(worker.name, IDLE, "") for worker in activity.workers if not worker.doing],
        )
    if runs is not None:
        wanted = ("task", "at", "changed") if narrow else ("task", "at", "seconds", "examined", "changed", "errors")
        yield wanted, [[_ran(run)[name] for name in wanted] for run in runs]


def _ran(run: Any) -> dict[str, str]:
    return {
        "task": run["task"],
        "at": f"{datetime.fromisoformat(run['started']).astimezone():%H:%M:%S}",
        "seconds": f"{run['seconds']:.2f}",
        "examined": f"{run['examined']:,}",
        "changed": f"{run['changed']:,}",
        "errors": str(run["errors"]),
    }


def _figure(figure: Figure) -> Text:
    return Text.assemble((f"{figure.name} ", "dim"), (figure.value, figure.style or "bold"))


def _problem(what: str, why: str) -> Text:
    return Text.assemble((f"{what}: ", output.STYLES["problem"]), visible(why))


def _table(columns: Sequence[str], rows: Rows) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for each in columns:
        table.add_column(each, no_wrap=True, overflow="ellipsis", justify="right" if each in NUMBERS else "left")
    for row in rows:
        table.add_row(*(Text(visible(each), "dim" if each == IDLE else "") for each in row))
    return table
