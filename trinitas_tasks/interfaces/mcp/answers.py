"""What the tools answer: data for programs, and the same as text for whoever reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from trinitas_tasks.interfaces.provenance import MemoryData, as_text

SHOWN: Final = 20
"""So many decisions and questions are written out as text; the data have more."""


class Answer(BaseModel):
    """Of one tool."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def text(self) -> str:
        """For whoever reads no JSON."""
        raise NotImplementedError


class Remembered(Answer):
    """Of trinitas_remember."""

    id: str = Field(description="the memory's id; the same call within a minute gives the same")
    persona: str

    def text(self) -> str:
        return f"{self.persona} remembers it as {self.id}."


class FoundMemory(BaseModel):
    """One answer to a question."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    relevance: float = Field(description="0 to 1; 0.5 is as typical of right answers as of wrong ones that come near")
    similarity: float | None = Field(
        description="of the meanings, 0 to 1, where it is known: (1 + cosine) / 2; not comparable across languages"
    )
    memory: MemoryData
    says_the_same: list[str] = Field(description="ids of near-duplicates that it stands for")


class Found(Answer):
    """Of the tools that search."""

    memories: list[FoundMemory] = Field(description="best first")
    degraded: list[str] = Field(description="what was away, so that something may be missing; empty: nothing was")
    next: str | None = Field(description="pass it as `after` for more; null: there is no more")

    def text(self) -> str:
        relevances = ", ".join(f"{each.relevance:.2f}" for each in self.memories)
        head = [f"{counted(self.memories)}, by relevance: {relevances}." if self.memories else "Nothing was found."]
        return written(head, [each.memory for each in self.memories], self.degraded, self.next)


class Page(Answer):
    """Of trinitas_timeline."""

    memories: list[MemoryData]
    degraded: list[str] = Field(description="what was away, so that something may be missing; empty: nothing was")
    next: str | None = Field(description="pass it as `after` for more; null: there is no more")

    def text(self) -> str:
        head = [f"{counted(self.memories)}." if self.memories else "There is nothing from then."]
        return written(head, self.memories, self.degraded, self.next)


class One(Answer):
    """Of trinitas_get and trinitas_update."""

    memory: MemoryData

    def text(self) -> str:
        return as_text([self.memory])


class Done(Answer):
    """Of the tools that do one thing to one memory."""

    id: str
    persona: str
    done: str = Field(description="forgotten, pinned, unpinned, useful or useless")

    def text(self) -> str:
        return f"{self.id} of {self.persona}: {self.done}."


class Shared(Answer):
    """Of trinitas_share_memory and trinitas_unshare_memory."""

    id: str
    persona: str
    shared_with: list[str] = Field(description="the personas that may read it now, besides its own")

    def text(self) -> str:
        readers = ", ".join(self.shared_with) or "nobody else"
        return f"{self.id} of {self.persona} can be read by {readers}."


class Statistics(Answer):
    """Of trinitas_memory_stats."""

    persona: str
    by_type: dict[str, int] | None = Field(description="archived memories; null: the workers did not answer")
    pending: int = Field(description="memories that wait to be archived; they are safe and found already")
    lag_seconds: float = Field(description="for how long the oldest of them has waited")
    vectors: int | None = Field(description="memories that are found by meaning")
    unindexed: int | None = Field(description="those that are not yet")
    dead_letters: int | None = Field(description="memories that could not be embedded")
    spooled: int = Field(description="writes of this machine that wait for Redis")
    degraded: list[str]

    def text(self) -> str:
        kinds = "unknown" if self.by_type is None else told(self.by_type) or "none"
        lines = [f"Archived memories of {self.persona}: {kinds}; {self.pending} on their way."]
        lines += [f"{self.dead_letters} could not be embedded."] if self.dead_letters else []
        lines += [f"{self.spooled} writes wait for Redis."] if self.spooled else []
        return "\n".join([*lines, *missing(self.degraded)])


class Recommendation(BaseModel):
    """A setting that should be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    setting: str
    now: str
    suggested: str
    persona: str = Field(description="whom it concerns; empty: everybody")
    evidence: str


class Analysed(Answer):
    """Of trinitas_memory_analytics."""

    at: str
    personas: dict[str, dict[str, Any]] = Field(
        description="by persona: memories by type, importance and age, growth, reads, searches, most and least useful"
    )
    copies: dict[str, Any] | None = Field(None, description="what copies of archived memories take in Redis")
    hit_rate: float | None = Field(None, description="share of all reads that Redis answered")
    recommendations: list[Recommendation]

    def text(self) -> str:
        lines = [
            f"{name}: {its['memories']:,} memories ({told(its['by_type']) or 'none'}), {its['archived']:,} archived, "
            f"{its['pinned']:,} pinned, {its['never_read']:,} never read, {its['duplicates']:,} duplicates."
            for name, its in self.personas.items()
        ]
        for each in self.recommendations:
            whom = f" for {each.persona}" if each.persona else ""
            lines.append(f"Recommended: {each.setting}{whom}: {each.suggested}, because {each.evidence}.")
        return "\n".join(lines) or "There are no memories yet."


class Decision(BaseModel):
    """What was done to a memory, or would be."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    persona: str
    id: str
    action: str
    why: str


class Consolidated(Answer):
    """Of trinitas_consolidate."""

    dry_run: bool
    examined: int
    changed: int
    decided: int
    decisions: list[Decision] = Field(description="the first of them")
    errors: list[str]
    more: bool = Field(description="whether the same call would go on")

    def text(self) -> str:
        what = "would be changed; nothing was" if self.dry_run else "were changed"
        count = self.decided if self.dry_run else self.changed
        lines = [f"{self.examined} memories examined, {count} {what}."]
        lines += [f"{each.action} {each.id} of {each.persona}: {each.why}" for each in self.decisions[:SHOWN]]
        lines += [f"… and {self.decided - SHOWN} more."] if self.decided > SHOWN else []
        lines += [f"Could not: {each}" for each in self.errors]
        lines += ["More is due: call it again."] if self.more else []
        return "\n".join(lines)


class Checked(Answer):
    """Of trinitas_health."""

    ok: bool
    parts: dict[str, str | None] = Field(description="by part what is wrong with it; null: nothing is")
    warnings: list[str]

    def text(self) -> str:
        wrong = [f"{part}: {problem}" for part, problem in self.parts.items() if problem is not None]
        head = "Memories can be written and found." if self.ok else "Something is wrong:"
        return "\n".join([head, *wrong, *(f"Warning: {each}" for each in self.warnings)])


class Explained(Answer):
    """Of trinitas_why."""

    persona: str
    id: str
    type: str
    archived: bool = Field(description="whether it left the index: found with include_archived only")
    pinned: bool
    accesses: int
    last_use: str
    unused_days: float
    importance: dict[str, Any] = Field(description="own: as given; now: computed, and its parts")
    retention: dict[str, Any] = Field(description="how well it is remembered, 0 to 1, and when it fades")
    useful: int
    useless: int
    representative: str | None = Field(description="the memory that says the same and stands for it")
    next: str = Field(description="what becomes of it if nobody reads it")

    def text(self) -> str:
        state = [name for name in ("pinned", "archived") if getattr(self, name)] or ["active"]
        return "\n".join(
            (
                f"{self.type} memory {self.id} of {self.persona}: {', '.join(state)}.",
                f"Used {self.accesses} times, last {self.unused_days:g} days ago; "
                f"useful {self.useful} times, useless {self.useless} times.",
                f"Importance {self.importance['now']} (given: {self.importance['own']}).",
                f"Remembered to {self.retention['now']}.",
                f"Next: {self.next}.",
            )
        )


def told(counts: Mapping[str, int]) -> str:
    """Counts by name."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def counted(memories: Iterable[object]) -> str:
    """How many there are."""
    number = len(list(memories))
    return "1 memory" if number == 1 else f"{number} memories"


def missing(degraded: Iterable[str]) -> list[str]:
    """What is said of parts that were away."""
    return [f"Something may be missing: {each}" for each in degraded]


def written(head: list[str], memories: list[MemoryData], degraded: list[str], next: str | None) -> str:
    """Memories, between what is said about them."""
    lines = [*head, *missing(degraded)]
    lines += [as_text(memories)] if memories else []
    lines += [f'There is more: pass after="{next}".'] if next else []
    return "\n".join(lines)
