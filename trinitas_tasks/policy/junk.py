"""Which memories are junk: what nobody can want to be told again.

Ordinary short turns are none of it, nor are numbers, tables and JSON: to keep junk costs little, to call a memory junk
that is none may cost it. What is looked at is the beginning of the content as prose.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Final

from trinitas_tasks.model import MemoryItem
from trinitas_tasks.policy.text import content_text

READ: Final = 20_000
"""How many characters of a memory are looked at."""
UNIT: Final = 40
"""Of so many letters at most is what counts as one thing said again and again."""
REPEATED: Final = 6
"""How often it must be said, with nothing beside it."""
STRETCHED: Final = 16
"""Of so many letters nine tenths may not be the same one."""
LINES: Final = 6
"""So many lines for each different one are too many."""
COMPRESSED_BYTES: Final = 2_000
"""Text of at least so many bytes may not shrink to less than COMPRESSED of it."""
COMPRESSED: Final = 0.05

_SIGN_RUNS = re.compile(r"([^\w\s])\1{3,}")
_SORRY = r"(?:(?:(?:i['’]?m |i am )?(?:so |very )?(?:sorry|afraid)|i apologi[sz]e|unfortunately)\b[^.!?]{0,20}?)?"
_MODEL = r"as an? (?:ai|artificial intelligence)(?: language)?(?: model| assistant)?,? (?:created by \w+,? )?"
_CANNOT = r"i(?:['’]m| am)? (?:cannot|can['’]t|can not|do not|don['’]t|unable|not able|not)\b"
_SORRY_JA = r"(?:申し訳(?:ありません|ございません)(?:が)?[、。,]?|すみません(?:が)?[、。,]?)?(?:私は)?"
_MODEL_JA = r"(?:ai|人工知能)(?:の?言語モデル|アシスタント|モデル)?(?:なので|ですので|のため|であるため|として)[、,]"
_CANNOT_JA = r".*(?:できません|できかねます|持っていません|持ちません|ありません)"
_REFUSAL = re.compile(rf"\W*(?:{_SORRY}{_MODEL}{_CANNOT}|{_SORRY_JA}{_MODEL_JA}{_CANNOT_JA})")
REFUSAL_CHARACTERS: Final = 400
"""In what is longer something follows that may be worth it."""
_FILLER = """
ad adipiscing aliqua aliquip amet anim aute cillum commodo consectetur consequat culpa cupidatat deserunt dolor
dolore duis ea eiusmod elit enim esse est et eu ex excepteur exercitation fugiat id in incididunt ipsum irure labore
laboris laborum lorem magna minim mollit nisi non nostrud nulla occaecat officia pariatur proident qui quis
reprehenderit sed sint sit sunt tempor ullamco ut velit veniam voluptate
"""
_LOREM = frozenset(_FILLER.split())


def junk(item: MemoryItem) -> str | None:
    """Why a memory is junk, for people; None for what is not."""
    text = unicodedata.normalize("NFKC", content_text(item)[:READ]).casefold()
    if not text.strip():
        return None if item.content else "nothing in it"
    if not any(map(str.isalnum, text)):
        return "only punctuation or pictures"
    if not isinstance(item.content, str):
        return None
    return next((why for finds, why in _FINDS if finds(text)), None)


def _repeated(text: str) -> bool:
    """Whether it says one thing over and over."""
    letters = _letters(text)
    for size in range(1, min(UNIT, len(letters) // REPEATED) + 1):
        if letters == (letters[:size] * (len(letters) // size + 1))[: len(letters)] and len(letters) % size == 0:
            return len(letters) >= 10 and not letters.isdecimal()
    return False


def _stretched(text: str) -> bool:
    """Whether it is one letter, held down."""
    letters = _letters(text)
    if len(letters) < STRETCHED:
        return False
    [(letter, count)] = Counter(letters).most_common(1)
    return count >= 0.9 * len(letters) and not letter.isdecimal()


def _same_lines(text: str) -> bool:
    """Whether it says the same lines over and over. Lines without letters may be a table."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if sum(map(str.isalpha, line)) >= 3]
    return len(telling) >= max(LINES * len(set(telling)), 1) and len(telling) > 0.8 * len(lines)


def _refusal(text: str) -> bool:
    return len(text) <= REFUSAL_CHARACTERS and _REFUSAL.match(text) is not None


def _filler(text: str) -> bool:
    words = re.findall(r"[a-z]+", text)
    return "lorem" in words and len(words) >= 5 and sum(word in _LOREM for word in words) >= 0.7 * len(words)


def _hollow(text: str) -> bool:
    """Whether there is next to nothing in much text. Blanks and rules are none of it, nor are figures."""
    said = _SIGN_RUNS.sub(r"\1", " ".join(text.split()))
    body = said.encode()
    if len(body) < COMPRESSED_BYTES or sum(map(str.isalpha, said)) < len(said) / 2:
        return False
    return len(zlib.compress(body)) < COMPRESSED * len(body)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


_FINDS: Final[tuple[tuple[Callable[[str], bool], str], ...]] = (
    (_repeated, "one thing repeated"),
    (_stretched, "one letter repeated"),
    (_same_lines, "the same lines repeated"),
    (_refusal, "a refusal in stock phrases"),
    (_filler, "placeholder text"),
    (_hollow, "next to nothing in much text"),
)
