"""`trinitas export`: memories into a file."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.memory import Home, connected

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.exporting import Watch

PATIENT: Final = {"redis_timeout_ms": 10_000, "deadline_ms": 20_000}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)


def export(
    file: Annotated[Path, typer.Argument(help="Where to write it; `-` is standard output.", dir_okay=False)],
    persona: Annotated[
        list[str] | None, typer.Option("--persona", "-p", help="Whose memories; all if left out. Several times.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--type", "-t", help="working, episodic, semantic, procedural. Several times.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="From this time on: 2026-05-06, or with a time.")] = None,
    before: Annotated[str | None, typer.Option(help="Before this time.")] = None,
    vectors: Annotated[bool, typer.Option("--vectors", help="With the vectors of the model in force.")] = False,
    form: Annotated[str, typer.Option("--format", help="jsonl (everything), csv, mem0 or langgraph.")] = "jsonl",
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Write memories to FILE, one JSON object a line, with all that is known of each; `trinitas import` reads it back.

    trinitas export athena.jsonl -p athena --since 2026-01-01

    What was acknowledged before is in it, once it is archived: that is waited for. In the order of personas and ids, so
    that two exports of the same are the same. Exit code 0: done, 1: it failed, 130: broken off; then there is no file.
    """
    from trinitas_tasks.interfaces import exporting  # noqa: PLC0415 - `trinitas --help` stays fast
    from trinitas_tasks.interfaces.forms.recognised import written_as  # noqa: PLC0415
    from trinitas_tasks.model import check_persona, utc_now  # noqa: PLC0415

    started = time.monotonic()
    wanted = _wanted(persona or [], kind or [], since, before, vectors=vectors)
    chosen = written_as(form)
    for each in wanted.personas:
        check_persona(each)
    to = None if str(file) == "-" else file.absolute()
    with _interruptible(), connected(home, PATIENT) as (client, _), _bar(wanted.personas, client) as watch:
        done = exporting.export(client, to, wanted, chosen, watch=watch)
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


def _wanted(personas: list[str], kinds: list[str], since: str | None, before: str | None, *, vectors: bool) -> Any:
    from pydantic import ValidationError  # noqa: PLC0415 - see above

    from trinitas_tasks.errors import InvalidQuery  # noqa: PLC0415
    from trinitas_tasks.model import complaint  # noqa: PLC0415
    from trinitas_tasks.services.exporting import Wanted  # noqa: PLC0415

    try:
        return Wanted(
            personas=tuple(personas),
            types=tuple(kinds),
            since=_time(since, "--since"),
            before=_time(before, "--before"),
            vectors=vectors,
        )
    except ValidationError as error:
        raise InvalidQuery(complaint(error)) from None


def _time(text: str | None, option: str) -> datetime | None:
    """A time without a zone is one of this machine."""
    try:
        return None if text is None else datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not a time such as 2026-05-06", param_hint=option) from None


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        output.note("stopped: nothing was written")
        raise typer.Exit(output.INTERRUPTED) from None


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
