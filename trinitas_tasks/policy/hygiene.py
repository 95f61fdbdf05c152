"""What text hides, made visible: control and invisible characters become marks such as ⟨U+202E⟩.

A mark is plain text. What somebody wrote as "⟨U+202E⟩" stays as it is, so a text with marks in it does not tell by
itself whether anything was hidden there: ``Marked.found`` does. Which invisible characters belong where they stand,
because a script or an emoji needs them, is told by Unicode's properties; docs/hygiene.md says it in words.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from trinitas_tasks.policy.naming import renamed

if TYPE_CHECKING:
    import regex

LONGEST_RUN: Final = 8
"""Of a longer run of hidden characters so many are shown, then how many more there are: whoever reads the marks shall
not be able to read what was hidden either."""
MOST_MARKS: Final = 10
"""So many combining marks may stand on one another; UTS #39, 5.4 asks about more than four, Tibetan writes eight."""
MOST_NAMES: Final = 20
"""So many different characters are named; the rest are counted together."""
OTHERS: Final = "others"

_HIDDEN_BMP: Final = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and newline
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff0-\ufff8"  # Default_Ignorable_Code_Point
    "\u2028\u2029\ufff9-\ufffb"  # separators of lines and paragraphs, annotations between lines
    "\u2800"  # the blank of Braille
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"  # lone surrogates, noncharacters
)
_HIDDEN: Final = (
    _HIDDEN_BMP + "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # Default_Ignorable_Code_Point
    "\U00013430-\U0001343f\U0001d159"  # joiners of hieroglyphs, a blank head of a note
)
"""Whatever may not be seen, or moves what is seen (UAX #44, UTS #39, UTS #55). It does not depend on the version of
Unicode: Default_Ignorable_Code_Point holds what may become such a character."""
_STACKED: Final = (
    "\u0300-\u034e\u0350-\u036f\u0483-\u0489\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0e31\u0e34-\u0e3a"
    "\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u0f71-\u0f84\u0f8d-\u0fbc\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0"
    "\u302a-\u302f\u3099\u309a\ua66f-\ua67d\ufe20-\ufe2f"
)
"""Combining marks that pile up over and under one letter, and over other lines."""

# Clean text must be searched fast: `re` does, where a pattern begins with a set that has few ranges beyond U+FFFF.
_ANY_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_ANY_HIDDEN: Final = re.compile(f"[{_HIDDEN}]")
_ANY_SUSPECT: Final = re.compile(f"[{_HIDDEN_BMP}\U00010000-\U0010ffff]")
_ANY_PILE: Final = re.compile(f"[{_STACKED}][{_STACKED}]{{{MOST_MARKS}}}")
_SUSPECTS: Final = re.compile(
    f"(?P<pile>[{_STACKED}][{_STACKED}]{{{MOST_MARKS - 1}}})[{_STACKED}]+|\u2800+|[{_HIDDEN}]"
)

_KEPT: Final = r"""
    \r(?=\n)
  # emoji: presentation, keycaps, joined ones, the three flags of regions that there are (UTS #51)
  | (?<=[\p{Extended_Pictographic}\p{Emoji_Modifier}])[\ufe0e\ufe0f]
  | (?<=[0-9\#*])\ufe0f(?=\u20e3)
  | (?<=[\p{Extended_Pictographic}\p{Emoji_Modifier}]|\p{Extended_Pictographic}\ufe0f)\u200d
    (?=\p{Extended_Pictographic})
  | (?<=\U0001f3f4)\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074
                                         |\U000e0077\U000e006c\U000e0073)\U000e007f
  # variants of ideographs (UTS #37), of punctuation, of mathematical signs and letters
  | (?<=\p{Unified_Ideograph})[\U000e0100-\U000e011f\ufe00-\ufe02]
  | (?<=[\u2018\u2019\u201c\u201d\u3001\u3002\uff01\uff0c\uff0e\uff1a\uff1b\uff1f])[\ufe00\ufe01]
  | (?<=[[\p{Sm}--[\x00-\x7f]]0\p{sc=Myanmar}\p{sc=Phags_Pa}\p{sc=Manichaean}])\ufe00
  | (?<=[\p{sc=Mongolian}&&\p{L}])[\u180b-\u180d\u180f]
  | (?<=[\p{sc=Mongolian}&&\p{L}][\u180b-\u180d\u180f]?+)\u180e(?=[\u1820\u1821])
  # joiners between letters of scripts that join or stack them, and at the end of words (UAX #31, 2.3)
  | (?<=JOINED)[\u200c\u200d](?=JOINED)
  | (?<=JOINED)\u200d(?![\wHIDDEN])
  | (?<=\p{ccc=Virama})\u200c(?![\wHIDDEN])
  | (?<=\p{lb=SA})\u200b(?=\p{lb=SA})
  # a mark of direction, or a pair of them, not far from letters that run from right to left
  | (?<=RIGHTBETWEEN(?:[\u200e\u200f\u061c](?![HIDDEN])BETWEEN)?)[\u200e\u200f\u061c](?![HIDDEN])
  | (?<![HIDDEN])[\u200e\u200f\u061c](?=BETWEENRIGHT)
  # fillers of old Hangul syllables, blanks within Braille, joiners between hieroglyphs
  | (?<=[\u1100-\u115e\ua960-\ua97c])\u1160
  | \u115f(?=[\u1161-\u11a7\ud7b0-\ud7c6])
  | (?<=[\u2801-\u28ff])\u2800++
  | \u2800++(?=[\u2801-\u28ff])
  | (?<=[\p{sc=Egyptian_Hieroglyphs}&&\p{L}])[\U00013430-\U0001343f](?=[\p{sc=Egyptian_Hieroglyphs}&&\p{L}])
"""
_JOINED: Final = r"[[\p{L}\p{M}]&&[\P{InSC=Other}\p{JT=D}\p{JT=R}\p{JT=L}\u064b-\u065f\u0670]]"
_RIGHT: Final = r"[[\p{L}\p{M}\p{N}\p{P}]&&[\p{scx=Hebr}\p{scx=Arab}\p{scx=Syrc}\p{scx=Thaa}\p{scx=Nkoo}\p{scx=Adlm}]]"
_BETWEEN: Final = rf"[^{_HIDDEN}{_STACKED}\n]{{0,40}}"


class Marked(NamedTuple):
    """A value that can be shown, and what was hidden in it: by name, how often."""

    value: Any
    found: Mapping[str, int]


def marked(value: Any) -> Marked:
    """A text, or any JSON value with its keys, with marks in place of what is hidden. Marking it again changes nothing.

    >>> marked({"note": "safe\\u202egnp.exe"})
    Marked(value={'note': 'safe⟨U+202E⟩gnp.exe'}, found={'U+202E RIGHT-TO-LEFT OVERRIDE': 1})
    """
    found: Counter[str] = Counter()
    return Marked(_marked(value, found), _named(found))


def visible(text: str) -> str:
    """The text as a terminal may show it: nothing in it moves the cursor, changes colour or direction, or is hidden."""
    return _text(text, Counter())


def escaped(document: str) -> str:
    """A JSON document that says the same, with escapes for whatever may be hidden, needed by a script or not."""
    return _ANY_HIDDEN.sub(_escape, document)


def clean(text: str) -> bool:
    """Whether nothing in it could be hidden, so that nothing need be told apart from what belongs where it stands."""
    if text.isascii():
        return _ANY_CONTROL.search(text) is None
    if _ANY_PILE.search(text):
        return False
    suspect = _ANY_SUSPECT.search(text)
    return suspect is None or (suspect[0] > "\uffff" and _ANY_HIDDEN.search(text) is None)


def _marked(value: Any, found: Counter[str]) -> Any:
    match value:
        case str():
            return _text(value, found)
        case list() | tuple():
            return [_marked(each, found) for each in value]
        case dict():
            names = renamed(value, lambda key: _text(key, found))
            return {name: _marked(value[key], found) for key, name in names}
        case _:
            return value


def _text(text: str, found: Counter[str]) -> str:
    if clean(text):
        return text
    parts, end = [], 0
    for start, stop in _runs(text):
        hidden = text[start:stop]
        found.update(hidden)
        parts += [text[end:start], _shown(hidden)]
        end = stop
    return "".join(parts) + text[end:]


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Where the runs of hidden characters begin and end."""
    start = stop = -1
    passed = 0
    for suspect in _SUSPECTS.finditer(text):
        begins = suspect.end("pile") if suspect["pile"] else suspect.start()
        if begins < passed:
            continue
        # what follows something hidden is beside a mark once that is shown: it belongs nowhere
        if kept := None if suspect["pile"] or begins == stop else _kept().match(text, begins):
            passed = kept.end()
            continue
        if begins != stop:
            if start < stop:
                yield start, stop
            start = begins
        stop = suspect.end()
    if start < stop:
        yield start, stop


def _shown(hidden: str) -> str:
    marks = "".join(f"⟨U+{ord(each):04X}⟩" for each in hidden[:LONGEST_RUN])
    more = len(hidden) - LONGEST_RUN
    return f"{marks}⟨and {more:,} more⟩" if more > 0 else marks


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return match[0]  # a blank between two strings: in strings JSON has escaped them
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\u{0xD7C0 + (code >> 10):04x}\\u{0xDC00 | code & 0x3FF:04x}"


def _named(found: Counter[str]) -> dict[str, int]:
    named = {f"U+{ord(each):04X} {_name(each)}": count for each, count in found.most_common(MOST_NAMES)}
    others = found.total() - sum(named.values())
    return {**named, OTHERS: others} if others else named


def _name(character: str) -> str:
    kind = {"Cc": "CONTROL", "Cs": "SURROGATE"}.get(unicodedata.category(character), "UNASSIGNED")
    return unicodedata.name(character, kind)


@cache
def _kept() -> regex.Pattern[str]:
    """Matches, where it stands, what might be hidden and belongs there."""
    import regex  # noqa: PLC0415 - takes longer to load than most commands take; most text holds nothing to look at

    pattern = _KEPT
    for name, characters in {"JOINED": _JOINED, "RIGHT": _RIGHT, "BETWEEN": _BETWEEN, "HIDDEN": _HIDDEN}.items():
        pattern = pattern.replace(name, characters)
    return regex.compile(pattern, regex.VERBOSE | regex.VERSION1)
