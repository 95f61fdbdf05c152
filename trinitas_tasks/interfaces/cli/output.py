"""What all commands share: printing for people, for pipes and as JSON, and how errors end a command.

Whatever is printed passes here, so that nothing that a memory says reaches a terminal as anything but text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from trinitas_tasks import __version__
from trinitas_tasks.errors import Transient, TrinitasError
from trinitas_tasks.policy.hygiene import escaped, visible

PIPE_COLUMNS = 10_000
INTERRUPTED = 130

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def console(*, stderr: bool = False) -> Console:
    """For text that is printed as it is; lines are cut only for a terminal."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_COLUMNS
    return Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False, soft_wrap=True)


def say(text: str) -> None:
    """A line for people, on standard output."""
    typer.echo(visible(text))


def note(text: str) -> None:
    """A line beside the result, on standard error."""
    typer.echo(visible(text), err=True)


def show_json(value: Any) -> None:
    """One JSON document; what JSON does not know (times, paths) as text, what a terminal may not show as escapes."""
    typer.echo(escaped(json.dumps(value, ensure_ascii=False, indent=2, default=str)))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(visible, row))
    console().print(table)


def show_version(asked: bool) -> None:
    if asked:
        say(f"trinitas-tasks {__version__}")
        raise typer.Exit


def run(app: Callable[[], Any]) -> None:
    """Run a command line: what it cannot do is one clear message and exit code 1, a usage error 2."""
    try:
        app()
    except TrinitasError as error:
        note(f"error: {error}")
        sys.exit(1)


@contextmanager
def resumable(done: str) -> Iterator[None]:
    """Tell whoever broke it off, or whose workers or Redis went away, how to go on; ``done`` is what was."""
    try:
        yield
    except KeyboardInterrupt:
        note("stopped: the same command again goes on where this one came to")
        raise typer.Exit(INTERRUPTED) from None
    except Transient:
        note(f"what was {done} so far is safe: the same command again goes on where this one came to")
        raise
