"""`trinitas backup` and `trinitas restore`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from trinitas_tasks.errors import BackupError, StackError, TrinitasError
from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, entered, settings_of

if TYPE_CHECKING:
    from trinitas_tasks.local.restoring import Restored
    from trinitas_tasks.tiers.backup.bundle import Manifest, Watch

PATIENT: Final = {"redis_timeout_ms": 10_000}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (backup, restore):
        app.command(rich_help_panel=Panel.MOVING)(command)


def backup(
    file: Annotated[
        Path | None, typer.Argument(help="Where to write it (default: a new file in TRINITAS_BACKUP_PATH).")
    ] = None,
    level: Annotated[int, typer.Option(min=0, max=9, help="How hard to compress; 0: not at all.")] = 3,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Write everything into one checked file.

    Example:

        trinitas backup /mnt/usb/memories.tar.gz

    Everything may go on running. Run it where the archive is. All that was acknowledged before is in it, what waits to
    be archived included. Where it fails or is broken off there is no file.
    """
    from trinitas_tasks.model import utc_now  # noqa: PLC0415 - `trinitas --help` stays fast
    from trinitas_tasks.runtime import Runtime  # noqa: PLC0415
    from trinitas_tasks.services.backup import Origin, backup, file_name  # noqa: PLC0415

    started = time.monotonic()
    with (
        output.interruptible("nothing was written"),
        entered(home, PATIENT) as (door, settings),
        door.administering("backup"),
        _bar() as watch,
    ):
        archive = settings.archive_file()
        if archive is None:
            raise BackupError("ARCHIVE_URL is no SQLite file: back it up with the tools of its database")
        with suppress(TrinitasError):  # reads of the last seconds are counted, if anybody is there to do it
            door.client.ask("run", "flush_access", False, None)
        file = file or settings.backup_folder() / file_name(utc_now())
        run = Runtime(settings)
        try:
            made = backup(
                file.absolute(),
                Origin(run.hot, run.spool, archive),
                clock=utc_now,
                level=level,
                watch=watch,
            )
        finally:
            run.close()
    _show(file, made, round(time.monotonic() - started, 2), as_json=as_json)


def restore(
    file: Annotated[Path, typer.Argument(help="A backup.", exists=True, dir_okay=False, readable=True)],
    to: Annotated[
        Path | None, typer.Option(help="A new or empty folder, which becomes a home.", show_default=False)
    ] = None,
    yes: output.Yes = False,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Bring a backup back, with the stack stopped.

    Example:

        trinitas restore trinitas-20260506-070809.tar.gz --to /srv/memories

    The whole file is checked before anything is touched. Without --to it takes the place of what is in the home, which
    is put aside. `trinitas up` then fills Redis and Chroma without embedding anew. Where it fails or is broken off
    nothing was changed.
    """
    from trinitas_tasks.interfaces import entering  # noqa: PLC0415 - see above
    from trinitas_tasks.model import utc_now  # noqa: PLC0415

    try:
        from trinitas_tasks.local import restoring  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise StackError(f"{error.name} is not installed: pip install 'trinitas-tasks[embedded]'") from error
    started = time.monotonic()
    place = to if to is not None else home
    settings = settings_of(place, stack=False)
    if to is None:
        question = f"Replace the memories in {settings.home} by those of {file}?"
        output.confirm(question, yes=yes, else_why=f"it replaces what is in {settings.home}")
    with (
        output.interruptible("nothing was changed"),
        # not in the new folder, which must be empty
        entering.accountable(settings_of(home, stack=False), "cli") as book,
        book.administering("restore"),
        _bar() as watch,
    ):
        if to is not None:
            done = restoring.restore_into(file, to, settings, watch=watch)
        else:
            done = restoring.restore_in_place(file, settings, now=utc_now(), watch=watch)
    if to is not None and settings.archive_named:
        output.note("SQLITE_PATH or ARCHIVE_URL names another archive: unset it for this home")
    _show_restored(done, round(time.monotonic() - started, 2), as_json=as_json)


def _show(file: Path, made: Manifest, seconds: float, *, as_json: bool) -> None:
    size = file.stat().st_size
    if as_json:
        output.show_json({"file": str(file), "bytes": size, "seconds": seconds, **made.model_dump(mode="json")})
        return
    waiting = f", {made.counts['unarchived']:,} of what was not archived yet" if made.counts["unarchived"] else ""
    output.say(f"{made.counts['memories']:,} memories{waiting}: {file} ({size / 1e6:,.1f} MB, {seconds} s)")
    if made.unreadable:
        output.note(f"{made.unreadable} records in Redis cannot be read and are not in it: see `trinitas dead-letters`")


def _show_restored(done: Restored, seconds: float, *, as_json: bool) -> None:
    counts = done.manifest.counts
    if as_json:
        told = {"archive": str(done.archive), "aside": [str(each) for each in done.aside], "seconds": seconds}
        output.show_json({**told, **done.manifest.model_dump(mode="json")})
        return
    output.say(f"{counts['memories'] + counts['unarchived']:,} memories restored to {done.archive} ({seconds} s)")
    for each in done.aside:
        output.note(f"what was there before is {each}: delete it when you are content")
    output.note("`trinitas up` fills Redis and Chroma from it")


@contextmanager
def _bar() -> Iterator[Watch]:
    console = output.console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("beginning", total=None)
        yield lambda doing, done, total: bar.update(task, description=doing, completed=done, total=total)
