"""What all commands share: printing for people, for pipes and as JSON, and how errors end a command.

Whatever is printed passes here, so that nothing that a memory says reaches a terminal as anything but text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Final, TextIO, TypeAlias

import typer
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from trinitas_tasks import __version__
from trinitas_tasks.errors import Transient, TrinitasError
from trinitas_tasks.interfaces.cli import INTERRUPTED
from trinitas_tasks.policy.hygiene import escaped, visible

PIPE_COLUMNS: Final = 10_000
NARROW_COLUMNS: Final = 60
"""On a terminal of fewer there is no room beside what belongs together."""
SHOWN_CHARACTERS: Final = 200
STYLES: Final = {"ok": "green", "warning": "yellow", "problem": "bold red"}
"""Of how something is; colours that can be read on light and on dark."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Part: TypeAlias = str | tuple[str, str]
"""Text, or text with a style."""


def console(*, stderr: bool = False) -> Console:
    """For text that is printed as it is; lines are cut only for a terminal.

    Colours only on a terminal; NO_COLOR, FORCE_COLOR and TERM=dumb are heeded.
    """
    width = None if is_terminal(sys.stderr if stderr else sys.stdout) else PIPE_COLUMNS
    return Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False, soft_wrap=True)


def narrow() -> bool:
    """Whether it is shown on a narrow terminal."""
    return console().width < NARROW_COLUMNS


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody sits there; None is a stream that was closed."""
    return stream is not None and stream.isatty()


def say(*parts: Part, indent: int = 0) -> None:
    """A line for people, on standard output.

    On a terminal it is wrapped between words and goes on ``indent`` columns from the left, or below where it began.
    """
    _line(parts, console(), sys.stdout, indent)


def say_short(text: str) -> None:
    """As ``say``, but a terminal shows of it what fits into one line."""
    line = Text(text)
    if is_terminal(sys.stdout):
        line.truncate(console().width, overflow="ellipsis")
    say(line.plain)


def note(*parts: Part) -> None:
    """A line beside the result, on standard error."""
    _line(parts, console(stderr=True), sys.stderr, 0)


def _line(parts: Sequence[Part], out: Console, stream: TextIO | None, indent: int) -> None:
    pairs = ((each, "") if isinstance(each, str) else each for each in parts)
    styled = [(visible(text), style) for text, style in pairs]
    line = Text.assemble(*styled)
    if is_terminal(stream):
        indent = indent or len(line.plain) - len(line.plain.lstrip(" "))
        room = max(out.width - indent, 1)
        # a cursor or an address that was broken could not be copied; scripts without spaces must be
        whole = any(len(word) > room and word.isascii() for word in line.plain.split())
        for number, piece in enumerate(line[indent:].wrap(out, room, overflow="ignore" if whole else "fold")):
            piece.rstrip()
            out.print(line[:indent] if number == 0 else " " * indent, piece, sep="", soft_wrap=True)
    elif out.is_terminal:  # FORCE_COLOR
        out.print(line)
    else:
        typer.echo(line.plain, err=out.stderr)


def show(*what: RenderableType) -> None:
    """Styled text for people, on standard output; on a terminal fitted into its width."""
    console().print(*what, soft_wrap=not is_terminal(sys.stdout))


def show_json(value: Any) -> None:
    """One JSON document; what JSON does not know (times, paths) as text, what a terminal may not show as escapes."""
    typer.echo(escaped(json.dumps(value, ensure_ascii=False, indent=2, default=str)))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows below their titles; where a terminal would have to cut words for that, what belongs together in lines."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(visible, row))
    out = console()
    if Measurement.get(out, out.options.update(width=PIPE_COLUMNS), table).minimum <= out.width:
        show(table)
        return
    for first, *others in rows:
        named = [(name, value) for name, value in zip(columns[1:], others, strict=True) if value]
        say((first, "bold"), *(part for name, value in named for part in ((f"  {name} ", "dim"), value)), indent=2)


def show_fields(fields: Mapping[str, Any]) -> None:
    """A line each, ``name: value``."""
    for name, value in fields.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        say((f"{name}:", "bold"), f" {text}")


def shortened(content: Any, characters: int = SHOWN_CHARACTERS) -> str:
    """What a memory says, in one line of at most so many characters."""
    line = in_a_line(content)
    return line if len(line) <= characters else line[: characters - 1] + "…"


def in_a_line(content: Any) -> str:
    """What a memory says, in one line."""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return " ".join(text.split())


def show_version(asked: bool) -> None:
    """Print it and end, if that was asked for."""
    if asked:
        say(f"trinitas-tasks {__version__}")
        raise typer.Exit


def askable(*, yes: bool, else_why: str) -> None:
    """Return if somebody has agreed by --yes or can be asked; else it is a usage error, which says why."""
    if not yes and not is_terminal(sys.stdin):
        raise typer.BadParameter(f"{else_why}, and nobody can be asked here", param_hint="--yes")


def confirm(question: str, *, yes: bool, else_why: str) -> None:
    """Return if somebody agrees, or did by --yes; see askable. Ends the command, with exit code 1, where not."""
    askable(yes=yes, else_why=else_why)
    if yes:
        return
    try:
        agreed = typer.confirm(visible(question), err=True)
    except typer.Abort as ended:
        note("")
        # typer makes the same of Ctrl-C as of the end of input
        raise typer.Exit(INTERRUPTED if isinstance(ended.__context__, KeyboardInterrupt) else 1) from None
    if not agreed:
        note("nothing was done")
        raise typer.Exit(1)


def run(app: Callable[..., Any]) -> None:
    """Run a command line: what it cannot do is one clear message and exit code 1, a usage error 2."""
    try:
        app(prog_name="trinitas")
    except TrinitasError as error:
        fail(error, as_json=_asks_for_json(sys.argv[1:]))
        sys.exit(1)


def fail(error: TrinitasError, *, as_json: bool) -> None:
    """Say what went wrong, on standard error; as JSON in one line: {"error": {"type", "message", "transient"}}."""
    if as_json:
        told = {"type": type(error).__name__, "message": str(error), "transient": isinstance(error, Transient)}
        typer.echo(escaped(json.dumps({"error": told}, ensure_ascii=False)), err=True)
        return
    note(("error:", STYLES["problem"]), f" {error}")


def _asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether the option is there; behind ``--`` stand no options."""
    return "--json" in (arguments[: arguments.index("--")] if "--" in arguments else arguments)


@contextmanager
def resumable(done: str) -> Iterator[None]:
    """Tell whoever broke it off, or whose workers or Redis went away, how to go on; ``done`` is what was."""
    try:
        with interruptible("the same command again goes on where this one came to"):
            yield
    except Transient:
        note(f"what was {done} so far is safe: the same command again goes on where this one came to")
        raise


@contextmanager
def interruptible(left: str) -> Iterator[None]:
    """Tell whoever breaks it off what is left of it."""
    try:
        yield
    except KeyboardInterrupt:
        note(f"stopped: {left}")
        raise typer.Exit(INTERRUPTED) from None
