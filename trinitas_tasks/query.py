"""What is asked of memories, and what is answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self, overload

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from trinitas_tasks.errors import InvalidQuery
from trinitas_tasks.model import Key, MemoryItem, MemoryType, Persona, Tag, Text, Time, checked_json, complaint


class Filters(BaseModel):
    """What a memory must be to count as an answer; what is left out is not looked at."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    types: frozenset[MemoryType] = frozenset()
    """Of one of these types; empty means all."""
    any_tags: frozenset[Tag] = frozenset()
    """With at least one of these tags."""
    all_tags: frozenset[Tag] = frozenset()
    """With every one of these tags."""
    since: Time | None = None
    """Its timestamp is this or later."""
    before: Time | None = None
    """Its timestamp is earlier than this."""
    min_importance: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    metadata: Annotated[dict[str, Any], AfterValidator(checked_json)] = Field(default_factory=dict)
    """Its metadata has these keys with these values."""
    include_archived: bool = False
    """Also what left the index for its age, or because it was forgotten (see policy.retention). Only the archive and
    the indexes know of that: ``admit`` does not look at it."""

    def admit(self, item: MemoryItem) -> bool:
        """Whether this memory counts."""
        return (
            (not self.types or item.type in self.types)
            and (self.since is None or item.timestamp >= self.since)
            and (self.before is None or item.timestamp < self.before)
            and item.importance >= self.min_importance
            and self.admit_labels(item.tags, item.metadata)
        )

    def admit_labels(self, tags: Sequence[str], metadata: Mapping[str, Any]) -> bool:
        """Whether a memory with these tags and this metadata counts, as far as they are concerned. Values are those of
        JSON: 1 and 1.0 are one number, "1" and true are something else."""
        return (
            (not self.any_tags or not self.any_tags.isdisjoint(tags))
            and self.all_tags.issubset(tags)
            and all(key in metadata and _is_same_json(metadata[key], value) for key, value in self.metadata.items())
        )

    @property
    def narrow(self) -> bool:
        """Whether anything is filtered at all."""
        return self != Filters(include_archived=self.include_archived)


def _is_same_json(one: Any, other: Any) -> bool:
    """Equality that tells true from 1, which Python's does not."""
    match one, other:
        case (bool(), _) | (_, bool()):
            return one is other
        case list(), list():
            return len(one) == len(other) and all(map(_is_same_json, one, other))
        case dict(), dict():
            return one.keys() == other.keys() and all(_is_same_json(one[key], other[key]) for key in one)
        case _:
            return bool(one == other)


class Boosts(BaseModel):
    """How much more than its relevance counts, each 0 (not at all) to 1: the newer, the more important, the more
    often read a memory is, the higher it comes. Halving times of recency are those of the memory's type."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    recency: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    importance: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    access: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0


class Ranking(StrEnum):
    """Which of its lists a recall is answered from: both, weighed against each other, unless somebody compares."""

    FUSED = "fused"
    DENSE = "dense"
    FULLTEXT = "fulltext"


class Asked(BaseModel):
    """A question, whatever is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def build(cls, **fields: Any) -> Self:
        """Make one from a caller's fields. Raises: InvalidQuery, naming the field and what is wrong."""
        try:
            return cls(**fields)
        except ValidationError as error:
            raise InvalidQuery(complaint(error)) from None


class Query(Asked):
    """What is asked of the memories of one persona or several."""

    text: Text
    persona: Persona
    """Who asks: sees what is its own and what was shared with it."""
    among: tuple[Persona, ...] = ()
    """Whose memories are searched instead, whole; what was shared with them is not."""
    everybody: bool = False
    """Instead, all memories there are: only where the settings allow it."""
    limit: Annotated[int, Field(ge=1, le=1000, strict=True)] = 10
    filters: Filters = Filters()
    boosts: Boosts = Boosts()
    min_similarity: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Only what is at least so relevant (see policy.fusion)."""
    skip: Annotated[int, Field(ge=0, le=10_000, strict=True)] = 0
    """How many of the best are left out: what earlier pages had."""
    context: Annotated[int, Field(ge=0, le=20, strict=True)] = 0
    """How many memories before and after each hit in its session come with it."""
    collapse: bool = True
    """Near-duplicates are one hit."""
    explain: bool = False
    ranking: Ranking = Ranking.FUSED
    phrases: tuple[Text, ...] = ()
    """What an answer must hold word for word (see policy.text.says)."""
    quoted: tuple[Text, ...] = ()
    """What makes those that hold it word for word come higher."""
    period: tuple[Time, Time] | None = None
    """The time that the question names: memories from then, before its end, come higher."""
    now: Time | None = None
    """From when the age of a memory is counted; None: now."""


class Timeline(Asked):
    """Which memories, of those that a persona may see, in which order of their time."""

    persona: Persona
    filters: Filters = Filters(include_archived=True)
    newest_first: Annotated[bool, Field(strict=True)] = True
    limit: Annotated[int, Field(ge=1, le=1000, strict=True)] = 50


class Hit(BaseModel):
    """One answer. ``score`` is its relevance, 0 to 1, raised by the boosts that were asked for; 0.5 is as typical of
    right answers as of wrong ones that come near (see policy.fusion). ``why`` holds its parts: ``coverage`` (of the
    question's words), ``similarity`` (of the meaning), ``trust`` (in the latter), boosts, ranks in both lists, and with
    ``explain`` the ``words`` found. ``tier`` is the tier that held the record (redis, archive or spool).
    ``similar`` are the near-duplicates that it stands for, ``before`` and ``after`` its neighbours in its session.
    """

    model_config = ConfigDict(frozen=True)

    item: MemoryItem
    score: float
    why: Mapping[str, JsonValue] = Field(default_factory=dict)
    tier: str = "redis"
    similar: tuple[Key, ...] = ()
    before: tuple[MemoryItem, ...] = ()
    after: tuple[MemoryItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Recall(Sequence[Hit]):
    """The hits of one recall, best first, and which tiers took part: empty is not failed.

    ``answered`` names the tiers that answered, ``degraded`` says which did not and why. ``next`` asks for what follows:
    pass it as ``after``; None where there is no more.
    """

    hits: tuple[Hit, ...]
    answered: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    cached: bool = False
    next: str | None = None

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Hit]: ...
    def __getitem__(self, index: int | slice) -> Hit | Sequence[Hit]:
        return self.hits[index]

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)


@dataclass(frozen=True, slots=True)
class Page(Sequence[MemoryItem]):
    """Memories in the order of their time, and what was missing (see Recall). ``next`` asks for what follows."""

    items: tuple[MemoryItem, ...]
    degraded: tuple[str, ...] = ()
    next: str | None = None

    @overload
    def __getitem__(self, index: int) -> MemoryItem: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[MemoryItem]: ...
    def __getitem__(self, index: int | slice) -> MemoryItem | Sequence[MemoryItem]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[MemoryItem]:
        return iter(self.items)
