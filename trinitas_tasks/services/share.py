"""Sharing memories: grants, not copies. Redis alone knows them, so nothing here works without it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from trinitas_tasks.errors import InvalidQuery, NotFound, Unavailable
from trinitas_tasks.model import Key, Record, check_persona
from trinitas_tasks.policy.grants import holders
from trinitas_tasks.services.front import Front
from trinitas_tasks.tiers.hot.interface import HotTier

T = TypeVar("T")


def others(named: str | Iterable[str], owner: str) -> list[str]:
    """The personas to share with. Raises: InvalidQuery."""
    grantees = list(dict.fromkeys(check_persona(each) for each in ([named] if isinstance(named, str) else named)))
    if not grantees:
        raise InvalidQuery("to: nobody is named")
    if owner in grantees:
        raise InvalidQuery(f"to: {owner} has the memory already: name others")
    return grantees


def share(key: Key, grantees: Sequence[str], *, front: Front, hot: HotTier) -> bool:
    """Let these personas read a memory; whether to nudge. Raises: NotFound, Unavailable."""

    def granted() -> bool:
        front.pass_spool()  # a forget that waits there ends grants, also those made since
        found = front.read(key.persona, [key.id])[0]
        shared = hot.share(key, grantees, above=front.seen) if found else None
        if shared is None or shared.gone:
            raise NotFound(f"{key.persona} has no memory {key.id}")
        return shared.nudge

    return _reached(granted, f"{key.id} may not be shared yet: call share() again")


def unshare(key: Key, grantees: Sequence[str] | None, *, front: Front, hot: HotTier) -> bool:
    """Let these personas, None: all others, read it no longer; whether to nudge. Raises: Unavailable."""
    return _reached(
        lambda: hot.unshare(key, grantees, above=front.seen).nudge,
        f"{key.id} may still be shared: call unshare() again until it returns",
    )


def shared_with(key: Key, *, hot: HotTier) -> frozenset[str]:
    """Who may read a memory. Raises: Unavailable."""
    return holders(hot.grants([key])[0].grants)


def get(persona: str, memory_id: str, owner: str | None, *, front: Front, hot: HotTier) -> Record | None:
    """The persona's own memory of this id, else one that was granted to it; an ``owner`` says whose.

    Counts as an access. Raises: Unavailable; also while nobody can say what was granted and it has none of its own.
    """
    if owner in (None, persona):
        own = front.get(Key(persona, memory_id))
        if own is not None or owner is not None:
            return own
    keys = hot.lenders(persona, memory_id) if owner is None else [Key(owner, memory_id)]
    found = front.read_scoped(persona, keys) if keys else []
    return next((record for record in found if record is not None), None)


def _reached(call: Callable[[], T], advice: str) -> T:
    try:
        return call()
    except Unavailable as away:
        raise Unavailable(f"{advice} ({away})") from away
