"""`trinitas recall`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trinitas_tasks.interfaces.cli import output
from trinitas_tasks.interfaces.cli.memory import Home, connected, shortened

if TYPE_CHECKING:
    from trinitas_tasks.model import MemoryItem
    from trinitas_tasks.query import Hit, Recall

Personas = Annotated[
    list[str], typer.Option("--persona", "-p", help="Whose memories; several, or '*' for everybody where allowed.")
]
Types = Annotated[list[str] | None, typer.Option("--type", "-t", help="Only these types.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Only with all of these tags.")]
Importance = Annotated[float, typer.Option(min=0.0, max=1.0, help="Only at least so important.")]
Similarity = Annotated[float, typer.Option(min=0.0, max=1.0, help="Only at least so relevant.")]
Recency = Annotated[float, typer.Option(min=0.0, max=1.0, help="How much it counts that a memory is new.")]
Context = Annotated[int, typer.Option(min=0, max=20, help="Show so many neighbours of each hit in its session.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(recall)


def recall(
    text: Annotated[str, typer.Argument(help="What you want to know, in words.")],
    persona: Personas,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000)] = 5,
    kind: Types = None,
    tag: Tags = None,
    min_importance: Importance = 0.0,
    min_similarity: Similarity = 0.0,
    recency: Recency = 0.0,
    archived: Annotated[
        bool, typer.Option("--include-archived", help="Also what left the index: it was old, or forgotten.")
    ] = False,
    context: Context = 0,
    explain: Annotated[bool, typer.Option("--explain", help="Show which words each hit has.")] = False,
    after: Annotated[str | None, typer.Option(help="Go on where a page ended: the cursor that it printed.")] = None,
    home: Home = None,
    as_json: output.Json = False,
) -> None:
    """Find memories by meaning and by words, best first.

    trinitas recall "where is the test database?" -p athena

    In the text, quotes ask for words as they are; tag:x, type:semantic, since:2026-05 and before:yesterday filter.
    A time that it names ("in May", 「先週」) lets memories from then come higher.
    """
    with connected(home) as (client, _):
        found = client.recall(
            text,
            persona=persona[0] if len(persona) == 1 else persona,
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
        output.say(f"   · {_line(item)}")
    output.say(f"{number}. {_line(hit.item)}")
    for item in hit.after:
        output.say(f"   · {_line(item)}")
    why = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in hit.why.items())
    alike = f"  and {len(hit.similar)} like it" if hit.similar else ""
    output.say(f"   {hit.score:.2f}  {why}  {hit.item.type}  {hit.item.persona}  {hit.item.id}{alike}")


def _line(item: MemoryItem) -> str:
    speaker = item.metadata.get("speaker")
    return f"{speaker}: {shortened(item.content)}" if isinstance(speaker, str) else shortened(item.content)


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
