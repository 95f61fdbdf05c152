"""What may stand, by the journals; and what a read may therefore return. Pure: no clock, no service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.soak.operations import Seen, client_of
from trinitas_tasks.model import Key

LOST, RESURRECTED, DUPLICATED, LEAKED = "lost", "resurrected", "duplicated", "leaked"
KINDS = (LOST, RESURRECTED, DUPLICATED, LEAKED)
OLDER = "older"
"""An older version than the last acknowledged one: stale where Redis was away, else lost."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise. ``at``: seconds from the start of the run."""

    kind: str
    persona: str
    id: str
    detail: str
    at: float


@dataclass(slots=True)
class Standing:
    """What may stand under one id: what was acknowledged last (None: nothing), or anything tried later that was not.

    ``words`` are all that were ever to be written there.
    """

    acknowledged: str | None = None
    later: set[str | None] = field(default_factory=set)
    words: list[str] = field(default_factory=list)

    @property
    def possible(self) -> set[str | None]:
        return {self.acknowledged, *self.later}

    def verdict(self, word: str | None) -> str | None:
        """The kind of violation if this word stands there (None: nothing does), or None."""
        if word in self.possible:
            return None
        if word is None:
            return LOST
        if word not in self.words:
            return DUPLICATED
        return RESURRECTED if self.acknowledged is None else OLDER


class Ledger:
    """The memories of one client, or of all of them, as their journals tell. Every memory has one writing client."""

    def __init__(self, client: int | None = None) -> None:
        self._client = client
        self.standings: dict[Key, Standing] = {}
        self.loose: set[tuple[str, str]] = set()
        """Persona and word of what was written without an id and not acknowledged: it may stand under any id."""
        self.ids: dict[tuple[str, str], str] = {}
        """Under which id a persona's word was written."""
        self._intents: dict[int, Mapping[str, Any]] = {}

    def feed(self, line: Mapping[str, Any]) -> None:
        """Take the next line of a client's journal."""
        if line["what"] == "intent":
            self._intents[line["client"]] = line
            self._intend(line)
        elif line["what"] == "ack":
            self._acknowledge(self._intents[line["client"]], line["ids"])

    def _intend(self, line: Mapping[str, Any]) -> None:
        for persona, memory_id, word in line["items"]:
            if memory_id is None:
                if (persona, word) not in self.ids:
                    self.loose.add((persona, word))
            elif word is not None:
                standing = self.standings.setdefault(Key(persona, memory_id), Standing())
                standing.later.add(word)
                standing.words.append(word)
                self.ids[persona, word] = memory_id
            elif (found := self.standings.get(Key(persona, memory_id))) is not None:
                found.later.add(None)

    def _acknowledge(self, intent: Mapping[str, Any], ids: Sequence[str]) -> None:
        for (persona, _, word), memory_id in zip(intent["items"], ids, strict=True):
            key = Key(persona, memory_id)
            if word is None:
                if key in self.standings:
                    self.standings[key].acknowledged = None
                    self.standings[key].later.clear()
                continue
            self.loose.discard((persona, word))
            self.ids[persona, word] = memory_id
            standing = self.standings.setdefault(key, Standing())
            standing.acknowledged = word
            standing.later.clear()
            if word not in standing.words:
                standing.words.append(word)

    def judge_get(self, key: Key, found: Seen | None) -> Iterator[tuple[str, str]]:
        """The violations, as kind and detail, if get() of this id returned this."""
        if found is None:
            standing = self.standings.get(key)
            if standing is not None and standing.verdict(None):
                yield LOST, f"get returned None, not {_shown(standing)}"
            return
        if found.id != key.id:
            yield DUPLICATED, f"get returned the memory {found.id}"
        yield from self.judge_seen(key.persona, found)

    def judge_recall(self, persona: str, hits: Sequence[Seen]) -> Iterator[tuple[str, str, str]]:
        """The violations, as kind, id and detail, if recall() returned these."""
        ids: set[str] = set()
        words: dict[tuple[str | None, str], str] = {}
        for hit in hits:
            if hit.id in ids:
                yield DUPLICATED, hit.id, "recall returned this id twice"
            elif hit.word is not None and (hit.whose, hit.word) in words:
                yield DUPLICATED, hit.id, f"recall returned {hit.word} also under {words[hit.whose, hit.word]}"
            ids.add(hit.id)
            if hit.word is not None:
                words[hit.whose, hit.word] = hit.id
            for kind, detail in self.judge_seen(persona, hit):
                yield kind, hit.id, detail

    def judge_seen(self, persona: str, found: Seen) -> Iterator[tuple[str, str]]:
        """The violations if this came back when this persona was asked."""
        if found.persona != persona or found.whose not in (None, persona):
            yield LEAKED, f"{persona} was asked, and {found.word} of {found.whose} came, kept under {found.persona}"
            return
        if found.word is None or not found.intact:
            yield LOST, f"the content is damaged; its word: {found.word}"
            return
        if self._client not in (None, client_of(found.word)):
            return
        standing = self.standings.get(Key(persona, found.id))
        if standing is None:
            if (persona, found.word) not in self.loose:
                other = self.ids.get((persona, found.word), "no id at all")
                yield DUPLICATED, f"{found.word} stands here, but was written under {other}"
        elif kind := standing.verdict(found.word):
            yield kind, f"{found.word} stands here, not {_shown(standing)}"


def _shown(standing: Standing) -> str:
    named = ["nothing" if each is None else each for each in standing.possible]
    return " or ".join(sorted(named))
