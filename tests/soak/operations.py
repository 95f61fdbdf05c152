"""What the clients do: every operation follows from the seed, the client's number and the operation's.

Nothing here depends on how an operation ended, so that a client that was killed goes on where it was, and a run with
the same seed does the same again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from random import Random
from typing import Any

from trinitas_tasks.model import MemoryItem

LARGE_EVERY = 50
LARGE_BYTES = 200_000
HOT_SLOTS = 2
"""Ids that are rewritten and forgotten all the time."""
SLOTS = 100
MOST_AT_ONCE = 12
TYPES = ("working", "episodic", "semantic", "procedural")

SUBJECTS = ("The heron", "A lighthouse", "Our ferry", "The archive", "Her compass", "The orchard", "A glacier")
DEEDS = ("stands beside", "was painted for", "remembers", "was moved to", "belongs to", "looks like", "waits for")
PLACES = ("the northern harbour", "field nine", "the old mill", "Lisbon", "the third bridge", "the quiet valley")
SUBJECTS_JA = ("灯台", "青い自転車", "古い地図", "図書館の猫", "山の駅", "試験環境", "会議の記録")
DEEDS_JA = ("が移された先は", "を見つけたのは", "について話したのは", "が待っているのは", "を直したのは")
PLACES_JA = ("北の港", "静かな谷", "三番目の橋", "京都の店", "雨の日の公園", "新しい倉庫")

_SAID = re.compile(r"(c\d+n\d+i\d+) (\S+?) (?:says|曰く)")


class Kind(StrEnum):
    """What an operation does; the foreign ones ask a persona for what belongs to another."""

    REMEMBER = "remember"
    REWRITE = "rewrite"
    MANY = "many"
    GET = "get"
    RECALL = "recall"
    FORGET = "forget"
    FOREIGN_GET = "foreign get"
    FOREIGN_RECALL = "foreign recall"
    FOREIGN_FORGET = "foreign forget"


WEIGHTS = {
    Kind.REMEMBER: 28,
    Kind.REWRITE: 18,
    Kind.MANY: 8,
    Kind.GET: 22,
    Kind.RECALL: 10,
    Kind.FORGET: 9,
    Kind.FOREIGN_GET: 2,
    Kind.FOREIGN_RECALL: 2,
    Kind.FOREIGN_FORGET: 1,
}


@dataclass(frozen=True, slots=True)
class Item:
    """One memory to write. ``word`` occurs in no other content; ``id`` is None where the client shall choose it."""

    persona: str
    id: str | None
    word: str
    type: str

    @property
    def content(self) -> str:
        return content(self.persona, self.word)


@dataclass(frozen=True, slots=True)
class Operation:
    """``items`` are written; ``target`` is a memory of an earlier operation to read or forget, asked of ``persona``.

    ``patient``: a write that fails is tried again, with the same words.
    """

    number: int
    kind: Kind
    persona: str
    items: tuple[Item, ...] = ()
    target: Item | None = None
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """A memory as a read returned it. ``whose`` is the persona that its content names, ``word`` None where it names
    no word; ``intact``: the content is to the letter what was written under this word."""

    persona: str
    id: str
    word: str | None
    whose: str | None
    intact: bool


class Plan:
    """The operations of one client."""

    def __init__(self, seed: int, client: int, personas: Sequence[str]) -> None:
        self._seed = seed
        self._client = client
        self._personas = personas

    def operation(self, number: int) -> Operation:
        """The client's operation of this number, from 0."""
        random, kind = self._begun(number)
        if items := self.items(number):
            return Operation(number, kind, items[0].persona, items, patient=random.random() < 0.5)
        target = self._target(number, random)
        if target is None:  # nothing was written before
            return Operation(number, Kind.RECALL, self._personas[0])
        persona = target.persona
        if kind in (Kind.FOREIGN_GET, Kind.FOREIGN_RECALL, Kind.FOREIGN_FORGET):
            persona = random.choice([each for each in self._personas if each != target.persona])
        return Operation(number, kind, persona, target=target)

    def items(self, number: int) -> tuple[Item, ...]:
        """What the operation of this number writes."""
        _, kind = self._begun(number)
        if kind not in (Kind.REMEMBER, Kind.REWRITE, Kind.MANY):
            return ()
        random = Random(f"{self._seed}/{self._client}/{number}/items")
        count = random.randint(2, MOST_AT_ONCE) if kind is Kind.MANY else 1
        items: dict[tuple[str, str], Item] = {}
        for index in range(count):
            own = kind is Kind.REWRITE or (kind is Kind.MANY and random.random() < 0.5)
            item = Item(
                persona=random.choice(self._personas),
                id=self._slot(random) if own else None,
                word=f"c{self._client}n{number}i{index}",
                type=random.choice(TYPES),
            )
            items[item.persona, item.id or item.word] = item
        return tuple(items.values())

    def _begun(self, number: int) -> tuple[Random, Kind]:
        random = Random(f"{self._seed}/{self._client}/{number}")
        return random, random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]

    def _slot(self, random: Random) -> str:
        slot = random.randrange(HOT_SLOTS) if random.random() < 0.4 else random.randrange(HOT_SLOTS, SLOTS)
        return f"c{self._client}-slot{slot}"

    def _target(self, number: int, random: Random) -> Item | None:
        """Something written before, more often of late."""
        back = random.randint(1, 8) if random.random() < 0.6 else random.randint(1, max(1, number))
        for earlier in range(number - back, -1, -1):
            if items := self.items(earlier):
                return random.choice(items)
        return None


def client_of(word: str) -> int:
    """The number of the client that writes this word."""
    return int(word[1 : word.index("n")])


def seen(item: MemoryItem) -> Seen:
    """What a read returned, reduced to what the checks need."""
    said = _SAID.match(item.content) if isinstance(item.content, str) else None
    word, whose = said.groups() if said else (None, None)
    intact = word is not None and whose is not None and item.content == content(whose, word)
    return Seen(item.persona, item.id, word, whose, intact)


def arguments(item: Item) -> dict[str, Any]:
    """The arguments of remember() for an item."""
    given = {"content": item.content, "persona": item.persona, "type": item.type, "id": item.id}
    return {name: value for name, value in given.items() if value is not None}


@cache
def _filler(size_bytes: int) -> str:
    random = Random(size_bytes)
    sentences: list[str] = []
    length = 0
    while length < size_bytes:
        sentences.append(_sentence(random))
        length += len(sentences[-1].encode()) + 1
    return " ".join(sentences)


def _sentence(random: Random) -> str:
    number = random.randrange(1000)
    if random.random() < 0.5:
        return f"{random.choice(SUBJECTS)} {random.choice(DEEDS)} {random.choice(PLACES)}, {number}."
    return f"{random.choice(SUBJECTS_JA)}{random.choice(DEEDS_JA)}{random.choice(PLACES_JA)}、{number}番。"


def content(persona: str, word: str) -> str:
    """The content with this word, English or Japanese, one in `LARGE_EVERY` large."""
    random = Random(word)
    says = random.choice(("says:", "曰く、"))
    text = f"{word} {persona} {says} {_sentence(random)}"
    return f"{text} {_filler(LARGE_BYTES)}" if random.randrange(LARGE_EVERY) == 0 else text
