"""`trinitas export`: memories into a file."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from trinitas_tasks.interfaces.cli import completion, output, times
from trinitas_tasks.interfaces.cli.listing import Before, Since
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, Kinds, anyones, entered

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.exporting import Watch
    from trinitas_tasks.services.exporting import Wanted

PATIENT: Final = {"redis_timeout_ms": 10_000, "deadline_ms": 20_000}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=Panel.MOVING)(export)


def export(
    file: Annotated[Path, typer.Argument(help="Where to write it; `-` is standard output.", dir_okay=False)],
    persona: Annotated[
        list[str] | None,
        typer.Option(
            "--persona",
            "-p",
            help="Whose memories; all if left out. Several times.",
            autocompletion=completion.personas,
        ),
    ] = None,
    kind: Kinds = None,
    since: Since = None,
    before: Before = None,
    vectors: Annotated[bool, typer.Option("--vectors", help="With the vectors of the model in force.")] = False,
    form: Annotated[
        Literal["jsonl", "csv", "mem0", "langgraph"], typer.Option("--format", help="jsonl holds everything.")
    ] = "jsonl",
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Write memories to a file with all that is known of each.

    Examples:

        trinitas export athena.jsonl -p athena --since 2026-01-01
        trinitas export - -p athena --format csv | head

    One JSON object a line; `trinitas import` reads it back. What was acknowledged before is in it, once it is archived:
    that is waited for. In the order of personas and ids, so that two exports of the same are the same. Where it fails
    or is broken off there is no file.
    """
    from trinitas_tasks.interfaces import exporting  # noqa: PLC0415 - `trinitas --help` stays fast
    from trinitas_tasks.interfaces.forms.recognised import written_as  # noqa: PLC0415
    from trinitas_tasks.model import utc_now  # noqa: PLC0415

    started = time.monotonic()
    chosen = written_as(form)
    to = None if str(file) == "-" else file.absolute()
    with output.interruptible("nothing was written"), entered(home, PATIENT) as (door, _), ExitStack() as deeds:
        owners = [anyones(door, each) for each in persona] if persona else [anyones(door, None)]
        for owner in owners:
            deeds.enter_context(door.administering("export", persona=owner))
        named = [owner for owner in owners if owner is not None]
        wanted = _wanted(named, kind or [], since, before, vectors=vectors)
        with _bar(wanted.personas, door.client) as watch:
            done = exporting.export(door.client, to, wanted, chosen, watch=watch)
    report = {
        "file": str(file),
        "format": form,
        "memories": done.memories,
        "bytes": done.bytes,
        "created": utc_now().isoformat(),
        "seconds": round(time.monotonic() - started, 2),
    }
    if as_json and to is not None:
        output.show_json(report)
    else:
        output.note(
            f"{done.memories:,} memories exported to {file} ({done.bytes / 1e6:,.1f} MB, {report['seconds']} s)"
        )


def _wanted(
    personas: Sequence[str], kinds: Sequence[str], since: str | None, before: str | None, *, vectors: bool
) -> Wanted:
    from pydantic import ValidationError  # noqa: PLC0415 - see above

    from trinitas_tasks.errors import InvalidQuery  # noqa: PLC0415
    from trinitas_tasks.model import complaint  # noqa: PLC0415
    from trinitas_tasks.services.exporting import Wanted  # noqa: PLC0415

    try:
        return Wanted(
            personas=tuple(personas),
            types=tuple(kinds),
            since=times.start(since, "--since"),
            before=times.start(before, "--before"),
            vectors=vectors,
        )
    except ValidationError as error:
        raise InvalidQuery(complaint(error)) from None


@contextmanager
def _bar(personas: tuple[str, ...], client: Any) -> Iterator[Watch]:
    from trinitas_tasks.interfaces import mending  # noqa: PLC0415 - see above

    console = output.console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"), TimeElapsedColumn())
    counts = mending.archived(client) if console.is_terminal else None
    total = None if counts is None else sum(counts.get(each, 0) for each in personas or counts)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("beginning", total=total)
        yield lambda doing, count: bar.update(
            task, description=doing, completed=min(bar.tasks[0].completed + count, total or math.inf)
        )
