"""`detect_anomalies`: a report on what looks wrong, with what to do about it. Nothing is changed by it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.lives import Choice, Life
from trinitas_tasks.tiers.hot.interface import HotTier, Searches

TASK: Final = "detect_anomalies"
MARK: Final = "watched"
BEFORE: Final = 48
"""With so many earlier runs this one is compared."""
REPEATED: Final = 20
"""The same text more often than this in one run is a runaway."""
SHOWN: Final = 5
"""So many examples of one finding are named."""
LETTERS: Final = 100
MOST: Final = 50_000
"""So many memories one run looks at."""
TEXT: Final = 80
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
    after = max([kept, *(detail.get("until", {}).get("seq", 0) for detail in before)])
    if after > kept and not dry:
        archive.put_mark(MARK, after)  # rows do not stay for ever
    seen, findings = _Seen(), list[Finding]()
    try:
        after = _look(seen, archive, after, limit)
    except ArchiveError as error:
        findings.append(Finding("critical", "unreadable", "", str(error), "restore the archive from a backup"))
    searches = {each.persona: each for each in hot.searches()}
    findings += [
        *_bursts(seen, before),
        *_junk(seen),
        *_runaways(seen),
        *_unreadable(archive),
        *_drops(searches, before),
    ]
    detail: dict[str, JsonValue] = {
        "findings": [each.told() for each in findings],
        "arrived": dict(seen.arrived),
        "searches": {persona: [each.asked, each.empty] for persona, each in searches.items()},
        "until": {"at": now.isoformat(), "seq": after},
    }
    decisions = tuple(
        Decision(Key(each.persona, ", ".join(each.ids)), each.severity, f"{each.kind}: {each.evidence}; {each.action}")
        for each in findings
    )
    return Report(seen.arrived.total(), decisions, 0, detail=detail)


@dataclass(slots=True)
class _Seen:
    """What is kept of the memories that came: by persona how many, what is junk of them and why, and what was said how
    often, with some of their ids."""

    arrived: Counter[str] = field(default_factory=Counter)
    junk: dict[str, Counter[str]] = field(default_factory=dict)
    junk_ids: dict[str, list[str]] = field(default_factory=dict)
    said: dict[str, Counter[bytes]] = field(default_factory=dict)
    said_by: dict[bytes, list[str]] = field(default_factory=dict)
    texts: dict[bytes, str] = field(default_factory=dict)

    def take(self, life: Life) -> None:
        """One more."""
        persona, item = life.key.persona, life.record.item
        self.arrived[persona] += 1
        if (why := junk(item)) is not None:
            self.junk.setdefault(persona, Counter())[why] += 1
            _some(self.junk_ids.setdefault(persona, []), life.key.id)
        text = " ".join(content_text(item).lower().split())
        digest = hashlib.blake2b(f"{persona}\0{text}".encode(), digest_size=12).digest()
        self.said.setdefault(persona, Counter())[digest] += 1
        self.texts.setdefault(digest, text[:TEXT])
        _some(self.said_by.setdefault(digest, []), life.key.id)


def _some(ids: list[str], more: str) -> None:
    if len(ids) < SHOWN:
        ids.append(more)


def _look(seen: _Seen, archive: Archive, after: int, limit: int) -> int:
    """Take what came after that; the number of the last. What is more than one run takes is left to the next one."""
    while seen.arrived.total() < MOST and (fresh := archive.chosen(Choice(cold=None, after=after), limit)):
        for life in fresh:
            seen.take(life)
        after = fresh[-1].seq
    return after


def _bursts(seen: _Seen, before: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    for persona, count in seen.arrived.items():
        earlier = [int(detail.get("arrived", {}).get(persona, 0)) for detail in before]
        if (how := severity(unusual(count, earlier))) is not None:
            mean = sum(earlier) / len(earlier)
            evidence = f"{count:,} memories since the last run; usually {mean:,.0f}"
            yield Finding(how, "burst of writes", persona, evidence, "see who writes: a loop, or an import?")


def _junk(seen: _Seen) -> Iterator[Finding]:
    for persona, reasons in seen.junk.items():
        count, of = reasons.total(), seen.arrived[persona]
        told = ", ".join(f"{number} × {why}" for why, number in reasons.most_common(3))
        how = "warning" if count > JUNK_SHARE * of and count > 1 else "info"
        evidence = f"{count:,} of {of:,} new memories look like junk: {told}"
        ids = tuple(seen.junk_ids[persona])
        yield Finding(how, "junk", persona, evidence, "forget them, and see what writes them", ids)


def _runaways(seen: _Seen) -> Iterator[Finding]:
    for persona, said in seen.said.items():
        for digest, count in said.most_common(SHOWN):
            if count > REPEATED:
                evidence = f"{count:,} times the same: {seen.texts[digest]!r}"
                action = "whoever writes it should give it one id, or write within TRINITAS_DEDUP_SECONDS"
                yield Finding("warning", "runaway duplicates", persona, evidence, action, tuple(seen.said_by[digest]))


def _unreadable(archive: Archive) -> Iterator[Finding]:
    letters = archive.dead(LETTERS)
    for persona, count in Counter(letter.key.persona for letter in letters).items():
        ids = tuple(letter.key.id for letter in letters if letter.key.persona == persona)
        evidence = f"{count:,} records could not be archived"
        yield Finding(
            "warning", "dead letters", persona, evidence, "`trinitas dead-letters list` shows why", ids[:SHOWN]
        )


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
