"""`trinitas migrate`: memories of another store, moved in."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, entered, rules_of

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.migrating import Migration
    from trinitas_tasks.interfaces.migration import Comparison, Copying, Survey
    from trinitas_tasks.policy.life import Rules

PATIENT: Final = {"redis_timeout_ms": 10_000, "deadline_ms": 20_000}
SHOWN: Final = 20

migrate = typer.Typer(
    help="""Move the memories of another store in, verified.

Example:

    trinitas migrate legacy /tmp/trinitas_memory""",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(migrate, name="migrate", rich_help_panel=Panel.MOVING)


@migrate.callback()
def group() -> None:
    """So that `legacy` is named: others may come."""


@migrate.command()
def legacy(
    path: Annotated[Path, typer.Argument(help="The base folder of the store.", show_default=False)],
    yes: output.Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Survey the store and change nothing.")] = False,
    verify_only: Annotated[bool, typer.Option("--verify-only", help="Compare the store with what is here.")] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Remove what this migration brought.")] = False,
    zone: Annotated[
        str | None, typer.Option(help="Time zone of the store's times, such as Asia/Tokyo; default: the machine's.")
    ] = None,
    backup: Annotated[bool, typer.Option("--backup/--no-backup", help="Copy the files of the store first.")] = True,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Copy all memories of a store of version 3.5.

    Examples:

        trinitas migrate legacy /tmp/trinitas_memory --dry-run
        trinitas migrate legacy /tmp/trinitas_memory --zone Asia/Tokyo

    Of its folders of personas, its hybrid backend and its Chroma. The store is only read. Broken off, the same command
    goes on where it stopped; a second time it changes nothing.
    What was written or forgotten here wins. --rollback removes exactly what came and was not changed since.

    Exit code 0: all is here and verified, 1: something could not be read or differs (it is listed, and kept aside
    in full), or it failed, 2: nobody can be asked and --yes is missing.
    """
    from trinitas_tasks.interfaces.migrating import Migration  # noqa: PLC0415 - `trinitas --help` stays fast

    if sum((dry_run, verify_only, rollback)) > 1:
        raise typer.BadParameter("one of --dry-run, --verify-only and --rollback at a time")
    ask = not (yes or dry_run or verify_only)
    output.askable(yes=not ask, else_why="it changes what is here")
    with (
        output.resumable("copied"),
        entered(home, PATIENT) as (door, settings),
        door.administering("migrate"),
        _bars() as bars,
    ):
        migration = Migration(door.client, path, zone=zone, home=settings.home, waiting=_wait_told())
        command = _Command(migration, rules_of(door, settings), bars, ask=ask, as_json=as_json)
        with nullcontext() if dry_run else migration.logbook.alone():
            if rollback:
                command.roll_back()
            elif dry_run:
                command.dry_run()
            elif verify_only:
                command.verify()
            else:
                command.run(backup=backup)


class _Command:
    """One call of the command."""

    def __init__(
        self, migration: Migration, rules: Callable[[str], Rules], bars: Progress, *, ask: bool, as_json: bool
    ) -> None:
        self._migration, self._rules, self._bars = migration, rules, bars
        self._ask, self._json = ask, as_json
        self._report: dict[str, Any] = {"name": migration.name, "path": str(migration.path)}
        self._began = time.monotonic()

    def run(self, *, backup: bool) -> None:
        """All of it."""
        self._migration.check_workers()
        self._migration.check_zone()
        survey = self._survey()
        self._confirm(f"Copy {survey.memories:,} memories?")
        # what is damaged is kept aside in any case
        parts = survey.parts if backup else survey.damaged
        if parts:
            with self._bar("backing up", sum(survey.parts[name] for name in parts)) as progress:
                self._report["backup"] = str(self._migration.back_up(progress, parts=parts))
        with self._bar("copying", survey.memories) as progress:
            copied = self._migration.copy(progress)
        self._report["copied"] = copied.told()
        if not self._json:
            output.say(_told_copied(copied))
        found = self._compared(survey.memories)
        unread = survey.unreadable + copied.refused
        self._end(complete=not unread and not found.differing, unread=unread, keep=True)

    def dry_run(self) -> None:
        """A survey that leaves nothing behind."""
        with tempfile.TemporaryDirectory(prefix="trinitas-migrate-") as work:
            survey = self._survey(Path(work))
        self._end(complete=not survey.unreadable, unread=0, keep=False)

    def verify(self) -> None:
        """The comparison alone."""
        survey = self._survey()
        found = self._compared(survey.memories)
        self._end(complete=not found.differing and not survey.unreadable, unread=survey.unreadable, keep=True)

    def roll_back(self) -> None:
        """Take all of it back."""
        self._migration.check_workers()
        self._confirm(f"Remove what came from {self._migration.path} and was not changed since?")
        with self._bar("removing", None) as progress:
            removed, kept = self._migration.undo(progress)
        self._report["rolled_back"] = {"removed": removed, "kept": kept}
        if not self._json:
            changed = f"; {kept:,} were changed here since and stay" if kept else ""
            output.say(f"{removed:,} memories were removed{changed}")
        self._end(complete=True, unread=0, keep=False)

    def _survey(self, work: Path | None = None) -> Survey:
        from trinitas_tasks.policy.retention import outlook  # noqa: PLC0415 - see above

        now = datetime.now(UTC)
        with self._bar("looking at the store", None) as progress:
            survey = self._migration.survey(
                progress,
                foresee=lambda item: outlook(item, self._rules(item.persona), now),
                work=work,
                keep=work is None,
            )
        self._report["survey"] = survey.told()
        if not self._json:
            _show_survey(survey)
        return survey

    def _compared(self, total: int) -> Comparison:
        with self._bar("verifying", total) as progress:
            found = self._migration.verify(progress)
        if found.read != total:
            what = f"{total:,} memories were surveyed and {found.read:,} compared: the store changed meanwhile"
            found.add([{"persona": "", "id": "", "source": str(self._migration.path), "row": "", "what": what}])
        self._report["verified"] = asdict(found)
        if not self._json:
            _show_comparison(found)
        return found

    def _end(self, *, complete: bool, unread: int, keep: bool) -> None:
        self._report |= {"complete": complete, "seconds": round(time.monotonic() - self._began, 2)}
        if unread:
            self._report["unreadable_file"] = str(self._migration.logbook.unreadable)
        if keep:
            self._report["report_file"] = str(self._migration.logbook.report)
            self._migration.finish(self._report, done="copied" in self._report)
        if self._json:
            output.show_json(self._report)
        elif keep:
            output.say(f"report: {self._migration.logbook.report}")
        if unread:
            output.note(
                f"{unread:,} could not be read: each is in {self._migration.logbook.unreadable} with its reason"
            )
        if not complete:
            raise typer.Exit(1)

    def _confirm(self, question: str) -> None:
        output.confirm(question, yes=not self._ask, else_why="it changes what is here")

    @contextmanager
    def _bar(self, doing: str, total: int | None) -> Iterator[Callable[[int], None]]:
        task = self._bars.add_task(doing, total=total)
        yield lambda count: self._bars.advance(task, count)
        self._bars.remove_task(task)


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        """See ProgressColumn."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


@contextmanager
def _bars() -> Iterator[Progress]:
    console = output.console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield bars


def _wait_told() -> Callable[[Unavailable], None]:
    told: list[Unavailable] = []

    def tell(error: Unavailable) -> None:
        if not told:
            output.note(f"waiting: {error}")
        told.append(error)

    return tell


def _show_survey(survey: Survey) -> None:
    types = ("working", "episodic", "semantic", "procedural")
    rows = [(who, *(f"{counts[kind]:,}" for kind in types)) for who, counts in sorted(survey.personas.items())]
    output.show_table(("persona", *types), rows)
    size = sum(survey.parts.values()) / (1 << 20)
    minutes = survey.estimated_seconds / 60
    output.say(
        f"{survey.memories:,} memories in {len(survey.parts)} files ({size:,.1f} MB); "
        f"copying them takes about {minutes:,.1f} minutes"
    )
    if survey.renamed:
        output.say(f"{survey.renamed:,} had the id of another memory of their persona: theirs end in their type")
    if survey.unreadable:
        output.note(f"{survey.unreadable:,} cannot be read:")
        for reason, count in survey.reasons.most_common(SHOWN):
            output.note(f"    {count:,} × {reason}")
        if (more := len(survey.reasons) - SHOWN) > 0:
            output.note(f"    … and {more:,} more reasons")
    if survey.old:
        output.note(
            f"{survey.old:,} were not used for long: within an hour, or a day, they are archived. Recall then finds "
            "them with --include-archived, and whoever reads one brings it back; docs/migration.md says how they stay"
        )
    if survey.doomed:
        output.note(
            f"{survey.doomed:,} of them are older than delete_after_days allows, and would be DELETED soon after: take "
            "that rule away first (`trinitas personas`, TRINITAS_LIFE)"
        )


def _told_copied(copied: Copying) -> str:
    there = f", {copied.there:,} were here" if copied.there else ""
    gone = f", {copied.forgotten:,} were forgotten here and stay so" if copied.forgotten else ""
    return f"{copied.copied:,} memories copied{there}{gone} ({copied.seconds} s, {copied.rate or 0:,.0f} a second)"


def _show_comparison(found: Comparison) -> None:
    here = f"{found.same:,} are here as they are in the store"
    others = ((found.changed, "changed here"), (found.forgotten, "forgotten here"), (found.twice, "twice in the store"))
    more = "".join(f", {count:,} {what}" for count, what in others if count)
    result = f"{found.differing:,} differ" if found.differing else "no difference"
    output.say(f"verified: {result}; of {found.read:,} memories {here}{more}")
    for each in found.differences[:SHOWN]:
        output.note(f"    {each['persona']}  {each['id']}: {each['what']} ({each['source']} {each['row']})")
