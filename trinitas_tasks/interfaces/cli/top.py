"""`trinitas top`: what goes on, as it goes on."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.live import Live

from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, entered
from trinitas_tasks.interfaces.cli.signals import Interrupted, StopSignals

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.monitor import Look, Monitor

TICK_SECONDS: Final = 0.1
"""How long a key, a signal or another size of the window waits to be noticed."""
QUIT: Final = "q"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=Panel.STACK)(top)


def top(
    once: Annotated[bool, typer.Option("--once", help="Look once; so it is in a pipe in any case.")] = False,
    every: Annotated[float, typer.Option("--every", "-d", min=0.2, metavar="SECONDS", help="How often to look.")] = 2.0,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Watch queues, lag, rates, workers and tasks.

    Examples:

        trinitas top
        trinitas top --json | jq .counts.outbox

    q or Ctrl-C ends it. Rates are those since the look before. The outbox holds what waits to be archived; overdue is
    how long its first memory could have been taken up.

    Exit code 1, looking once: something could not be seen.
    """
    from trinitas_tasks.interfaces.monitor import Monitor  # noqa: PLC0415 - `trinitas --help` stays fast

    with entered(home) as (door, _), door.administering("top"):
        monitor = Monitor(door.client.pulse)
        if once or as_json or not output.is_terminal(sys.stdout):
            _show_once(monitor.look(), as_json=as_json)
        else:
            _watch(monitor, every)


def _show_once(look: Look, *, as_json: bool) -> None:
    from trinitas_tasks.interfaces.cli import screen  # noqa: PLC0415 - see above

    if as_json:
        output.show_json(look.as_json())
    elif output.is_terminal(sys.stdout):
        output.show(screen.fitted(look, output.console().width))
    else:
        screen.say(look)
    if look.pulse.problems:
        raise typer.Exit(1)


def _watch(monitor: Monitor, every: float) -> None:
    """Look again and again, beside the terminal, which stays quick."""
    with StopSignals() as signals, ThreadPoolExecutor(1, "look") as aside:
        try:
            _show(aside, monitor, every, signals)
        except Interrupted as interrupted:
            raise typer.Exit(interrupted.exit_code) from None


def _show(aside: ThreadPoolExecutor, monitor: Monitor, every: float, signals: StopSignals) -> None:
    from trinitas_tasks.interfaces.cli import screen  # noqa: PLC0415 - see above

    console = output.console()
    coming: Future[Look] | None = None
    due, shown, size = 0.0, None, console.size
    with _keys() as typed, Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        live.update(screen.waiting(), refresh=True)
        while QUIT not in typed(TICK_SECONDS):
            signals.check()
            if coming is None and time.monotonic() >= due:
                coming, due = aside.submit(monitor.look), time.monotonic() + every
            news = coming is not None and coming.done()
            if coming is not None and news:
                shown, coming = coming.result(), None
            if shown is not None and (news or size != console.size):
                size = console.size
                live.update(screen.fitted(shown, size.width), refresh=True)


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """What is typed within so many seconds, without waiting for Enter; the terminal is left as it was."""
    if not output.is_terminal(sys.stdin):
        yield _nothing
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    try:
        tty.setcbreak(keyboard)
        yield lambda seconds: _typed(keyboard, seconds)
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _nothing(seconds: float) -> str:
    time.sleep(seconds)
    return ""


def _typed(keyboard: int, seconds: float) -> str:
    ready, _, _ = select.select([keyboard], [], [], seconds)
    # nothing to read from a terminal that is ready: it is gone
    return (os.read(keyboard, 64).decode(errors="replace").lower() or QUIT) if ready else ""
