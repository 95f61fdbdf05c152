"""`detect_anomalies`: a report on what looks wrong, with what to do about it. Nothing is changed by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from pydantic import JsonValue

from trinitas_tasks.errors import ArchiveError
from trinitas_tasks.model import Key
from trinitas_tasks.policy.bursts import dropped, severity, unusual
from trinitas_tasks.policy.junk import junk
from trinitas_tasks.policy.text import content_text
from trinitas_tasks.services.life.report import Decision, Report
from trinitas_tasks.tiers.archive.interface import Archive, Run
from trinitas_tasks.tiers.archive.lives import Choice, Life
from trinitas_tasks.tiers.hot.interface import HotTier, Searches

TASK: Final = "detect_anomalies"
MARK: Final = "watched"
BEFORE: Final = 48
"""With so many earlier runs this one is compared."""
REPEATED: Final = 20
"""The same text more often than this in one run is a runaway."""
PAGES: Final = 20
"""So much is looked at in one run; the next one goes on."""
SHOWN: Final = 5
"""So many examples of one finding are named."""
LETTERS: Final = 100
JUNK_SHARE: Final = 0.2
"""A warning where more of what a persona wrote is junk, and a note below."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that looks wrong: how bad (info, warning or critical), what, about whom, by which evidence, and what to
    do about it."""

    severity: str
    kind: str
    persona: str
    evidence: str
    action: str
    ids: tuple[str, ...] = ()

    def told(self) -> dict[str, JsonValue]:
        """As it is kept."""
        return {**{name: getattr(self, name) for name in self.__dataclass_fields__}, "ids": list(self.ids)}


def detect_anomalies(*, hot: HotTier, archive: Archive, now: datetime, limit: int, dry: bool = False) -> Report:
    """Look at what came since the last run, ``limit`` memories at a time, and at how searches went. How far it came is
    told with what it found: a run that is killed before that is kept has seen nothing. Raises: Unavailable.
    """
    before: list[Mapping[str, Any]] = [run.detail for run in archive.runs(TASK, BEFORE)]
    kept = archive.mark(MARK)
    seen = max([kept, *(detail.get("until", {}).get("seq", 0) for detail in before)])
    if seen > kept and not dry:
        archive.put_mark(MARK, seen)  # rows do not stay for ever
    findings: list[Finding] = []
    fresh: list[Life] = []
    try:
        fresh = _fresh(archive, seen, limit, 1 if dry else PAGES)
    except ArchiveError as error:
        findings.append(Finding("critical", "unreadable", "", str(error), "restore the archive from a backup"))
    searches = {each.persona: each for each in hot.searches()}
    findings += _bursts(fresh, before)
    findings += _junk(fresh)
    findings += _runaways(fresh)
    findings += _unreadable(archive)
    findings += _drops(searches, before)
    detail: dict[str, JsonValue] = {
        "findings": [each.told() for each in findings],
        "arrived": dict(Counter(life.key.persona for life in fresh)),
        "searches": {persona: [each.asked, each.empty] for persona, each in searches.items()},
        "until": {"at": now.isoformat(), "seq": fresh[-1].seq if fresh else seen},
    }
    decisions = tuple(
        Decision(Key(each.persona, ", ".join(each.ids)), each.severity, f"{each.kind}: {each.evidence}; {each.action}")
        for each in findings
    )
    return Report(len(fresh), decisions, 0, detail=detail)


def _fresh(archive: Archive, after: int, limit: int, pages: int) -> list[Life]:
    """All of them together: a burst, or a runaway, is larger than a page."""
    found: list[Life] = []
    for _ in range(pages):
        page = archive.chosen(Choice(cold=None, after=found[-1].seq if found else after), limit)
        found += page
        if len(page) < limit:
            break
    return found


def _by_persona(lives: Sequence[Life]) -> Mapping[str, list[Life]]:
    found: dict[str, list[Life]] = {}
    for life in lives:
        found.setdefault(life.key.persona, []).append(life)
    return found


def _bursts(fresh: Sequence[Life], before: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    for persona, mine in _by_persona(fresh).items():
        earlier = [int(detail.get("arrived", {}).get(persona, 0)) for detail in before]
        if (how := severity(unusual(len(mine), earlier))) is not None:
            mean = sum(earlier) / len(earlier)
            evidence = f"{len(mine):,} memories since the last run; usually {mean:,.0f}"
            yield Finding(how, "burst of writes", persona, evidence, "see who writes: a loop, or an import?")


def _junk(fresh: Sequence[Life]) -> Iterator[Finding]:
    for persona, mine in _by_persona(fresh).items():
        found = [(life, why) for life in mine if (why := junk(life.record.item)) is not None]
        if not found:
            continue
        share = len(found) / len(mine)
        reasons = ", ".join(f"{count} × {why}" for why, count in Counter(why for _, why in found).most_common(3))
        how = "warning" if share > JUNK_SHARE and len(found) > 1 else "info"
        evidence = f"{len(found):,} of {len(mine):,} new memories look like junk: {reasons}"
        ids = tuple(life.key.id for life, _ in found[:SHOWN])
        yield Finding(how, "junk", persona, evidence, "forget them, and see what writes them", ids)


def _runaways(fresh: Sequence[Life]) -> Iterator[Finding]:
    for persona, mine in _by_persona(fresh).items():
        said: dict[str, list[str]] = {}
        for life in mine:
            said.setdefault(" ".join(content_text(life.record.item).lower().split()), []).append(life.key.id)
        for text, ids in said.items():
            if len(ids) > REPEATED:
                evidence = f"{len(ids):,} times the same: {text[:80]!r}"
                action = "whoever writes it should give it one id, or write within TRINITAS_DEDUP_SECONDS"
                yield Finding("warning", "runaway duplicates", persona, evidence, action, tuple(ids[:SHOWN]))


def _unreadable(archive: Archive) -> Iterator[Finding]:
    letters = archive.dead(LETTERS)
    for persona, count in Counter(letter.key.persona for letter in letters).items():
        ids = tuple(letter.key.id for letter in letters if letter.key.persona == persona)
        evidence = f"{count:,} records could not be archived"
        yield Finding("warning", "dead letters", persona, evidence, "`trinitas dead-letters` shows why", ids[:SHOWN])


def _drops(searches: Mapping[str, Searches], before: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    for persona, now in searches.items():
        totals = [(now.asked, now.empty)]
        totals += [tuple(each) for detail in before if (each := detail.get("searches", {}).get(persona))]
        # the counters begin anew with a server
        steps = [
            (empty - earlier_empty, asked - earlier_asked)
            for (asked, empty), (earlier_asked, earlier_empty) in pairwise(totals)
            if asked >= earlier_asked and empty >= earlier_empty
        ]
        if len(steps) < 2:  # one to look at and one to compare it with
            continue
        (empty, asked), *earlier = steps
        if (how := severity(dropped(empty, asked, earlier))) is not None:
            evidence = f"{empty:,} of {asked:,} searches since the last run found nothing"
            action = "`trinitas doctor`; are filters too narrow, or was something archived that is needed?"
            yield Finding(how, "searches without hits", persona, evidence, action)


def last_findings(run: Run | None) -> list[dict[str, Any]]:
    """What the last run found."""
    found: Any = [] if run is None else run.detail.get("findings", [])
    return list(found)
