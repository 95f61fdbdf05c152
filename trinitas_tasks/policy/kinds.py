"""What tells of which kind a memory is: words and forms of English and Japanese, each with its weight.

The lists are short on purpose: what they do not know is an episode, which loses nothing but a longer life. No pattern
may look across lines or without bound for its end: a memory may be a thousand blank lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Final

from trinitas_tasks.model import MemoryType


class Sign:
    """A form that speaks for a kind, and what each of its first ``most`` occurrences weighs."""

    def __init__(self, pattern: str, weight: float, most: int = 1) -> None:
        self._pattern = re.compile(pattern, re.IGNORECASE | re.MULTILINE)
        self._weight = weight
        self._most = most

    def weight(self, text: str) -> float:
        """How much it speaks for its kind here."""
        return self._weight * len(list(islice(self._pattern.finditer(text), self._most)))


_VERBS = (
    "add|ask|build|call|check|choose|click|clone|commit|compare|configure|connect|copy|create|delete|"
    "deploy|disable|edit|enable|enter|export|fill|follow|go to|hold|import|install|log in|make sure|"
    "merge|mix|move|never|open|paste|pick|pour|press|pull|push|put|read|remove|rename|replace|"
    "reset|restart|roll back|run|save|select|send|set|stop|switch|tap|test|turn|type|unplug|update|"
    "upload|use|verify|wait|write"
)
_STARTS = r"(?:^[^\w\n]{0,9}|[.;:!?,]\s+|\b(?:then|and|first|finally)\s+)"
_PAST = (
    r"was|were|did|had|went|said|told|met|came|saw|found|made|took|gave|got|sent|left|bought|broke|began|"
    r"kept|lost|ran|felt|forgot|wrote|put up|sold|spent|thought|won|knew|heard|brought|fell|rose|shut down"
)
_LASTING = (
    "lives?|works?|costs?|contains?|supports?|uses|runs|belongs?|listens?|requires?|stores?|serves|owns?|accepts?|returns|"
    "provides?|expires|allows?|depends?"
)
"""What lasts, in the present tense."""
_WEEKDAYS = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_MONTHS = r"(?:january|february|march|april|may|june|july|august|september|october|november|december)"

_ED = r"(?!need|speed|seed|feed|shed|hundred|sacred)(?<!is )(?<!are )(?<!be )\w{2,}(?<!e)ed"
_STEMS_JA = "いきしちりみえけせてねれげべめっじ"

PROCEDURAL: Final = (
    Sign(r"^[ \t]*(?:\d{1,2}[.)]\s|step \d|手順\s?\d|\(\d\)|（\d）)", 1.5, 2),
    Sign(r"[①-⑳]", 1.5, 2),
    Sign(r"^[ \t]*(?:```|[$>] \w)", 2.0),
    Sign(r"`[\w./-]+(?: [^`\n]+)+`", 1.5),
    Sign(r"\bhow to\b|^[^\w\n]{0,9}to \w+ [^.!?\n]{2,80}?[:,] |\b(?:procedure|checklist|instructions)\b", 2.0),
    Sign(r"\bsteps?\b[^.\n]{0,20}:|\bin this order\b|\bfirst\b[^.\n]*\bthen\b", 1.5),
    Sign(rf"{_STARTS}(?:{_VERBS})\b(?! (?:is|was|are|were)\b)", 1.0, 3),
    Sign(rf"^[^\w\n]{{0,9}}(?:if|when(?:ever)?) [^.!?\n]{{3,80}}, (?:always |never |first )?(?:{_VERBS})\b", 1.5),
    Sign(r"手順(?!書)|やり方|の方法|の順番|するには|する場合は", 2.0),
    Sign(r"てください|でください|すること。|ないこと。|してから|その後|まず、?|次に", 0.75, 3),
)
"""Steps, commands, imperatives."""

SEMANTIC: Final = (
    Sign(r"\b(?:means|is called|is defined as|refers to|stands for|equals|is short for)\b", 2.0),
    Sign(rf"\b(?:is|are|has|have|{_LASTING})\b", 1.0, 2),
    Sign(r"\b(?:prefers?|likes?|dislikes?|loves?|hates?|favou?rite|allergic)\b", 1.0, 2),
    Sign(r"\b(?:always|never|usually|only|speaks?)\b", 1.0, 2),
    Sign(
        rf"\b(?:every|each) (?:day|week|month|year|morning|{_WEEKDAYS})|\b(?:daily|weekly|monthly|{_WEEKDAYS}s)\b", 1.0
    ),
    Sign(r"\b(?:my|his|her|their|our|\w+'s) (?:name|address|birthday|phone|e-?mail|job|role|password)\b", 1.0),
    Sign(r"^ *[\w.-]{2,40} *[=:] *\S+ *$", 1.5, 2),
    Sign(r"とは[、「]?|という意味|を指す|を意味", 2.0),
    Sign(r"(?:です|である|だ)(?:[。！!]|$)|(?<!ま)(?:ます|ません)(?:[。！!]|$)", 0.75, 2),
    Sign(
        r"が(?:大)?好き|が嫌い|が苦手|の好み|アレルギー|いつも|必ず|毎(?:日|週|月|年|朝|晩)|無料|有料|担当|住んで", 1.5
    ),
    Sign(r"\d(?:円|歳|分|時間|席|人|件|%|％)", 0.5),
)
"""Definitions, preferences, rules, settings."""

EPISODIC: Final = (
    Sign(rf"\b(?:{_PAST}|{_ED})\b", 1.0, 3),
    Sign(r"\b(?:yesterday|today|tonight|tomorrow|this (?:morning|afternoon|evening|week))\b", 1.5, 2),
    Sign(r"\b(?:(?:last|next) (?:night|week|month|year)|ago|just now|so far)\b", 1.5, 2),
    Sign(rf"\b(?:\d{{4}}-\d\d-\d\d|\d{{1,2}} {_MONTHS}|{_MONTHS} \d{{1,2}})\b", 1.0, 2),
    Sign(rf"\b(?:on|by|before|since|until) {_WEEKDAYS}\b", 1.0, 2),
    Sign(r"\bat \d{1,2}:\d\d\b", 0.5, 2),
    Sign(r"\b(?:i'?m|i am|i'll|we'll|we're|i've|we've|will|going to|let's|i think|i (?:just|have))\b", 1.0, 2),
    Sign(r"\?\s*$|\?[\"'”]|か[?？。]?$|\w!(?:\s|$)|[！](?:\s|$|[^。])", 1.0),
    Sign(
        rf"(?:[{_STEMS_JA}]た|んだ|ました|でした|だった|かった|ませんでした)(?:[。、！!…\s]|$|ら|が|の(?:で|を|は))",
        1.25,
        3,
    ),
    Sign(r"昨日|今日|明日|先週|来週|今週|今朝|今夜|さっき|先ほど|このあいだ|今年|去年|\d+月\d+日|[前後]に?、", 1.0, 2),
    Sign(r"と(?:言|い)(?:った|って|われ)|とのこと|そうです|おつかれ|ありがとう|しましょう|笑）", 1.0, 2),
    Sign(r"します(?:[。！!]|$)|[☀-➿🌀-🫿]", 1.0, 2),
)
"""Past tense, times, who said what, what is planned."""

SIGNS: Final[Mapping[MemoryType, tuple[Sign, ...]]] = {
    MemoryType.EPISODIC: EPISODIC,
    MemoryType.SEMANTIC: SEMANTIC,
    MemoryType.PROCEDURAL: PROCEDURAL,
}
"""Of kinds for which as much speaks the first is taken."""

SAID: Final[Mapping[str, MemoryType]] = {
    word: kind
    for kind, words in (
        (
            MemoryType.PROCEDURAL,
            "procedure procedural how-to howto runbook recipe steps tutorial 手順 手順書 やり方 方法",
        ),
        (
            MemoryType.SEMANTIC,
            "fact facts semantic preference preferences definition glossary setting settings config profile "
            "contact contacts 事実 好み 設定 定義 用語 連絡先",
        ),
        (MemoryType.EPISODIC, "event events episodic meeting log diary journal incident 出来事 会議 日記 記録 事故"),
    )
    for word in words.split()
}
"""Tags, and values of the metadata KIND_KEYS, that say it."""
KIND_KEYS: Final = ("kind", "category", "memory_type", "種類")
TIME_KEYS: Final = frozenset(("at", "when", "date", "time", "timestamp", "event", "日時", "日付"))
"""Names in JSON content that belong to an event."""
