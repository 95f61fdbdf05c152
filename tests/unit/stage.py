"""Memories of two personas, told apart by words that stand nowhere else: what one must never learn of the other.

A stage is set twice, with the other's secrets and without: whoever acts for the reader only must not be able to tell
the two apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel

from tests.unit.clients import Bench, Held
from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.interfaces.door import Door
from trinitas_tasks.policy.access import EVERY_RIGHT, Principal
from trinitas_tasks.tasks.inline import InlineDispatcher
from trinitas_tasks.tiers.ledger.memory import MemoryLedger

READER: Final = "athena"
OTHER: Final = "hestia"
T0: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OWN, SHARED, REVOKED, FOREIGN, MISSING = "own-1", "shared-1", "revoked-1", "foreign-1", "missing-1"
WORDS: Final = {OWN: "kettle", SHARED: "garden"}
"""A word of what the reader may read."""
SECRETS: Final = ("quixotic", "marmalade", "zeppelin", "foreign-", "revoked-")
"""Words and ids of what it may not."""
HIDDEN: Final = (REVOKED, FOREIGN)
QUESTIONS: Final = (
    "quixotic marmalade",
    "zeppelin",
    "the garden gate",
    "kettle or zeppelin",
    '"quixotic"',
    "tag:secret",
    "tag:plain",
    "session:night type:semantic",
    "since:2026-01-01 before:2026-02-01",
    "",
)
"""What the reader asks: about secrets, about what stands beside them, and about everything."""
VOLATILE: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.]*(?:Z|\+\d\d:\d\d)?"), "TIME"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r'"(\w*seconds|\w*ms|unused_days|at)": [\d.]+'), r'"\1": 0'),
    (re.compile(r"\b[0-9a-f]{16}\b"), "NONCE"),
    (re.compile(r"chance [\d.]+"), "chance"),
    (re.compile(r"[\d.]+ (s\b|ms\b|days|MB)"), r"0 \1"),
)
"""What differs from run to run."""


class Stage:
    """A world in which both have memories; ``told``: the other has secrets."""

    def __init__(self, *, told: bool = True, dispatcher: type[InlineDispatcher] = InlineDispatcher, near: bool = False):
        self.bench = Bench()
        self.ledger = MemoryLedger()
        self.all = self.bench.client(persona=None)
        """Whoever remembers for everybody."""
        self._remember(READER, OWN, "the kettle boils at dawn", 0, session="day")
        self._remember(READER, "own-2", "tea is served in the garden", 1, session="day", tags=("plain",))
        self._remember(OTHER, SHARED, "the garden gate is locked at night", 3, session="night", tags=("plain",))
        self.all.share(SHARED, to=[READER], persona=OTHER)
        if told:
            self._secrets()
        self.client = self.bench.client(dispatcher, persona=None, near=near)
        """Whoever asks."""

    def _secrets(self) -> None:
        """Beside what is shared, before it and behind it, like it, and by themselves."""
        self._remember(
            OTHER, FOREIGN, "quixotic marmalade behind the garden gate", 2, session="night", tags=("secret",)
        )
        self._remember(OTHER, REVOKED, "the garden gate is locked at night by a zeppelin", 4, session="night")
        self.all.share(REVOKED, to=[READER], persona=OTHER)
        self.all.unshare(REVOKED, to=[READER], persona=OTHER)
        for number in range(5):
            self._remember(OTHER, f"foreign-{number + 2}", f"marmalade zeppelin kettle {number}", 10 + number)
        # one that no worker has seen yet
        self.bench.client(Held, persona=OTHER).remember("marmalade at last", id="foreign-9", type="semantic")

    def _remember(
        self, persona: str, memory_id: str, text: str, minute: int, session: str = "", tags: tuple[str, ...] = ()
    ) -> None:
        self.all.remember(
            text,
            persona=persona,
            id=memory_id,
            type="semantic",
            timestamp=T0 + timedelta(minutes=minute),
            metadata={"session": session} if session else {},
            tags=tags,
        )

    def door(self, principal: Principal | None = None, name: str = "cli") -> Door:
        """Of whoever acts for the reader only, unless somebody else is named."""
        return Door(self.client, principal or reader(), self.ledger, name)

    def others(self) -> str:
        """All that is the other's, as it sees it itself."""
        ids = (SHARED, *HIDDEN)
        lives = {each: self.all.ask("why", OTHER, each) for each in ids}
        told = {
            each: (
                self.all.get(each, persona=OTHER, owner=OTHER),
                self.all.shared_with(each, persona=OTHER),
                {name: lives[each][name] for name in ("pinned", "useful", "useless", "archived")},
            )
            for each in ids
        }
        return re.sub(r'"(access_count|last_access)": [^,]*', "", rendered(told))

    def close(self) -> None:
        for client in self.bench.closing:
            client.close()


def reader(**fields: Any) -> Principal:
    """Somebody who acts for the reader only."""
    return Principal(**{"name": "token x (1)", "rights": EVERY_RIGHT, "personas": frozenset({READER}), **fields})


def rendered(value: object) -> str:
    """All that somebody is told, as text; what differs from run to run is left out."""
    return steady(json.dumps(_plain(value), indent=1, sort_keys=True, ensure_ascii=False))


def steady(text: str) -> str:
    """Without what differs from run to run."""
    for pattern, instead in VOLATILE:
        text = pattern.sub(instead, text)
    return text


def _plain(value: object) -> object:
    match value:
        case BaseModel():
            return _plain(value.model_dump(mode="json"))
        case Mapping():
            return {str(name): _plain(each) for name, each in value.items()}
        case frozenset() | set():
            return sorted(map(str, value))
        case str() | int() | float() | None:
            return value
        case list() | tuple():
            return [_plain(each) for each in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return _plain(asdict(value))
        case _:
            return str(value)


def told(call: Callable[..., object], *arguments: object, **named: object) -> str:
    """What a call answers or complains about."""
    try:
        return rendered(call(*arguments, **named))
    except TrinitasError as error:
        return f"{type(error).__name__}: {error}"


def unnamed(text: str, memory_id: str) -> str:
    """Without the id that was asked for."""
    return text.replace(memory_id, "ID")


def leaks(text: str) -> list[str]:
    """The secrets in it."""
    return [each for each in SECRETS if each in text]
