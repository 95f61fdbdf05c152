"""`trinitas shell-completion`, and what is completed beside commands and options."""

from __future__ import annotations

from contextlib import closing
from enum import StrEnum
from typing import Annotated, Final

import typer

from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.panels import Panel

TIMEOUT_SECONDS: Final = 0.1


class Shell(StrEnum):
    """The shells that typer knows."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("shell-completion", rich_help_panel=Panel.AROUND)(shell_completion)


def shell_completion(
    shell: Annotated[Shell, typer.Argument(help="The shell that shall complete.", show_default=False)],
) -> None:
    """Print the script for completion by your shell.

    Examples:

        trinitas shell-completion bash > ~/.local/share/bash-completion/completions/trinitas
        trinitas shell-completion zsh > ~/.zfunc/_trinitas
        trinitas shell-completion fish > ~/.config/fish/completions/trinitas.fish

    It completes commands, options, personas, types and tasks. `trinitas --install-completion` puts it there by itself.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # noqa: PLC0415 - it is there, for its own option

    output.say(get_completion_script(prog_name="trinitas", complete_var="_TRINITAS_COMPLETE", shell=shell))


def personas(incomplete: str) -> list[str]:
    """The names that begin so: of all where Redis answers at once, else of the five."""
    from trinitas_tasks.policy.personas import FIVE  # noqa: PLC0415 - takes as long as all else

    try:
        known = _known()
    except TrinitasError:
        known = []
    return [each for each in sorted(known or FIVE) if each.startswith(incomplete)]


def _known() -> list[str]:
    """Raises: TrinitasError."""
    from trinitas_tasks.interfaces.cli.session import settings_of  # noqa: PLC0415 - see personas
    from trinitas_tasks.tiers.hot.redis import RedisHotTier  # noqa: PLC0415

    settings = settings_of(None)
    hot = RedisHotTier(settings.redis(), namespace=settings.namespace, pool_size=1, timeout_seconds=TIMEOUT_SECONDS)
    with closing(hot):
        roster = hot.roster()
    return [] if roster is None else list(roster.known())
