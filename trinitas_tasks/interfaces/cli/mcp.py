"""`trinitas mcp`: memories as tools of agents, over stdio and HTTP."""

from __future__ import annotations

import gc
import ipaddress
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, NoReturn

import typer

from trinitas_tasks.errors import SettingsError, StackError
from trinitas_tasks.interfaces.cli import completion, output
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, settings_of
from trinitas_tasks.interfaces.cli.signals import SHELL_OFFSET, Interrupted, StopSignals

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.tokens import Gate
    from trinitas_tasks.settings import Settings

Program = Literal["claude-code", "claude-desktop", "cursor", "vscode"]
PORT: Final = 8765
ESCAPED: Final = 2
"""A memory may be so many times as long in a request, whose text may be escaped, as it is when it is kept."""
OVERHEAD: Final = 64 << 10
"""What a request holds beside the memory."""

app = typer.Typer(invoke_without_command=True)


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="mcp", rich_help_panel=Panel.AROUND)


@app.callback()
def mcp(
    context: typer.Context,
    http: Annotated[bool, typer.Option("--http", help="Serve over HTTP instead of standard input and output.")] = False,
    host: Annotated[str, typer.Option(help="With --http: where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="With --http; 0: any free one, which is printed.")] = PORT,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain, PEM.", show_default=False)] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, if it is not with it.", show_default=False)] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Whoever reaches it acts as you do: on the loopback only.")
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name under which it is reached; several times.", show_default=False)
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="A web page that may ask, https://…; several times.", show_default=False)
    ] = None,
    home: Home = None,
) -> None:
    """Serve memories as tools of agents, by the Model Context Protocol: over standard input and output, or HTTP.

    Examples:

        trinitas mcp install --client claude-code    # programs that start it by themselves
        trinitas mcp --http --port 8765              # all others, with a token: `trinitas token create`

    What the tools do, and how a server is set up for other machines: docs/mcp.md. Ends with its input, or by Ctrl-C.
    """
    if context.invoked_subcommand is not None:
        return
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    if not http:
        _over_stdio(home)
    if no_token and not _is_loopback(host):
        raise typer.BadParameter(f"{host} is reached from elsewhere: a token is needed there", param_hint="--no-token")
    if tls_key is not None and tls_cert is None:
        raise typer.BadParameter("a key alone is no use", param_hint="--tls-key")
    named = [] if _is_anywhere(host) else [f"[{host}]" if ":" in host else host]
    _over_http(
        home,
        _listening(host, port, tls=tls_cert is not None),
        hosts=[*named, *(allow_host or [])],
        origins=allow_origin or [],
        certificate=(tls_cert, tls_key),
        tokens=not no_token,
    )


@app.command()
def install(
    client: Annotated[Program, typer.Option(help="Which program shall start it.", show_default=False)],
    persona: Annotated[
        str | None,
        typer.Option(
            "--persona", "-p", help="The only persona it acts for; all if left out.", autocompletion=completion.personas
        ),
    ] = None,
    only_print: Annotated[bool, typer.Option("--print", help="Only print what belongs into which file.")] = False,
    yes: output.Yes = False,
    home: Home = None,
) -> None:
    """Tell a program on this machine to start `trinitas mcp`.

    Examples:

        trinitas mcp install --client claude-code --persona athena
        trinitas mcp install --client vscode --print

    All else in its file stays as it is. Asks before it touches the file, and keeps a copy of it beside it. Claude Code:
    `.mcp.json` of the folder that you are in; `--print` also shows the command for all projects. Restart the program
    afterwards.
    """
    from trinitas_tasks.interfaces.mcp import installing  # noqa: PLC0415 - `trinitas --help` stays fast
    from trinitas_tasks.model import check_persona, utc_now  # noqa: PLC0415

    chosen = installing.Client(client)
    variables = {"TRINITAS_HOME": str(settings_of(home).home.absolute())}
    variables |= {} if persona is None else {"TRINITAS_PERSONA": check_persona(persona)}
    start = installing.Start(installing.command(), variables)
    file = installing.Machine.here().file(chosen)
    if only_print:
        output.note(f"belongs into {file}:")
        output.say(installing.document(chosen, start).rstrip())
        if chosen is installing.Client.CLAUDE_CODE:
            output.note(f"or, for every project: {start.for_every_project()}")
        return
    before = installing.read(file)
    try:
        after = installing.merged(before, chosen, start)
    except SettingsError as error:
        raise SettingsError(f"{file} stays as it is: {error}. `--print` shows what belongs into it") from None
    if after == before:
        output.say(f"{file} says so already")
        return
    output.note(installing.document(chosen, start).rstrip())
    output.confirm(f"Put this into {file}?", yes=yes, else_why="it would change a file of another program")
    backup = installing.write(file, after, utc_now())
    output.say(f"written: {file}" + (f" (before: {backup})" if backup else ""))
    _note_what_is_missing(home)


def _note_what_is_missing(home: Path | None) -> None:
    """The program has another environment, and is in another folder."""
    from trinitas_tasks.settings import environment_name, load_with_origins  # noqa: PLC0415 - see install

    _, origins = load_with_origins(overrides={} if home is None else {"home": home})
    elsewhere = [
        environment_name(field)
        for field, origin in origins.items()
        if field not in ("home", "persona") and origin not in ("default", "argument") and "embedded stack" not in origin
    ]
    if elsewhere:
        output.note(f"it is started without these, which you have set: {', '.join(elsewhere)}: add them to its env")


def _over_stdio(home: Path | None) -> NoReturn:
    # what is loaded lives for ever: looking for garbage among it would take a seventh of the start
    gc.disable()
    with _of_the_extra():
        from trinitas_tasks.interfaces.mcp import stdio  # noqa: PLC0415 - `trinitas --help` stays fast
        from trinitas_tasks.interfaces.mcp.hallway import Hallway  # noqa: PLC0415
        from trinitas_tasks.interfaces.mcp.server import MemoryServer  # noqa: PLC0415
    gc.freeze()
    gc.enable()
    hallway = Hallway(lambda: settings_of(home), "mcp", users=True)
    stopped = stdio.serve(MemoryServer(hallway.door, greeted=hallway.warm))
    hallway.close()
    _end(0 if stopped is None else SHELL_OFFSET + stopped)


def _over_http(
    home: Path | None,
    at: socket.socket,
    *,
    hosts: list[str],
    origins: list[str],
    certificate: tuple[Path | None, Path | None],
    tokens: bool,
) -> NoReturn:
    with _of_the_extra():
        from trinitas_tasks.interfaces.mcp import http  # noqa: PLC0415 - see _over_stdio
        from trinitas_tasks.interfaces.mcp.hallway import Hallway  # noqa: PLC0415
        from trinitas_tasks.interfaces.mcp.server import MemoryServer  # noqa: PLC0415
    settings = settings_of(home)
    hallway = Hallway(lambda: settings_of(home), "http", users=not tokens)
    bounds = http.Bounds(at.getsockname()[1], hosts, origins, settings.max_content_kb * 1024 * ESCAPED + OVERHEAD)
    application = http.application(MemoryServer(hallway.door), _gate(settings) if tokens else None, bounds)
    hallway.warm()
    signals = StopSignals()
    with signals:
        http.serve(application, at, certificate=certificate[0], key=certificate[1])
    hallway.close()
    try:
        signals.check()
    except Interrupted as interrupted:
        _end(interrupted.exit_code)
    _end(0)


def _listening(host: str, port: int, *, tls: bool) -> socket.socket:
    """The socket; where it is reached is said."""
    with _of_the_extra():
        from trinitas_tasks.interfaces.mcp import http  # noqa: PLC0415 - see _over_stdio
    at = http.listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    output.say(f"{'https' if tls else 'http'}://{shown}:{at.getsockname()[1]}{http.PATH}")
    sys.stdout.flush()
    if not tls and not _is_loopback(host):
        output.note("warning: without TLS (--tls-cert) whoever is on the way reads tokens and memories")
    return at


def _gate(settings: Settings) -> Gate:
    from trinitas_tasks.interfaces import entering, tokens  # noqa: PLC0415 - see _over_stdio
    from trinitas_tasks.model import utc_now  # noqa: PLC0415

    ledger = entering.ledger_of(settings)
    if not any(tokens.is_valid(each, utc_now()) for each in ledger.tokens()):
        output.note("nobody can come in yet: `trinitas token create --persona athena --scope read,write` makes a token")
    with _of_the_extra():
        return tokens.Gate(ledger, requests_per_minute=settings.requests_per_minute)


@contextmanager
def _of_the_extra() -> Iterator[None]:
    """Say how what is missing is installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise StackError(f"{error.name} is not installed: pip install 'trinitas-tasks[mcp]'") from error


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_anywhere(host: str) -> bool:
    """Whether it stands for all addresses of the machine, and is no name to reach it by."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _end(code: int) -> NoReturn:
    """End at once: the end of the interpreter would wait for threads that wait for answers nobody wants any more."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
