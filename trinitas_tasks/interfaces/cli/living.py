"""`trinitas run`, `runs`, `why`, `pin`, `unpin`, `feedback`, `consolidations`, `undo` and `analytics`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, Id, Persona, Whose, anyones, entered, whose

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most so many.")]
PATIENT_MS: Final = 20_000
LINES: Final = 100
"""So many decisions are printed; --json has more."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for about in (why, pin, unpin, feedback, analytics):
        app.command(rich_help_panel=Panel.LIVES)(about)
    for command in (run, runs, consolidations, undo):
        app.command(rich_help_panel=Panel.TENDING)(command)


def _tasks(incomplete: str) -> list[str]:
    from trinitas_tasks.policy.life import LifeTask  # noqa: PLC0415 - takes as long as all else

    return [each for each in sorted(LifeTask) if each.startswith(incomplete)]


def run(
    task: Annotated[str, typer.Argument(help="Its name.", show_default=False, autocompletion=_tasks)],
    persona: Whose = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would do, and why.")] = False,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Run a task of the schedule now.

    Examples:

        trinitas run prune --dry-run -p athena
        trinitas run archive_old

    Shows what it did, or would do, to which memory and why. Tasks: sweep_outbox, flush_access, archive_expiring,
    warm_cache, score_importance, consolidate, archive_old, prune, detect_anomalies, backup.

    Exit code 1: it could not, or not all of it.
    """
    with entered(home) as (door, _):
        done = door.run(task, dry_run=dry_run, persona=persona)
    if as_json:
        output.show_json(done)
    else:
        _show_run(done)
    if done["errors"]:
        raise typer.Exit(1)


def _show_run(done: Mapping[str, Any]) -> None:
    decisions = done["decisions"]
    for each in decisions[:LINES]:
        output.say(f"{each['action']}  {each['persona']}  {each['id']}  {each['why']}")
    if done["decided"] > LINES:
        output.note(f"… and {done['decided'] - LINES:,} more (--json shows {len(decisions):,})")
    for reason in done["errors"]:
        output.note(f"error: {reason}")
    if done["dry_run"]:
        output.note(f"{done['examined']:,} examined; {done['decided']:,} would be changed: nothing was")
    else:
        output.note(f"{done['examined']:,} examined, {done['changed']:,} changed ({done['seconds']} s)")
    if done["more"]:
        output.note("more is due: the same command goes on")


def runs(
    task: Annotated[
        str | None, typer.Argument(help="Of which task; of all if left out.", autocompletion=_tasks)
    ] = None,
    limit: Limit = 20,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Show what the scheduled tasks did lately, newest first.

    Example:

        trinitas runs prune -n 5
    """
    with entered(home) as (door, _), door.administering("runs", subject=task):
        rows = door.client.ask("runs", task, limit, deadline_ms=PATIENT_MS)
    if as_json:
        output.show_json(rows)
        return
    table = [
        (
            str(row["task"]), str(row["started"])[:19], f"{row['seconds']:.2f}", str(row["examined"]),
            str(row["changed"]), str(row["errors"]), _detail(row["detail"]),
        )
        for row in rows
    ]  # fmt: skip
    output.show_table(("task", "started (UTC)", "seconds", "examined", "changed", "errors", "what"), table)


def _detail(detail: Mapping[str, Any]) -> str:
    counts = [f"{value} {name}" for name, value in detail.items() if isinstance(value, int)]
    counts += [f"{each['severity']}: {each['kind']} ({each['persona']})" for each in detail.get("findings", ())]
    return ", ".join([*counts, *map(str, detail.get("errors", ()))])


def why(id: Id, persona: Persona = None, home: Home = None, as_json: output.Json = False) -> None:
    """Explain a memory's life, and what comes next.

    Example:

        trinitas why 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b -p athena

    Exit code 1: the archive has none of this id.
    """
    with entered(home) as (door, _):
        known = door.why(id, persona=whose(door, persona))
    if as_json:
        output.show_json(known)
        return
    importance, retention = known["importance"], known["retention"]
    state = [name for name in ("pinned", "archived") if known[name]] or ["active"]
    output.say(f"{known['type']} memory {known['id']} of {known['persona']}: {', '.join(state)}")
    output.say(
        f"used: {known['accesses']} times, last {known['last_use'][:19]} UTC ({known['unused_days']:g} days ago)"
    )
    stored = "not yet" if importance["stored"] is None else importance["stored"]
    output.say(f"importance: {importance['now']} now, {stored} stored, {importance['own']} given")
    for name, value in importance["parts"].items():
        feature = importance["features"].get(name)
        output.say(f"    {value:+.2f}  {name}" + ("" if feature is None else f" ({feature:.2f})"))
    output.say(
        f"retention: {retention['now']} with a stability of {retention['stability_days']} days; "
        f"below {retention['forgotten_below']} from {retention['fades_at'][:10]}"
    )
    if known["useful"] or known["useless"]:
        output.say(f"feedback: {known['useful']} times useful, {known['useless']} times not")
    if known["representative"]:
        output.say(f"says the same as: {known['representative']}")
    for each in known["read_next"]:
        output.say(f"read after it: {each['id']} ({each['weight']:g} times)")
    _show_consolidations(known["consolidations"])
    output.say(f"next: {known['next']}")


def pin(id: Id, persona: Persona = None, home: Home = None) -> None:
    """Keep a memory in reach: no rule archives it.

    Example:

        trinitas pin 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b -p athena

    Exit code 1: the persona has none of this id.
    """
    with entered(home) as (door, _):
        door.pin(id, pinned=True, persona=whose(door, persona))


def unpin(id: Id, persona: Persona = None, home: Home = None) -> None:
    """Let a memory live by the rules again.

    Example:

        trinitas unpin 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b -p athena
    """
    with entered(home) as (door, _):
        door.pin(id, pinned=False, persona=whose(door, persona))


def feedback(
    id: Id,
    useful: Annotated[bool, typer.Option("--useful/--useless", help="Whether it was of use.")],
    persona: Persona = None,
    home: Home = None,
) -> None:
    """Say whether a memory was of use.

    Example:

        trinitas feedback 0190d3c5-7b5a-7f3e-8c1d-2b6a9e4f1a2b --useful -p athena

    It becomes more or less important, and so do memories that are like it.
    """
    with entered(home) as (door, _):
        door.feedback(id, useful=useful, persona=whose(door, persona))


def consolidations(
    persona: Whose = None,
    limit: Limit = 20,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Show which memories were consolidated, newest first.

    Example:

        trinitas consolidations -p athena

    `trinitas undo NUMBER` takes one back.
    """
    with entered(home) as (door, _):
        chosen = anyones(door, persona)
        with door.administering("consolidations", persona=chosen):
            found = door.client.ask("consolidations", chosen, limit, deadline_ms=PATIENT_MS)
    if as_json:
        output.show_json(found)
    elif not found:
        output.note("nothing was consolidated")
    else:
        _show_consolidations(found)


def _show_consolidations(found: Sequence[Mapping[str, Any]]) -> None:
    for each in found:
        undone = f"; undone {each['undone_at'][:19]}" if each["undone_at"] else ""
        output.say(f"{each['number']}. {each['at'][:19]}  {each['persona']}  {each['id']}  {each['why']}{undone}")


def undo(
    number: Annotated[int, typer.Argument(help="As `trinitas consolidations` shows it.", show_default=False)],
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Take a consolidation back; it is not done again.

    Example:

        trinitas undo 12
    """
    with entered(home) as (door, _):
        done = door.undo(number)
    if as_json:
        output.show_json(done)
    else:
        _show_consolidations([done])


def analytics(persona: Whose = None, home: Home = None, as_json: output.Json = False) -> None:
    """Show how memories are used, and what to change.

    Examples:

        trinitas analytics
        trinitas analytics -p athena
    """
    with entered(home) as (door, _):
        found = door.analytics(persona=persona)
    if as_json:
        output.show_json(found)
        return
    for name, its in found["personas"].items():
        output.say(f"{name}: {its['memories']:,} memories, {its['archived']:,} archived, {its['pinned']:,} pinned")
        for about in ("by_type", "by_age_days", "reads", "searches", "shared_to"):
            if its[about]:
                output.say(f"    {about.replace('_', ' ')}: {_told(its[about])}")
        output.say(f"    by importance (tenths): {' '.join(map(str, its['by_importance']))}")
        output.say(
            f"    never read: {its['never_read']:,}; duplicates: {its['duplicates']:,}; {its['content_mb']:g} MB"
        )
        for about in ("most_useful", "least_useful"):
            for each in its[about]:
                output.say(f"    {about.replace('_', ' ')}: {each['id']} ({each['type']}, {each['importance']})")
    copies, rate = found["copies"], found["hit_rate"]
    told = ["no reads yet" if rate is None else f"{rate:.1%} of reads answered from Redis"]
    if copies:  # they are everybody's, and not told to whoever acts for some
        told.insert(0, f"{copies['count']:,} copies, {copies['bytes'] / 1e6:.1f} of {copies['limit'] / 1e6:.0f} MB")
    output.say(f"Redis: {'; '.join(told)}")
    for each in found["recommendations"]:
        whose = f" ({each['persona']})" if each["persona"] else ""
        change = f"{each['now']} → {each['suggested']}" if each["now"] else each["suggested"]
        output.say(f"consider {each['setting']}{whose}: {change}, because {each['evidence']}")


def _told(counts: Mapping[str, Any]) -> str:
    plain = {name: value for name, value in counts.items() if not isinstance(value, list | dict)}
    return ", ".join(f"{name.replace('_', ' ')} {json.dumps(value)}" for name, value in plain.items())
