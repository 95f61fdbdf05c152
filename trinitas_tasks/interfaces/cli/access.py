"""`trinitas token` and `audit`: who may come in from outside, and what was done by whom. Works while nothing runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from trinitas_tasks.errors import NotFound, SettingsError
from trinitas_tasks.interfaces.cli import completion, output, times
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, settings_of

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.book import Book
    from trinitas_tasks.settings import Settings
    from trinitas_tasks.tiers.ledger.interface import Deed, Token

ALL: Final = "all personas"

tokens = typer.Typer(
    help="""Make, list and revoke tokens: by them agents come in from outside.

Example:

    trinitas token create --persona athena --scope read,write --expires 90d --name ci""",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(tokens, name="token", rich_help_panel=Panel.PERSONAS)
    app.command(rich_help_panel=Panel.PERSONAS)(audit)


@tokens.command()
def create(
    persona: Annotated[
        list[str] | None,
        typer.Option("--persona", "-p", help="For whom it acts; several times.", autocompletion=completion.personas),
    ] = None,
    all_personas: Annotated[bool, typer.Option("--all-personas", help="It acts for everybody.")] = False,
    scope: Annotated[str, typer.Option(help="What it may: read, write, share, admin.")] = "read,write",
    expires: Annotated[str, typer.Option(help="After how long it is not valid: 90d, 12h, 30m or never.")] = "90d",
    name: Annotated[str | None, typer.Option(help="What lists and the audit call it.", show_default=False)] = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Make a token; it is printed this once and kept nowhere.

    Examples:

        trinitas token create --persona athena --scope read,write --expires 90d --name ci
        trinitas token create --all-personas --scope read --expires 12h --json | jq -r .token

    A token allows what its scope says, for its personas, and nothing else (docs/access.md).
    """
    from trinitas_tasks.interfaces.tokens import expiry, make  # noqa: PLC0415 - `trinitas --help` stays fast
    from trinitas_tasks.policy.access import rights_of  # noqa: PLC0415

    if bool(persona) == all_personas:
        raise typer.BadParameter("say for whom it acts: here, or --all-personas", param_hint="--persona")
    with _administering(home, "token create") as (book, settings):
        now = book.clock()
        rights, until = rights_of(_parts(scope)), expiry(expires, now)
        _check_known(persona or (), settings)
        with book.written("token create", None) as done:
            made = make(book.ledger, personas=persona or None, rights=rights, expires=until, now=now, name=name)
            done.subject, done.detail = made.token.id, f"{_scope(made.token)} for {_whose(made.token)}"
    if as_json:
        output.show_json({"token": made.secret, **_as_json(made.token, now)})
        return
    output.say(made.secret)
    ends = "for ever" if until is None else f"until {_local(until)}"
    output.note(f"token {made.token.id} may {_scope(made.token)} for {_whose(made.token)}, {ends}")
    output.note(f"it is shown this once: keep it (`trinitas token revoke {made.token.id}` ends it)")


@tokens.command("list")
def show_all(home: Home = None, as_json: output.Json = False) -> None:
    """List all tokens, oldest first; never their secrets.

    Example:

        trinitas token list
    """
    with _administering(home, "token list") as (book, _):
        found, now = book.ledger.tokens(), book.clock()
    if as_json:
        output.show_json([_as_json(each, now) for each in found])
    elif not found:
        output.note("no tokens: `trinitas token create` makes one")
    else:
        columns = ("id", "name", "personas", "scope", "expires", "last used", "state")
        output.show_table(columns, [_row(each, now) for each in found])


@tokens.command()
def revoke(
    id: Annotated[str, typer.Argument(help="As `trinitas token list` shows it.", show_default=False)],
    yes: output.Yes = False,
    home: Home = None,
) -> None:
    """End a token for good; whoever shows it is refused from now on.

    Example:

        trinitas token revoke 3fa1c09e --yes

    Exit code 1: no such token, or answered with no; 2: nobody can be asked and --yes is missing.
    """
    with _administering(home, "token revoke") as (book, _):
        known = {each.id: each for each in book.ledger.tokens()}
        if id not in known:
            raise NotFound(f"there is no token {id}: `trinitas token list` shows all")
        question = f"Revoke the token {known[id].name} ({id}), which acts for {_whose(known[id])}, for good?"
        output.confirm(question, yes=yes, else_why="it cannot be taken back")
        with book.written("token revoke", None, id):
            book.ledger.revoke(id, book.clock())
    output.say(f"{id} is revoked")


def audit(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")] = 50,
    who: Annotated[str | None, typer.Option(help='Only by this one: "user mika", "token ci (3fa1c09e)".')] = None,
    persona: Annotated[
        str | None,
        typer.Option("--persona", "-p", help="Only to memories of this one.", autocompletion=completion.personas),
    ] = None,
    action: Annotated[str | None, typer.Option(help="Only this: remember, forget, share, token create, …")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="From then on: 2026-05-06, with a time, yesterday, 2026-05.")
    ] = None,
    before: Annotated[int | None, typer.Option(min=1, max=10**15, help="Only rows before this number.")] = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Show what was done by whom, newest first.

    Examples:

        trinitas audit -n 20
        trinitas audit --who "token ci (3fa1c09e)" --since yesterday
        trinitas audit -p athena --action forget --json | jq -r '.[].subject'

    Through the doors of this machine: what was written, shared, forgotten and administered. An outcome is done,
    refused, failed or open: then it is going on, or was broken off and may have happened or not. No row holds what a
    memory says.
    """
    from_then = times.start(since, "--since")
    with _administering(home, "audit") as (book, _):
        found = book.ledger.deeds(limit, before=before, who=who, persona=persona, action=action, since=from_then)
    if as_json:
        output.show_json([{**each._asdict(), "at": each.at.isoformat()} for each in found])
    elif not found:
        output.note("nothing was done that is like this")
    else:
        columns = ("number", "time", "who", "door", "action", "persona", "subject", "outcome", "detail")
        output.show_table(columns, [_deed(each) for each in found])


@contextmanager
def _administering(home: Path | None, action: str) -> Iterator[tuple[Book, Settings]]:
    """The book of this machine's user, who may do what concerns everybody; to look leaves no row. Raises: Forbidden."""
    from trinitas_tasks.interfaces import entering  # noqa: PLC0415 - see above
    from trinitas_tasks.policy.access import Right  # noqa: PLC0415

    settings = settings_of(home, stack=False)
    with entering.accountable(settings, "cli") as book:
        book.check(Right.ADMIN, action, None)
        yield book, settings


def _check_known(personas: Sequence[str], settings: Settings) -> None:
    """Return if there are such personas, or nobody can tell. Raises: UnknownPersona, InvalidQuery."""
    from trinitas_tasks.client import MemoryClient  # noqa: PLC0415 - see above
    from trinitas_tasks.model import check_persona  # noqa: PLC0415
    from trinitas_tasks.settings import load_settings  # noqa: PLC0415

    for each in personas:
        check_persona(each)
    try:
        client = MemoryClient.connect(load_settings(overrides={"home": settings.home}))
    except SettingsError:  # nothing runs
        return
    with client:
        for each in personas:
            client.check_known(each)


def _parts(scope: str) -> list[str]:
    return [each.strip() for each in scope.split(",") if each.strip()]


def _scope(token: Token) -> str:
    return ", ".join(sorted(token.rights)) or "nothing"


def _whose(token: Token) -> str:
    return ALL if token.personas is None else ", ".join(sorted(token.personas))


def _state(token: Token, now: datetime) -> str:
    if token.revoked is not None:
        return "revoked"
    return "expired" if token.expires is not None and token.expires <= now else "valid"


def _row(token: Token, now: datetime) -> tuple[str, ...]:
    expires = "never" if token.expires is None else _local(token.expires)
    used = "never" if token.last_used is None else _local(token.last_used)
    return token.id, token.name, _whose(token), _scope(token), expires, used, _state(token, now)


def _as_json(token: Token, now: datetime) -> dict[str, Any]:
    moments = ("created", "expires", "revoked", "last_used")
    return {
        "id": token.id,
        "name": token.name,
        "personas": None if token.personas is None else sorted(token.personas),
        "scope": sorted(token.rights),
        **{name: at and at.isoformat() for name in moments for at in [getattr(token, name)]},
        "state": _state(token, now),
    }


def _deed(deed: Deed) -> tuple[str, ...]:
    what = (deed.who, deed.door, deed.action, deed.persona or "", deed.subject or "", deed.outcome or "open")
    return str(deed.number), f"{deed.at.astimezone():%Y-%m-%d %H:%M:%S}", *what, deed.detail or ""


def _local(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"
