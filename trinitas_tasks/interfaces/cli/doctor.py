"""`trinitas doctor`: what silently breaks the promises."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

import typer

from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, settings_of

WIDTH: Final = len("problem")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=Panel.STACK)(doctor)


def doctor(home: Home = None, as_json: output.Json = False) -> None:
    """Look for what silently breaks the promises.

    Example:

        trinitas doctor

    Settings of Redis, clocks, workers, versions, disks, what was left behind. One line a check: ok, warning or problem,
    its name and what was found; below what is not ok, what to do.

    Exit code 0: no problem (there may be warnings), 1: a problem.
    """
    from trinitas_tasks.interfaces.diagnosis import gather  # noqa: PLC0415 - `trinitas --help` stays fast
    from trinitas_tasks.services.doctor import examine  # noqa: PLC0415
    from trinitas_tasks.services.doctor.verdict import Level  # noqa: PLC0415

    findings = examine(gather(settings_of(home)))
    ok = all(each.level is not Level.PROBLEM for each in findings)
    if as_json:
        output.show_json({"ok": ok, "findings": [asdict(each) for each in findings]})
    else:
        for each in findings:
            level = (f"{each.level:<{WIDTH}}", output.STYLES[each.level])
            output.say(level, f"  {each.name}: {each.found}", indent=WIDTH + 2)
            if each.advice:
                output.say(f"{'':<{WIDTH}}  → {each.advice}", indent=WIDTH + 4)
    if not ok:
        raise typer.Exit(1)
