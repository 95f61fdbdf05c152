"""The tools that tell of all memories of a persona, and look after them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from trinitas_tasks.interfaces.mcp import answers, arguments
from trinitas_tasks.interfaces.mcp.refusals import scrubbed
from trinitas_tasks.policy.hygiene import marked

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.door import Door

MOST_DECISIONS: Final = 100


def stats(door: Door, asked: arguments.Stats) -> answers.Statistics:
    """How many there are where."""
    found = door.stats(persona=asked.persona)
    told = asdict(found) | {"degraded": list(map(scrubbed, found.degraded))}
    return answers.Statistics(**{name: told[name] for name in answers.Statistics.model_fields})


def analytics(door: Door, asked: arguments.Analytics) -> answers.Analysed:
    """How they are distributed and used, and what should be changed by that."""
    # what somebody asked stands in it, word for word
    return answers.Analysed.model_validate(marked(door.analytics(persona=asked.persona)).value)


def consolidate(door: Door, asked: arguments.Consolidate) -> answers.Consolidated:
    """Make working memories that are worth it last, and link near-duplicates."""
    done = door.run("consolidate", dry_run=asked.dry_run, persona=asked.persona)
    told = {name: done[name] for name in answers.Consolidated.model_fields}
    told |= {"decisions": done["decisions"][:MOST_DECISIONS], "errors": list(map(scrubbed, done["errors"]))}
    return answers.Consolidated(**told)


def health(door: Door, asked: arguments.Health) -> answers.Checked:  # noqa: ARG001 - every tool takes arguments
    """Whether everything works."""
    found = door.health()
    parts = {part: problem and scrubbed(problem) for part, problem in found.parts.items()}
    return answers.Checked(ok=found.ok, parts=parts, warnings=list(map(scrubbed, found.warnings)))
