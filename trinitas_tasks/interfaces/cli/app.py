"""The commands put together. Each module adds its own, in the order of the help."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Final

import typer
import typer.main

from trinitas_tasks.interfaces.cli import (
    access,
    backing_up,
    completion,
    condition,
    doctor,
    editing,
    evaluating,
    exporting,
    forgetting,
    importing,
    letters,
    listing,
    living,
    mcp,
    memory,
    mending,
    migrating,
    output,
    personas,
    recall,
    sharing,
    stack,
    top,
)

HELP: Final = """A long-term memory for teams of AI agents.

Try it:

    trinitas up --detach
    trinitas remember "The staging database moved to port 5433." -p athena
    trinitas recall "where is the test database?" -p athena

`trinitas COMMAND --help` shows examples of each."""
EPILOG: Final = (
    "Exit codes: 0 done, 1 it could not be done or is not there, 2 a wrong command line, 3 nothing runs (status), "
    "130 Ctrl-C. With --json an error is one line of JSON on standard error. NO_COLOR and FORCE_COLOR are heeded."
)

app = typer.Typer(
    name="trinitas",
    help=HELP,
    epilog=EPILOG,
    no_args_is_help=True,
    # a traceback with local variables would show passwords
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for each in (
    memory,
    recall,
    listing,
    editing,
    forgetting,
    sharing,
    living,
    personas,
    access,
    condition,
    stack,
    top,
    doctor,
    mending,
    letters,
    importing,
    exporting,
    backing_up,
    migrating,
    evaluating,
    mcp,
    completion,
):
    each.register(app)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=output.show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What concerns no single command."""


@cache
def command() -> Callable[..., Any]:
    """All of it as one callable. To put it together takes longer than many a command."""
    return typer.main.get_command(app)
