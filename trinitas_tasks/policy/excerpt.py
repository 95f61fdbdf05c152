"""How much of what is long is told at once, and where it is cut."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

LINE_SHARE: Final = 0.75
"""A piece ends with a line where one ends in its last quarter."""
CLUSTER: Final = 256
"""Within so many characters, or less, one grapheme ends: longer ones are cut."""
_UNFINISHED: Final = re.compile(r"⟨[^⟩\n]{0,40}\Z")


class Excerpt(NamedTuple):
    """A piece of a text: its characters from ``start`` up to ``end``, of ``total``."""

    text: str
    start: int
    end: int
    total: int

    @property
    def whole(self) -> bool:
        """Whether it is all there is."""
        return self.start == 0 and self.end == self.total


def excerpt(text: str, limit: int, start: int = 0, *, whole_lines: bool = False) -> Excerpt:
    """At most ``limit`` characters from ``start``: pieces that begin where the last one ended make the whole text.

    None ends within a grapheme, a mark (see policy.hygiene) or an escape of a JSON string; with ``whole_lines``, none
    within a line that is no longer than a piece. (JSON that is written with an indent breaks its lines between tokens.)
    """
    start = min(max(start, 0), len(text))
    end = start + max(limit, 1)
    if end >= len(text):
        return Excerpt(text[start:], start, len(text), len(text))
    line = text.rfind("\n", start, end) + 1
    near = line > start + int((end - start) * LINE_SHARE)
    if not (near or (whole_lines and line and text.find("\n", line, line + limit) >= 0)):
        line = _between_graphemes(text, start, end)
    return Excerpt(text[start:line], start, line, len(text))


def _between_graphemes(text: str, start: int, end: int) -> int:
    import regex  # noqa: PLC0415 - as in policy.hygiene

    before = max(start, end - CLUSTER)
    cut = before
    for grapheme in regex.finditer(r"\X", text, pos=before, endpos=min(len(text), end + CLUSTER)):
        if grapheme.end() > end:
            break
        cut = grapheme.end()
    if unfinished := _UNFINISHED.search(text, before, cut):
        cut = unfinished.start()
    backslashes = cut - len(text[start:cut].rstrip("\\")) - start
    cut -= backslashes % 2
    return cut if cut > start else end  # a grapheme without end is cut


def level(lengths: Iterable[int], total: int, most: int) -> int:
    """Up to which length each of several texts may be told, so that all together are at most ``total``: the short ones
    whole, the others alike, none longer than ``most``."""
    left, waiting = total, sorted(lengths)
    for number, length in enumerate(waiting):
        share = left // (len(waiting) - number)
        if length > share:
            return min(share, most)
        left -= length
    return most
