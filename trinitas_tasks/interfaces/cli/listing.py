"""`trinitas list` and `timeline`: memories in the order of their times."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from trinitas_tasks.interfaces.cli import output, times
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, Kinds, Persona, entered, whose
from trinitas_tasks.policy.hygiene import visible

if TYPE_CHECKING:
    from trinitas_tasks.model import MemoryItem
    from trinitas_tasks.query import Page

TABLE_COLUMNS: Final = 100
"""On a narrower terminal each memory has two lines instead of a row."""
TIME_COLUMNS: Final = len("  14:03  ")

Tags = Annotated[list[str] | None, typer.Option("--tag", help="Only with all of these tags.")]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="From then on: 2026-05-06, with a time, yesterday, 2026-05.")
]
Before = Annotated[str | None, typer.Option(metavar="TIME", help="Before then.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most so many.")]
After = Annotated[
    str | None, typer.Option(metavar="CURSOR", help="Go on where a page ended: the cursor that it printed.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("list", rich_help_panel=Panel.MEMORIES)(show_list)
    app.command(rich_help_panel=Panel.MEMORIES)(timeline)


def show_list(
    persona: Persona = None,
    kind: Kinds = None,
    tag: Tags = None,
    since: Since = None,
    before: Before = None,
    limit: Limit = 20,
    after: After = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """List a persona's memories, newest first.

    Examples:

        trinitas list -p athena
        trinitas list -p athena -t semantic --tag release --since 2026-05
        trinitas list -p athena --json | jq -r '.memories[].content'

    Also those that were shared with it. To list a memory is no access. In a pipe each has a line: time, type, id, what
    it says.
    """
    with entered(home) as (door, _):
        name = whose(door, persona)
        found = door.timeline(
            persona=name,
            types=kind or (),
            filters={"all_tags": tag or ()},
            since=times.start(since, "--since"),
            before=times.start(before, "--before"),
            limit=limit,
            after=after,
        )
    if _shown_otherwise(found, as_json=as_json):
        return
    if not output.is_terminal(sys.stdout):
        for item in found:
            output.say(f"{_local(item).isoformat('T', 'seconds')}  {item.type}  {item.id}  {_says(item)}")
    elif output.console().width < TABLE_COLUMNS:
        for item in found:
            output.say_short(_says(item))
            output.say((f"  {_local(item):%Y-%m-%d %H:%M}  {_about(item, name)}", "dim"))
    else:
        output.show(_table(found, name))
    _tell_more(found)


def timeline(
    persona: Persona = None,
    on: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only of this day, or month, …: 2026-05-06, yesterday, 2026-05.")
    ] = None,
    kind: Kinds = None,
    tag: Tags = None,
    since: Since = None,
    before: Before = None,
    limit: Limit = 50,
    after: After = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Show what happened, day by day, oldest first.

    Examples:

        trinitas timeline -p athena
        trinitas timeline -p athena --on yesterday
        trinitas timeline -p athena --since 2026-05-01 --before 2026-05-08

    Without --on and --since the latest, and --after goes on with what was before. Times are of this machine's zone.
    """
    if on is not None and (since is not None or before is not None):
        raise typer.BadParameter("either --on, or --since and --before", param_hint="--on")
    day = None if on is None else times.period(on, "--on")
    latest = on is None and since is None
    with entered(home) as (door, _):
        name = whose(door, persona)
        found = door.timeline(
            persona=name,
            types=kind or (),
            filters={"all_tags": tag or ()},
            since=times.start(since, "--since") if day is None else day.start,
            before=times.start(before, "--before") if day is None else day.end,
            newest_first=latest,
            limit=limit,
            after=after,
        )
    ordered = list(reversed(found)) if latest else list(found)
    if _shown_otherwise(found, as_json=as_json, items=ordered):
        return
    for number, (date, items) in enumerate(groupby(ordered, key=lambda item: _local(item).date())):
        if number:
            output.say("")
        output.say((f"{date:%Y-%m-%d, %A}", "bold"))
        for item in items:
            output.say(f"  {_local(item):%H:%M}  {_says(item)}", indent=TIME_COLUMNS)
            output.say((f"{'':{2 if output.narrow() else TIME_COLUMNS}}{_about(item, name)}", "dim"))
    _tell_more(found)


def _shown_otherwise(found: Page, *, as_json: bool, items: Sequence[MemoryItem] | None = None) -> bool:
    """Whether it was shown as JSON, or as nothing."""
    for reason in found.degraded:
        output.note(f"degraded: {reason}")
    if as_json:
        memories = [each.model_dump(mode="json") for each in (found if items is None else items)]
        output.show_json({"memories": memories, "degraded": found.degraded, "next": found.next})
    elif not found:
        output.note("nothing found")
    return as_json or not found


def _tell_more(found: Page) -> None:
    if found.next is not None:
        output.note(f"more: --after {found.next}")


def _table(found: Page, reader: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("time", no_wrap=True)
    table.add_column("type", no_wrap=True)
    table.add_column("content", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("id", no_wrap=True, style="dim")
    for item in found:
        whose = item.type.value if item.persona == reader else f"{item.type} of {item.persona}"
        table.add_row(f"{_local(item):%Y-%m-%d %H:%M}", whose, Text(visible(_says(item))), item.id)
    return table


def _local(item: MemoryItem) -> datetime:
    return item.timestamp.astimezone()


def _says(item: MemoryItem) -> str:
    return output.in_a_line(item.content)


def _about(item: MemoryItem, reader: str) -> str:
    owner = [] if item.persona == reader else [f"of {item.persona}"]
    return "  ".join([item.type, *owner, item.id, *(f"#{each}" for each in item.tags)])
