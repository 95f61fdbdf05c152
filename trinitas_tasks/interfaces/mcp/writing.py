"""The tools that write memories, and say who may read them and what they are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trinitas_tasks.errors import InvalidQuery
from trinitas_tasks.interfaces.mcp import answers, arguments
from trinitas_tasks.interfaces.mcp.reading import moment
from trinitas_tasks.interfaces.provenance import memory_data

if TYPE_CHECKING:
    from trinitas_tasks.interfaces.door import Door

UPDATED = ("content", "type", "importance", "tags", "metadata")


def remember(door: Door, asked: arguments.Remember) -> answers.Remembered:
    """Keep a memory."""
    given = door.remember(
        asked.content,
        persona=asked.persona,
        type=asked.type,
        importance=asked.importance,
        tags=tuple(asked.tags),
        metadata=asked.metadata or None,
        timestamp=moment("timestamp", asked.timestamp),
    )
    return answers.Remembered(id=given, persona=_persona(door, asked.persona))


def update(door: Door, asked: arguments.Update) -> answers.One:
    """Change a memory."""
    changes: dict[str, Any] = {name: value for name in UPDATED if (value := getattr(asked, name)) is not None}
    if not changes:
        raise InvalidQuery(f"nothing is to be changed: pass one of {', '.join(UPDATED)}")
    return answers.One(memory=memory_data(door.update(asked.id, persona=asked.persona, **changes)))


def forget(door: Door, asked: arguments.Forget) -> answers.Done:
    """Delete a memory."""
    door.forget(asked.id, persona=asked.persona)
    return answers.Done(id=asked.id, persona=_persona(door, asked.persona), done="forgotten")


def pin(door: Door, asked: arguments.Pin) -> answers.Done:
    """Keep a memory in reach, or no longer."""
    door.pin(asked.id, pinned=asked.pinned, persona=asked.persona)
    done = "pinned" if asked.pinned else "unpinned"
    return answers.Done(id=asked.id, persona=_persona(door, asked.persona), done=done)


def feedback(door: Door, asked: arguments.Feedback) -> answers.Done:
    """Say whether a memory helped."""
    door.feedback(asked.id, useful=asked.useful, persona=asked.persona, owner=asked.owner)
    done = "useful" if asked.useful else "useless"
    return answers.Done(id=asked.id, persona=asked.owner or _persona(door, asked.persona), done=done)


def share(door: Door, asked: arguments.Share) -> answers.Shared:
    """Let others read a memory."""
    readers = door.share(asked.id, to=asked.to, persona=asked.persona)
    return answers.Shared(id=asked.id, persona=_persona(door, asked.persona), shared_with=sorted(readers))


def unshare(door: Door, asked: arguments.Unshare) -> answers.Shared:
    """Let others read a memory no longer."""
    readers = door.unshare(asked.id, to=asked.to, persona=asked.persona)
    return answers.Shared(id=asked.id, persona=_persona(door, asked.persona), shared_with=sorted(readers))


def _persona(door: Door, named: str | None) -> str:
    """The one that the door has acted for."""
    return named or door.principal.sole() or ""
