"""`trinitas recall`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trinitas_tasks.interfaces.cli import completion, output
from trinitas_tasks.interfaces.cli.memory import STDIN, read_stdin
from trinitas_tasks.interfaces.cli.output import shortened
from trinitas_tasks.interfaces.cli.panels import Panel
from trinitas_tasks.interfaces.cli.session import Home, Kinds, entered, whose

if TYPE_CHECKING:
    from trinitas_tasks.model import MemoryItem
    from trinitas_tasks.query import Hit, Recall

Personas = Annotated[
    list[str] | None,
    typer.Option(
        "--persona",
        "-p",
        help="Whose memories (else TRINITAS_PERSONA); several times, or '*' for everybody where allowed.",
        autocompletion=completion.personas,
    ),
]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Only with all of these tags.")]
Importance = Annotated[float, typer.Option(min=0.0, max=1.0, help="Only at least so important.")]
Similarity = Annotated[float, typer.Option(min=0.0, max=1.0, help="Only at least so relevant.")]
Recency = Annotated[float, typer.Option(min=0.0, max=1.0, help="How much it counts that a memory is new.")]
Context = Annotated[int, typer.Option(min=0, max=20, help="Show so many neighbours of each hit in its session.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=Panel.MEMORIES)(recall)


def recall(
    text: Annotated[
        str,
        typer.Argument(help="What you want to know, in words; `-` reads it from standard input.", show_default=False),
    ],
    persona: Personas = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most so many.")] = 5,
    kind: Kinds = None,
    tag: Tags = None,
    min_importance: Importance = 0.0,
    min_similarity: Similarity = 0.0,
    recency: Recency = 0.0,
    archived: Annotated[
        bool, typer.Option("--include-archived", help="Also what left the index: it was old, or forgotten.")
    ] = False,
    context: Context = 0,
    explain: Annotated[bool, typer.Option("--explain", help="Show which words each hit has.")] = False,
    after: Annotated[
        str | None, typer.Option(help="Go on where a page ended: the cursor that it printed.", metavar="CURSOR")
    ] = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Find memories by meaning and by words, best first.

    Examples:

        trinitas recall "where is the test database?" -p athena
        trinitas recall "先週 テストのデータベースは？" -p athena -n 3
        trinitas recall 'tag:release since:2026-05 "port 5433"' -p athena --json

    In the text, quotes ask for words as they are; tag:x, type:semantic, since:2026-05 and before:yesterday filter. A
    time that it names ("in May", 「先週」) lets memories from then come higher. Exit code 0 also if nothing is found.
    """
    wanted = read_stdin() if text == STDIN else text
    with entered(home) as (door, _):
        found = door.recall(
            wanted,
            persona=persona if persona and len(persona) > 1 else whose(door, persona[0] if persona else None),
            limit=limit,
            types=kind or (),
            filters={"all_tags": tag or (), "min_importance": min_importance},
            boosts={"recency": recency} if recency else None,
            min_similarity=min_similarity,
            include_archived=archived,
            context=context,
            explain=explain,
            after=after,
        )
    for reason in found.degraded:
        output.note(f"degraded: {reason}")
    if as_json:
        output.show_json(_fields(found))
        return
    if not found:
        output.note("nothing found")
    for number, hit in enumerate(found, 1):
        _show(number, hit)
    if found.next is not None:
        output.note(f"more: --after {found.next}")


def _fields(found: Recall) -> dict[str, Any]:
    hits = [each.model_dump(mode="json") for each in found]
    told = {"answered": found.answered, "degraded": found.degraded, "cached": found.cached, "next": found.next}
    return {"hits": hits, **told}


def _show(number: int, hit: Hit) -> None:
    for item in hit.before:
        output.say((f"   · {_line(item)}", "dim"), indent=5)
    output.say((f"{number}. ", "bold"), _line(hit.item), indent=3)
    for item in hit.after:
        output.say((f"   · {_line(item)}", "dim"), indent=5)
    alike = f"  and {len(hit.similar)} like it" if hit.similar else ""
    output.say(f"   {hit.score:.2f}  ", (f"{hit.item.type}  {hit.item.persona}  {hit.item.id}{alike}", "dim"))
    why = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in hit.why.items())
    output.say((f"         {why}", "dim"), indent=3 if output.narrow() else 9)


def _line(item: MemoryItem) -> str:
    speaker = item.metadata.get("speaker")
    return f"{speaker}: {shortened(item.content)}" if isinstance(speaker, str) else shortened(item.content)


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
