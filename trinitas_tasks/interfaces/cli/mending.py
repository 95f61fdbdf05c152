"""`trinitas verify` and `trinitas reindex`: whether the tiers agree, and Chroma filled anew."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, Whose, anyones, entered

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.mending import Comparison, Watch

EXAMPLES: Final = 5
PATIENT: Final = {"redis_timeout_ms": 10_000, "deadline_ms": 20_000}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (verify, reindex):
        app.command(rich_help_panel=Panel.TENDING)(command)


def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what differs, then compare again.")] = False,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Compare Redis, the archive and Chroma, memory by memory.

    Example:

        trinitas verify --repair

    Memories that are on their way from one to the next are no difference. Without --repair nothing is changed.

    Exit code 1: something differs or could not be compared.
    """
    from trinitas_tasks.interfaces import mending  # noqa: PLC0415 - `trinitas --help` stays fast

    started, mended = time.monotonic(), 0
    left = "what was mended stays mended" if repair else "nothing was changed"
    with (
        output.interruptible(left),
        entered(home, PATIENT) as (door, _),
        door.administering("repair" if repair else "verify"),
        _bar() as watch,
    ):
        door.client.ask("alive")  # nobody there: found out now, not after the deadline of a step
        if repair:
            mended, found = mending.repair(door.client, watch=watch)
        else:
            found = mending.compare(door.client, watch=watch)
    seconds = round(time.monotonic() - started, 2)
    if as_json:
        output.show_json(_report(found, mended, seconds))
    else:
        _show(found, mended, seconds)
    if found.differences or found.skipped:
        raise typer.Exit(1)


def reindex(
    persona: Whose = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Fill Chroma anew from the archive, while searches go on.

    Example:

        trinitas reindex -p athena

    An ingest worker does it, without embedding again. Broken off, what was there goes on answering, and the same
    command begins anew.
    """
    from trinitas_tasks.interfaces import mending  # noqa: PLC0415 - `trinitas --help` stays fast

    started = time.monotonic()
    left = "the index is as it was: the same command again begins anew"
    with output.interruptible(left), entered(home, PATIENT) as (door, _):
        named = anyones(door, persona)
        chosen = None if named is None else [named]
        with door.administering("reindex", persona=named):
            counts = mending.archived(door.client)
            # named one by one: whoever comes meanwhile needs no rebuild
            personas = chosen or (None if counts is None else list(counts))
            with _bar(None if counts is None else sum(counts.values())) as watch:
                mending.rebuild(door.client, personas, watch=watch)
    seconds = round(time.monotonic() - started, 2)
    count = None if counts is None else sum(counts.get(each, 0) for each in chosen or counts)
    if as_json:
        output.show_json({"persona": named, "memories": count, "seconds": seconds})
    else:
        owners = "all personas" if named is None else named
        output.say(f"{'the' if count is None else f'{count:,}'} memories of {owners} were indexed anew ({seconds} s)")


def _report(found: Comparison, mended: int, seconds: float) -> dict[str, Any]:
    return {
        "examined": found.examined,
        "differences": [
            {"kind": each.kind, **each.key._asdict(), "version": each.version} for each in sorted(found.differences)
        ],
        "skipped": sorted(found.skipped),
        "mended": mended,
        "seconds": seconds,
    }


def _show(found: Comparison, mended: int, seconds: float) -> None:
    from trinitas_tasks.interfaces import mending  # noqa: PLC0415 - see above

    for kind in sorted({each.kind for each in found.differences}):
        some = sorted(each for each in found.differences if each.kind == kind)
        output.say(f"{len(some):,} × {kind}")
        for each in some[:EXAMPLES]:
            output.say(f"    {each.key.persona}  {each.key.id}")
        if len(some) > EXAMPLES:
            output.say(f"    … and {len(some) - EXAMPLES:,} more")
    if mended:
        output.say(f"{mended:,} differences were mended")
    looked = ", ".join(f"{count:,} in {mending.PLACES[phase]}" for phase, count in found.examined.items())
    number = len(found.differences)
    result = f"{number:,} {'difference' if number == 1 else 'differences'}" if number else "no difference"
    result += " in what could be compared" if found.skipped else ""
    output.say(f"{result}; memories compared: {looked} ({seconds} s)")
    for reason in {each.partition(":")[0]: each for each in sorted(found.skipped)}.values():  # one a tier
        output.note(f"error: could not be compared: {reason}")
    if number:
        output.note("`trinitas verify --repair` mends them" if not mended else "these remain: see `trinitas doctor`")


@contextmanager
def _bar(total: int | None = None) -> Iterator[Watch]:
    console = output.console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("beginning", total=total)
        yield lambda doing, count: bar.update(
            task, description=doing, completed=min(bar.tasks[0].completed + count, total or math.inf)
        )
