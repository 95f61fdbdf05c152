"""What a question says beside its words: operators, quoted phrases and the time that it asks about.

Operators stand at the beginning of a word: ``tag:x`` or ``tag:"two words"`` (several: all of them), ``type:semantic``
(several: any of them), ``before:``, ``since:`` and ``after:`` with a time as `dates.read` reads it. What only looks
like an operator is text. Nothing here is ever syntax for an engine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from trinitas_tasks.model import MemoryType, Tag
from trinitas_tasks.policy import dates
from trinitas_tasks.policy.period import Period as Period
from trinitas_tasks.query import Filters, Query


@dataclass(frozen=True, slots=True)
class Question:
    """A question in its parts.

    ``text`` is what is to be searched for: the question without its operators. ``phrases`` are what it has in quotes,
    as written; they stay in the text. ``filters`` is what the operators say. ``period`` is when it asks about, None
    where it names no time; it makes some answers likelier and excludes none.
    """

    text: str
    phrases: tuple[str, ...]
    filters: Filters
    period: Period | None


# A quote opens where no letter or digit stands before it: 6" are inches. Each looks no further than to the next quote
# of its kind, which keeps this linear.
_QUOTED: Final = r'"[^"]*"|“[^“”]*”|「[^「」]*」|『[^『』]*』'
_PART: Final = re.compile(
    rf"(?<!\S)(?P<key>(?ai:tag|type|before|since|after)):(?:(?P<quoted>{_QUOTED})|(?P<bare>\S+))(?!\S)"
    rf"|(?<![A-Za-z0-9])(?P<phrase>{_QUOTED})"
)
_QUOTES: Final = frozenset('"“”「」『』')
_TRAILING: Final = ".,;?!、。"
_NARROW: Final = {0x3000: " "} | {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}
"""Full-width forms as they are in ASCII, one character for one."""
_TAG: Final[TypeAdapter[str]] = TypeAdapter(Tag)


def understand(text: str, *, now: datetime) -> Question:
    """Read a question. ``now``, aware, is what "yesterday" is counted from, in its time zone.

    Never fails, whatever the text is; takes time in proportion to its length.
    """
    narrow = text.translate(_NARROW)
    said, phrases = _Said(), list[str]()
    kept: list[tuple[int, int]] = []
    """Where there is text, and (with the phrases taken out) prose."""
    prose: list[str] = []
    at = since_operator = since_phrase = 0
    while match := _PART.search(narrow, at):
        at = match.end()
        if match["phrase"]:
            phrases.append(text[match.start() + 1 : at - 1])
            prose.append(text[since_phrase : match.start()])
            since_phrase = at
        elif said.takes(match["key"].lower(), _value(text, match), now):
            kept.append((since_operator, match.start()))
            prose.append(text[since_phrase : match.start()])
            since_operator = since_phrase = at
        else:
            at = match.end("key")  # text, which may have a phrase in it
    prose.append(text[since_phrase:])
    if kept:
        pieces = (text[start:end].strip() for start, end in [*kept, (since_operator, len(text))])
        text = " ".join(piece for piece in pieces if piece)
    found = dates.find(" ".join(prose), now)
    return Question(text, tuple(each for each in phrases if each.strip()), Filters(**said.fields), found)


def _value(text: str, match: re.Match[str]) -> str:
    """What stands after the colon, as written; empty for a quote that is not closed."""
    if match["quoted"]:
        return text[match.start("quoted") + 1 : match.end("quoted") - 1]
    start = match.start("bare")
    bare = match["bare"].rstrip(_TRAILING)
    return "" if _QUOTES.intersection(bare) else text[start : start + len(bare)]


@dataclass(slots=True)
class _Said:
    """What the operators say so far, as fields of `Filters`."""

    fields: dict[str, Any] = field(default_factory=dict)

    def takes(self, key: str, value: str, now: datetime) -> bool:
        """Whether this is an operator."""
        match key:
            case "tag":
                return self._takes_tag(value)
            case "type":
                return self._takes_type(value)
            case _:
                return self._takes_time(key, value, now)

    def _takes_tag(self, value: str) -> bool:
        try:
            tag = _TAG.validate_python(value)
        except ValidationError:
            return False
        if tag.strip():
            self.fields.setdefault("all_tags", set()).add(tag)
        return bool(tag.strip())

    def _takes_type(self, value: str) -> bool:
        try:
            kind = MemoryType(value.translate(_NARROW).lower())
        except ValueError:
            return False
        self.fields.setdefault("types", set()).add(kind)
        return True

    def _takes_time(self, key: str, value: str, now: datetime) -> bool:
        period = dates.read(value, now)
        if period is None:
            return False
        if key == "before":
            self.fields["before"] = min(period.start, self.fields.get("before", period.start))
        else:
            since = period.end if key == "after" else period.start
            self.fields["since"] = max(since, self.fields.get("since", since))
        return True


def asked(query: Query, *, now: datetime) -> Query | None:
    """The query that its text means: without operators, which join its filters. None where they exclude each other.

    Quoted phrases raise the memories that hold them; where nothing else is asked, every one must be held.
    """
    said = understand(query.text, now=now)
    filters = _joined(query.filters, said.filters)
    if filters is None:
        return None
    period = None if said.period is None else (said.period.start, said.period.end)
    alone = bool(said.phrases) and not _beside_phrases(said)
    fields: dict[str, Any] = {"text": said.text, "filters": filters, "period": period}
    fields |= {"phrases" if alone else "quoted": said.phrases}
    return query.model_copy(update=fields)


def _beside_phrases(said: Question) -> bool:
    """Whether there is more to the question than what it quotes."""
    rest = said.text
    for phrase in said.phrases:
        rest = rest.replace(phrase, "", 1)
    return any(map(str.isalnum, rest))


def _joined(one: Filters, other: Filters) -> Filters | None:
    """What both admit; None where that is nothing."""
    types = one.types & other.types if one.types and other.types else one.types | other.types
    since = max((each for each in (one.since, other.since) if each is not None), default=None)
    before = min((each for each in (one.before, other.before) if each is not None), default=None)
    if (one.types and other.types and not types) or (since and before and since >= before):
        return None
    tags = one.all_tags | other.all_tags
    return one.model_copy(update={"types": types, "since": since, "before": before, "all_tags": tags})
