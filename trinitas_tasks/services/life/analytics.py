"""Figures on memories and how they are used, and what they recommend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.lives import Census, Choice, Life, Order
from trinitas_tasks.tiers.hot.interface import Copies, HotTier, Reads, Searches

SHOWN: Final = 5
"""So many of the most and the least useful memories are named."""
ENOUGH_READS: Final = 500
ENOUGH_SEARCHES: Final = 50
ENOUGH_MEMORIES: Final = 100
"""Of fewer nothing is concluded."""
HIT_RATE: Final = 0.8
EMPTY_SHARE: Final = 0.2
DUPLICATE_SHARE: Final = 0.1
UNREAD_SHARE: Final = 0.8
SLOW_MS: Final = 50.0


@dataclass(frozen=True, slots=True)
class InForce:
    """Settings that the recommendations are about."""

    cache_size_mb: int
    cache_seconds: int
    archive_days: float
    dedup_seconds: int


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A setting that should be changed, and by which evidence."""

    setting: str
    now: str
    suggested: str
    persona: str
    evidence: str


def analyse(
    personas: Sequence[str], *, hot: HotTier, archive: Archive, in_force: InForce, now: datetime
) -> dict[str, Any]:
    """Of these personas: memories by type, importance and age, growth, hit rates, searches, most and least useful ones,
    who shares with whom; of all together what copies take; and recommendations. Raises: Unavailable."""
    reads = {each.persona: each for each in hot.reads()}
    searches = {each.persona: each for each in hot.searches()}
    copies = hot.copies()
    censuses = {persona: archive.census(persona, now) for persona in personas}
    told = {
        persona: {
            **_counted(census),
            "reads": _reads(reads.get(persona)),
            "searches": _searches(searches.get(persona)),
            "most_useful": _named(archive.chosen(Choice(persona=persona, order=Order.SCORE), SHOWN)),
            "least_useful": _named(archive.chosen(Choice(persona=persona, order=Order.FADING, pinned=False), SHOWN)),
        }
        for persona, census in censuses.items()
    }
    advice = [
        *_on_copies(list(reads.values()), copies, in_force),
        *(each for persona in personas for each in _on(censuses[persona], searches.get(persona), in_force)),
    ]
    return {
        "at": now.isoformat(),
        "personas": told,
        "copies": asdict(copies),
        "hit_rate": _hit_rate(list(reads.values())),
        "recommendations": [asdict(each) for each in advice],
    }


def _counted(census: Census) -> dict[str, Any]:
    return {
        "memories": sum(census.by_type.values()),
        "by_type": {kind.value: count for kind, count in census.by_type.items()},
        "archived": census.cold,
        "pinned": census.pinned,
        "by_importance": list(census.by_score),
        "by_age_days": {str(days) if days else "older": count for days, count in census.by_age.items()},
        "grown": dict(census.grown),
        "content_mb": round(census.content_bytes / 1e6, 3),
        "duplicates": census.duplicates,
        "never_read": census.never_read,
        "shared_to": dict(census.shared_to),
    }


def _reads(reads: Reads | None) -> dict[str, Any]:
    return {} if reads is None else {"read": reads.read, "fetched": reads.fetched, "hit_rate": _hit_rate([reads])}


def _hit_rate(reads: Sequence[Reads]) -> float | None:
    """The share of reads that the hot tier answered; None before the first."""
    read, fetched = sum(each.read for each in reads), sum(each.fetched for each in reads)
    return round(max(1 - fetched / read, 0.0), 4) if read else None


def _searches(searches: Searches | None) -> dict[str, Any]:
    if searches is None or not searches.asked:
        return {}
    return {
        "searched": searches.asked,
        "empty": searches.empty,
        "mean_ms": round(searches.total_ms / searches.asked, 2),
        "slowest": [{"ms": round(ms, 2), "text": text} for ms, text in searches.slowest],
    }


def _named(lives: Sequence[Life]) -> list[dict[str, Any]]:
    return [
        {
            "id": life.key.id,
            "type": life.record.item.type.value,
            "importance": life.record.item.importance if life.score is None else round(life.score, 4),
            "accesses": life.record.item.access_count,
        }
        for life in lives
    ]


def _on_copies(reads: Sequence[Reads], copies: Copies, in_force: InForce) -> Iterator[Recommendation]:
    rate = _hit_rate(reads)
    if rate is None or rate >= HIT_RATE or sum(each.read for each in reads) < ENOUGH_READS:
        return
    if copies.evicted:
        evidence = f"{rate:.0%} of reads were answered from Redis, and {copies.evicted:,} copies had to make room"
        suggested = str(2 * in_force.cache_size_mb)
        yield Recommendation("CACHE_SIZE_MB", str(in_force.cache_size_mb), suggested, "", evidence)
    else:
        evidence = f"{rate:.0%} of reads were answered from Redis, though there was room: copies end too early"
        suggested = str(4 * in_force.cache_seconds)
        yield Recommendation("REDIS_TTL_CACHE", str(in_force.cache_seconds), suggested, "", evidence)


def _on(census: Census, searches: Searches | None, in_force: InForce) -> Iterator[Recommendation]:
    count, persona = sum(census.by_type.values()), census.persona
    if searches is not None and searches.asked >= ENOUGH_SEARCHES:
        empty = searches.empty / searches.asked
        if empty > EMPTY_SHARE and census.cold:
            evidence = f"{empty:.0%} of searches found nothing, and {census.cold:,} memories are archived"
            now, longer = f"{in_force.archive_days:g}", f"{2 * in_force.archive_days:g}"
            yield Recommendation("SQLITE_ARCHIVE_DAYS", now, longer, persona, evidence)
        if (mean := searches.total_ms / searches.asked) > SLOW_MS:
            evidence = f"a search takes {mean:.0f} ms on average"
            yield Recommendation("TRINITAS_LIFE", "", '{"max_memories": …}: a smaller index', persona, evidence)
    if count < ENOUGH_MEMORIES:
        return
    if census.duplicates / count > DUPLICATE_SHARE:
        evidence = f"{census.duplicates:,} of {count:,} memories say what another one says"
        yield Recommendation("TRINITAS_DEDUP_SECONDS", str(in_force.dedup_seconds), "300", persona, evidence)
    if (unread := census.never_read / count) > UNREAD_SHARE and count - census.cold > 10 * ENOUGH_MEMORIES:
        evidence = f"{unread:.0%} of {count:,} memories were never read"
        yield Recommendation("TRINITAS_LIFE", "", '{"forget_below": 0.2}: forget sooner', persona, evidence)
