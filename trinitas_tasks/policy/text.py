"""What of a memory is embedded, and into which terms text falls for full-text search.

Full text must segment Chinese, Japanese and Korean: such runs fall into overlapping pairs of characters
(bigrams), the same on both sides. Everything else falls into lower-case words.
"""

from __future__ import annotations

import calendar
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from trinitas_tasks.model import MemoryItem, MemoryType
from trinitas_tasks.query import Query

CJK = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
HAN = "\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
SIGNS = "\u2600-\u27bf\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff"
"""Pictures that stand for words: each is one."""
_RUNS = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+|[{SIGNS}]")
_CJK_RUN = re.compile(rf"[{CJK}]")
_HAN = re.compile(rf"[{HAN}]")
_JOINED = re.compile(r"(?<![a-z0-9])[a-z0-9]++(?:[-_./:@#+\\]{1,3}[a-z0-9]++)++", re.ASCII)
_SEPARATORS = re.compile(r"[-_./:@#+\\]+")
_TELLING = re.compile(r"[0-9_/@\\]")
LONGEST = 256
"""Of a longer word its beginning counts; a longer name is found by its parts."""
MAX_PARTS = 64
"""Into so many parts a long memory is cut at most for embedding; full text finds what comes after them."""
EMBEDDED_CHARACTERS = 256_000
"""More than so many parts hold; the rest need not be looked at."""
TITLE_CHARACTERS = 200


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def terms(text: str) -> list[str]:
    """The terms of a text, in order: NFKC, case folded; a CJK run of one character is a term of its own.

    >>> terms("Redis 7 を再起動")
    ['redis', '7', 'を再', '再起', '起動']
    """
    return _terms(_folded(text))


def _terms(folded: str) -> list[str]:
    found: list[str] = []
    for run in _RUNS.findall(folded):
        if not _CJK_RUN.match(run) or len(run) == 1:
            found.append(run[:LONGEST])
        else:
            found += (run[i : i + 2] for i in range(len(run) - 1))
    return found


def names(text: str) -> list[str]:
    """What is one name though it falls into several terms: identifiers, paths, versions, addresses.

    >>> names("see KOMBU-2498 in src/app/main.py, not well-known")
    ['kombu-2498', 'src/app/main.py']
    """
    return _names(_folded(text))


def _names(folded: str) -> list[str]:
    return [
        name
        for name in _JOINED.findall(folded)
        if len(name) <= LONGEST and (_TELLING.search(name) or len(_SEPARATORS.findall(name)) > 1)
    ]


def index_terms(item: MemoryItem) -> list[str]:
    """The terms under which full text finds a memory: after those of the text its names, and every CJK character by
    itself, so that single ones can be asked for. (After them: phrases are looked for in the order of the text.)"""
    folded = _folded(full_text(item))
    return _terms(folded) + _names(folded) + _CJK_RUN.findall(folded)


HAN_WEIGHT = 0.5
"""What a single Han character of a question counts beside its bigrams (JSQuAD: recall@10 97.5 -> 97.8 %)."""
ASKED = 256
"""Of a longer question only so many different terms are looked up, the first ones."""


def query_terms(text: str) -> dict[str, float]:
    """The terms to look up for a question, each with its weight: without stop words, unless there is nothing else
    (LoCoMo: recall@10 59 -> 66 %); names count beside their parts, Han characters beside their bigrams."""
    folded = _folded(text)
    found = _terms(folded)
    telling = [term for term in found if term not in STOP_WORDS] or found
    weights: dict[str, float] = {}
    for term in (*telling, *_names(folded)):
        weights[term] = weights.get(term, 0.0) + 1.0
    for character in _HAN.findall(folded):
        weights[character] = weights.get(character, 0.0) + HAN_WEIGHT
    return dict(islice(weights.items(), ASKED))


_STOP_WORDS = """
a an and are as at be been but by can could did do does for from had has have he her him his how i if in is it its me my
of on or our she should so than that the their them then there they this to us was we were what when where which who
whom why will with would you your です ます した して いる ある から まで こと もの ため
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def coverage(wanted: Mapping[str, float], item: MemoryItem) -> float:
    """Which part of the wanted terms a memory holds, 0 to 1, where it is not known how rare each is."""
    held = set(index_terms(item))
    total = sum(wanted.values())
    return sum(weight for term, weight in wanted.items() if term in held) / total if total else 0.0


def matched(wanted: Iterable[str], item: MemoryItem) -> list[str]:
    """Which of the wanted terms a memory holds as they are, in their order."""
    held = set(index_terms(item))
    return [term for term in wanted if term in held]


def says(phrase: str, item: MemoryItem) -> bool:
    """Whether a memory holds the phrase: the same words in the same order, whatever case, width and spaces."""
    wanted = " ".join(_folded(phrase).split())
    return wanted in " ".join(_folded(full_text(item)).split())


SESSION_KEYS = ("session", "session_id", "conversation", "conversation_id")
"""Where a memory's metadata may say to which session it belongs."""


def session(item: MemoryItem) -> str | None:
    """The session, conversation or thread that a memory says it is part of."""
    for key in SESSION_KEYS:
        match item.metadata.get(key):
            case bool() | None:
                pass
            case str() | int() as named if str(named).strip():
                return str(named)[:256]
    return None


def admits(query: Query, item: MemoryItem) -> bool:
    """Whether a memory has what is asked of an answer: what the filters want, and every phrase."""
    return query.filters.admit(item) and all(says(phrase, item) for phrase in query.phrases)


def content_text(item: MemoryItem) -> str:
    """The content as prose: a string as it is, other JSON as ``key: value`` lines."""
    return item.content if isinstance(item.content, str) else "\n".join(_lines(item.content))


class EmbeddingText(NamedTuple):
    """What the model reads of a memory: every part of the body with the prefix before it."""

    prefix: str
    body: str


def embedding_text(item: MemoryItem) -> EmbeddingText:
    """Who said it, when and under which title before what was said (LoCoMo: recall@10 29 -> 52 %)."""
    body = content_text(item)[:EMBEDDED_CHARACTERS]
    return EmbeddingText(_provenance(item) + _title(item.metadata, body), body)


def full_text(item: MemoryItem) -> str:
    """What full text reads: provenance, content, tags and the values in the rest of the metadata."""
    rest = {key: value for key, value in item.metadata.items() if key not in ("speaker", "date")}
    parts = (_provenance(item) + content_text(item), " ".join(item.tags), *_values(rest))
    return "\n".join(part for part in parts if part)


def _values(value: Any, name: str = "") -> Iterator[str]:
    """Text as it is; numbers and truths with their names, without which they say little."""
    match value:
        case dict():
            for key, each in value.items():
                yield from _values(each, key)
        case list():
            for each in value:
                yield from _values(each, name)
        case None:
            pass
        case str():
            yield value
        case _:
            yield f"{name} {json.dumps(value)}"


SAID = (MemoryType.WORKING, MemoryType.EPISODIC)
"""Types whose time belongs to what they say: when it happened."""


def _provenance(item: MemoryItem) -> str:
    speaker, date = (str(item.metadata[key]) if item.metadata.get(key) else "" for key in ("speaker", "date"))
    if not date and item.type in SAID:
        date = f"{item.timestamp.day} {calendar.month_name[item.timestamp.month]} {item.timestamp.year}"
    if date:
        return f"{speaker} ({date}): " if speaker else f"({date}) "
    return f"{speaker}: " if speaker else ""


def _title(metadata: Mapping[str, Any], body: str) -> str:
    """The title, unless the body begins with it."""
    title = metadata.get("title")
    if not isinstance(title, str) or not title.strip() or body.lstrip().startswith(title.strip()):
        return ""
    return f"{title.strip()[:TITLE_CHARACTERS]}: "


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
