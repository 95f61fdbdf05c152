"""`trinitas up`, `down`, `status` and `logs`: the embedded stack."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trinitas_tasks.errors import StackError
from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.progress import Progress
from trinitas_tasks.interfaces.cli.session import Home, settings_of
from trinitas_tasks.interfaces.cli.signals import Interrupted, StopSignals

if TYPE_CHECKING:
    from trinitas_tasks.local.stack import Stack, Status

NOT_RUNNING = 3
INCOMPLETE = 1
LOOK_SECONDS = 0.5

Port = Annotated[int | None, typer.Option(min=1, max=65535, show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (up, down, status, logs):
        app.command(rich_help_panel=Panel.STACK)(command)


def up(
    home: Home = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when it is ready.")] = False,
    flower: Annotated[bool, typer.Option("--flower", help="Also run Flower, the monitor of Celery.")] = False,
    workers: Annotated[bool, typer.Option(help="Without: only the servers, the workers run elsewhere.")] = True,
    flower_port: Port = None,
    redis_port: Port = None,
    chroma_port: Port = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds within which it must be ready.")] = 180.0,
    as_json: output.Json = False,
) -> None:
    """Start Valkey, Chroma, the workers and beat.

    Examples:

        trinitas up
        trinitas up --detach --flower

    Ctrl-C stops them all. Flower listens on port 5555 unless told otherwise; the other ports are picked and kept.
    """
    stack = _stack(home)
    from trinitas_tasks.local.plan import Options  # noqa: PLC0415 - see _stack

    options = Options(
        flower=flower or flower_port is not None,
        flower_port=flower_port,
        redis_port=redis_port,
        chroma_port=chroma_port,
        workers=workers,
    )
    with StopSignals() as signals, Progress("starting", signals, quiet=as_json) as progress:
        began = time.monotonic()
        try:
            fresh = stack.up(options, watcher=progress, deadline_seconds=timeout)
        except Interrupted as interrupted:
            progress.close()
            stack.kill()  # what a second signal left
            output.note("stopped before it was ready")
            raise typer.Exit(interrupted.exit_code) from None
        progress.close()
        _show_ready(stack, as_json=as_json, seconds=time.monotonic() - began if fresh else None, stays=not detach)
        if fresh and not detach:
            _wait(stack, signals)


def down(home: Home = None, as_json: output.Json = False) -> None:
    """Stop everything that `trinitas up` started.

    Example:

        trinitas down --home /srv/memories
    """
    stack = _stack(home)
    with StopSignals() as signals, Progress("stopping", signals, quiet=as_json) as progress:
        try:
            stopped = stack.down(watcher=progress)
        except Interrupted:
            stack.kill()
            stopped = True
    if as_json:
        output.show_json({"home": str(stack.home.path), "stopped": stopped})
    else:
        output.say(f"stopped ({stack.home.path})" if stopped else f"not running ({stack.home.path})")


def status(home: Home = None, as_json: output.Json = False) -> None:
    """Show what runs.

    Example:

        trinitas status --json | jq .complete

    Exit code 0: everything runs, 1: not everything, 3: nothing.
    """
    found = _stack(home).status()
    if as_json:
        output.show_json(asdict(found))
    else:
        _show_status(found)
    if not found.running:
        raise typer.Exit(NOT_RUNNING)
    if not found.complete:
        raise typer.Exit(INCOMPLETE)


def logs(
    name: Annotated[str | None, typer.Argument(help="One process; all if left out.", show_default=False)] = None,
    home: Home = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines of each.")] = 20,
) -> None:
    """Show the ends of the processes' logs.

    Examples:

        trinitas logs ingest -n 100
        trinitas logs -f
    """
    folder = _stack(home).home.logs
    from trinitas_tasks.local.logs import Follower, last_lines  # noqa: PLC0415 - see _stack

    files = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if name is not None and name not in files:
        raise typer.BadParameter(f"no log of {name!r} in {folder}; there are: {', '.join(files) or 'none'}")
    chosen = files if name is None else {name: files[name]}
    follower = Follower(chosen)
    for each, path in chosen.items():
        for line in last_lines(path, lines):
            output.say(line if name else f"{each:<12}{line}")
    with StopSignals() as signals:
        try:
            while follow:
                for each, line in follower.news():
                    output.say(line if name else f"{each:<12}{line}")
                signals.check()
                time.sleep(LOOK_SECONDS)
        except Interrupted as interrupted:
            raise typer.Exit(interrupted.exit_code) from None
        finally:
            follower.close()


def _stack(home: Path | None) -> Stack:
    settings = settings_of(home, stack=False)
    try:
        # only here: psutil, supervisor and celery are slow to load, and not installed with a plain client
        from trinitas_tasks.local.stack import Stack  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise StackError(f"{error.name} is not installed: pip install 'trinitas-tasks[embedded]'") from error
    return Stack(settings)


def _wait(stack: Stack, signals: StopSignals) -> None:
    """Return when the stack was stopped, by a signal or from elsewhere; say what happens to its processes."""
    states: dict[str, str] = {}
    try:
        while True:
            signals.check()
            try:
                found = stack.status()
            except StackError:  # the supervisor is about to end
                found = None
            if found is not None and not found.running:
                break
            for each in found.processes if found else ():
                if states.get(each.name, "RUNNING") != each.state:
                    output.note(f"{each.name}: {each.state}")
                states[each.name] = each.state
            time.sleep(LOOK_SECONDS)
    except Interrupted:
        _stop(stack, signals)
        return
    if found.leftovers:
        stack.down()
        raise StackError(
            f"the supervisor ended unexpectedly; the rest was stopped. See {stack.home.log('supervisord')}"
        )
    output.note("stopped from elsewhere")


def _stop(stack: Stack, signals: StopSignals) -> None:
    with Progress("stopping (Ctrl-C again to kill)", signals) as progress:
        try:
            stack.down(watcher=progress)
        except Interrupted as again:
            stack.kill()
            raise typer.Exit(again.exit_code) from None
    output.note("stopped")


def _show_ready(stack: Stack, *, as_json: bool, seconds: float | None, stays: bool) -> None:
    found = stack.status()
    if as_json:
        output.show_json({**asdict(found), "started_now": seconds is not None})
        return
    output.say(
        f"already running in {found.home}" if seconds is None else f"ready after {seconds:.1f} s in {found.home}"
    )
    output.say(f"  Redis   {found.redis}   (password: valkey_password in {stack.home.secrets})")
    output.say(f"  Chroma  {found.chroma}")
    if found.flower is not None:
        output.say(f"  Flower  {found.flower}   (user trinitas, password: flower_password in {stack.home.secrets})")
    output.say("try:  trinitas status   trinitas logs -f   trinitas --help")
    if seconds is not None:
        output.say("Ctrl-C stops everything" if stays else "`trinitas down` stops everything")


def _show_status(found: Status) -> None:
    if not found.running:
        left = f"; left over from a crash: {len(found.leftovers)} processes, `trinitas down` ends them"
        output.say(f"not running ({found.home}){left if found.leftovers else ''}")
        return
    output.say(f"trinitas-tasks {found.version} in {found.home}")
    rows = [
        (
            each.name,
            each.state.lower(),
            str(each.pid or ""),
            str(timedelta(seconds=each.uptime_seconds)) if each.uptime_seconds is not None else "",
            each.address or "",
        )
        for each in found.processes
    ]
    output.show_table(("process", "state", "pid", "uptime", "address"), rows)
