"""The command line: `trinitas`. Each module of this package adds its commands to the app."""

from __future__ import annotations

from typing import Annotated

import typer

from trinitas_tasks.interfaces.cli import (
    backing_up,
    doctor,
    evaluating,
    exporting,
    importing,
    letters,
    living,
    mcp,
    memory,
    mending,
    migrating,
    output,
    recall,
    sharing,
    stack,
)

app = typer.Typer(
    name="trinitas",
    help="A long-term memory for teams of AI agents.",
    no_args_is_help=True,
    # a traceback with local variables would show passwords
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
memory.register(app)
mcp.register(app)
recall.register(app)
sharing.register(app)
importing.register(app)
exporting.register(app)
stack.register(app)
doctor.register(app)
mending.register(app)
letters.register(app)
evaluating.register(app)
living.register(app)
migrating.register(app)
backing_up.register(app)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=output.show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A long-term memory for teams of AI agents."""


def main() -> None:
    """The entry point of the package."""
    output.run(app)
