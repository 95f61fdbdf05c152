"""What of a memory is embedded, and into which terms text falls for full-text search.

Full text must segment Chinese, Japanese and Korean: such runs fall into overlapping pairs of characters
(bigrams), the same on both sides. Everything else falls into lower-case words.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from trinitas_tasks.model import MemoryItem

CJK = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUNS = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+")
_CJK_RUN = re.compile(rf"[{CJK}]")
EMBEDDED_CHARACTERS = 4000
"""More than the 256 tokens a MiniLM model reads; the rest need not be tokenized."""


def terms(text: str) -> list[str]:
    """The terms of a text, in order: NFKC, case folded; a CJK run of one character is a term of its own.

    >>> terms("Redis 7 を再起動")
    ['redis', '7', 'を再', '再起', '起動']
    """
    found: list[str] = []
    for run in _RUNS.findall(unicodedata.normalize("NFKC", text).casefold()):
        if not _CJK_RUN.match(run) or len(run) == 1:
            found.append(run)
        else:
            found += (run[i : i + 2] for i in range(len(run) - 1))
    return found


def index_terms(item: MemoryItem) -> list[str]:
    """The terms under which full text finds a memory; single CJK characters too, so that they can be asked for."""
    found = terms(full_text(item))
    return found + [character for term in found if len(term) == 2 and _CJK_RUN.match(term) for character in term]


_STOP_WORDS = """
a an and are as at be been but by can could did do does for from had has have he her him his how i if in is it its me my
of on or our she should so than that the their them then there they this to us was we were what when where which who
whom why will with would you your です ます した して いる ある から まで こと もの ため
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def content_words(found: Iterable[str]) -> set[str]:
    """The terms that carry meaning; all of them where none does."""
    every = set(found)
    return (every - STOP_WORDS) or every


def sharing_words(wanted: Iterable[str], items: Iterable[MemoryItem]) -> list[str]:
    """The ids of memories that share content words with the wanted terms, most shared first."""
    words = content_words(wanted)
    scored = [(len(words & set(terms(full_text(item)))), item.id) for item in items]
    return [each for shared, each in sorted(scored, key=lambda pair: -pair[0]) if shared]


def cjk_share(text: str) -> float:
    """The share of Chinese, Japanese or Korean characters among the letters and digits, 0 to 1."""
    letters = [character for character in text if character.isalnum()]
    return sum(1 for each in letters if _CJK_RUN.match(each)) / len(letters) if letters else 0.0


def content_text(item: MemoryItem) -> str:
    """The content as prose: a string as it is, other JSON as ``key: value`` lines."""
    return item.content if isinstance(item.content, str) else "\n".join(_lines(item.content))


def embedding_text(item: MemoryItem) -> str:
    """What the model reads: who said it and when before what was said (LoCoMo: recall@10 29 -> 52 %)."""
    return (_provenance(item.metadata) + content_text(item))[:EMBEDDED_CHARACTERS]


def full_text(item: MemoryItem) -> str:
    """What full text reads: provenance, content, tags and the rest of the metadata."""
    rest = {key: value for key, value in item.metadata.items() if key not in ("speaker", "date")}
    parts = (_provenance(item.metadata) + content_text(item), " ".join(item.tags), *_lines(rest))
    return "\n".join(part for part in parts if part)


def _provenance(metadata: Mapping[str, Any]) -> str:
    speaker, date = (str(metadata[key]) if metadata.get(key) else "" for key in ("speaker", "date"))
    if date:
        return f"{speaker} ({date}): " if speaker else f"({date}) "
    return f"{speaker}: " if speaker else ""


def _lines(value: Any, path: str = "") -> Iterator[str]:
    match value:
        case dict():
            for key, each in value.items():
                yield from _lines(each, f"{path} {key}".strip())
        case list():
            for each in value:
                yield from _lines(each, path)
        case None:
            pass
        case _:
            shown = value if isinstance(value, str) else json.dumps(value)
            yield f"{path}: {shown}" if path else shown
