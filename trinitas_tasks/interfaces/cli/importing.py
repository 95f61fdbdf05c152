"""`trinitas import`: memories from a file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from trinitas_tasks.interfaces.cli import completion, output
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, anyones, entered, rules_of

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.importing import Import

SHOWN_BAD: Final = 20
LOOK_SECONDS: Final = 0.5
# an import can wait: better a slow answer of a busy Redis than a broken-off import
PATIENT: Final = {"redis_timeout_ms": 10_000}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import", rich_help_panel=Panel.MOVING)(import_file)


def import_file(
    file: Annotated[
        Path, typer.Argument(help="An export, JSON lines, CSV, or JSON.", exists=True, dir_okay=False, readable=True)
    ],
    persona: Annotated[
        str | None,
        typer.Option(
            "--persona",
            "-p",
            help="Whose memories; of an export only theirs, by default everybody's.",
            autocompletion=completion.personas,
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="jsonl, csv, mem0 or langgraph; recognised if left out.", show_default=False),
    ] = None,
    skip_bad: Annotated[bool, typer.Option(help="Leave bad lines out and import the rest.")] = False,
    wait: Annotated[bool, typer.Option(help="Return when all of it can be found by meaning.")] = False,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Remember every line of a file, or bring an export back.

    Examples:

        trinitas import notes.jsonl -p athena --wait
        trinitas import export.jsonl

    A line is {"content": …, "type", "timestamp", "importance", "ttl", "metadata", "tags", "id"}; only `content` is
    required. All lines are checked before the first is stored; without --skip-bad a bad line stops
    the import. The same line is the same memory however often it is imported, so a broken-off import may simply be
    repeated: it goes on where it stopped. FILE may also be what `trinitas export` wrote, which brings back everything
    of each memory, CSV with such a header, or what mem0 (get_all) or a LangGraph store exports.

    Exit code 1: there were bad lines, and nothing was imported.
    """
    from trinitas_tasks.interfaces.importing import Import  # noqa: PLC0415 - `trinitas --help` stays fast

    started = time.monotonic()
    with (
        output.resumable("imported"),
        entered(home, PATIENT) as (door, settings),
        door.administering("import", persona=(owner := anyones(door, persona))) as done,
        _bar() as bar,
    ):
        days = rules_of(door, settings)(owner or "*").archive_days
        job = Import(
            door.client,
            file,
            persona=owner,
            state_folder=settings.home / "imports",
            archived_before=datetime.now(UTC) - timedelta(days=days),
            form=form,
        )
        checking = bar.add_task("checking", total=file.stat().st_size)
        checked = job.check(lambda size: bar.advance(checking, size))
        bar.remove_task(checking)
        report: dict[str, Any] = {
            "file": str(file),
            "format": job.form,
            "persona": owner,
            "good": checked.good,
            "bad": [{"line": each.line, "error": each.error} for each in checked.bad],
            "imported": 0,
            "restored": 0,
            "old": checked.old,
        }
        if not checked.bad or skip_bad:
            _run(job, report, bar)
            if wait and owner is not None:
                _wait_searchable(door.client, owner, bar)
        done.detail = f"{report['imported']} memories"
        report["seconds"] = round(time.monotonic() - started, 2)
    _show(report, skip_bad=skip_bad, as_json=as_json)
    if checked.old and report["imported"]:
        output.note(
            f"{checked.old:,} of them are episodic and older than {days:g} days: within an hour they leave the index, "
            "and recall finds them with --include-archived. To keep them in it set SQLITE_ARCHIVE_DAYS"
        )
    if checked.bad and not skip_bad:
        raise typer.Exit(1)


def _run(job: Import, report: dict[str, Any], bar: Progress) -> None:
    storing = bar.add_task("remembering", total=report["good"])
    report["imported"] = job.run(lambda count: bar.advance(storing, count))
    if job.complete:
        reliving = bar.add_task("restoring their lives", total=report["good"])
        report["restored"] = job.relive(lambda count: bar.advance(reliving, count))
    job.finished()


def _wait_searchable(client: Any, persona: str, bar: Progress) -> None:
    task: TaskID | None = None
    while True:
        stats = client.stats(persona=persona)
        left = stats.pending + (stats.unindexed or 0)
        if task is None:
            task = bar.add_task("embedding and indexing", total=left or 1)
        bar.update(task, completed=max(0, (bar.tasks[-1].total or left) - left))
        if not left and not stats.degraded:
            return
        time.sleep(LOOK_SECONDS)


def _show(report: dict[str, Any], *, skip_bad: bool, as_json: bool) -> None:
    if as_json:
        output.show_json(report)
        return
    for bad in report["bad"][:SHOWN_BAD]:
        output.note(f"line {bad['line']}: {bad['error']}")
    if (more := len(report["bad"]) - SHOWN_BAD) > 0:
        output.note(f"… and {more} more bad lines")
    if report["bad"] and not skip_bad:
        output.note(f"error: {len(report['bad'])} bad lines, nothing was imported: mend them, or use --skip-bad")
        return
    skipped = f", {len(report['bad'])} bad lines skipped" if report["bad"] else ""
    earlier = report["good"] - report["imported"]
    before = f", {earlier} by an earlier run" if earlier else ""
    whose = f" for {report['persona']}" if report["persona"] else ""
    output.say(f"{report['imported']} memories imported{whose}{before}{skipped} ({report['seconds']} s)")


@contextmanager
def _bar() -> Iterator[Progress]:
    console = output.console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield bar
