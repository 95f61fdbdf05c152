"""One large JSON object, entry by entry, in memory that does not grow with the file; what is torn is left out.

Places are byte offsets: reading may begin behind any entry. Streaming parsers such as ijson end at the first error and
cannot begin in the middle, and what stands behind a torn entry is what a migration must not lose.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from io import BufferedReader
from typing import Any, Final, NamedTuple

CHUNK: Final = 1 << 18
ENTRY_BYTES: Final = 16 << 20
"""An entry that does not end within this is torn."""

_DECODER: Final = json.JSONDecoder()
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_BETWEEN: Final = re.compile(r"[ \t\r\n,]*")
_NEXT: Final = re.compile(r'"([A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127})"\s*:\s*\{')
"""What may begin an entry of memories, behind a torn one."""


class Entry(NamedTuple):
    """An entry; ``after`` is the place behind it."""

    name: str
    value: Any
    after: int


class Torn(NamedTuple):
    """Text that is no entry; ``after`` is the place behind it."""

    raw: str
    reason: str
    after: int


class _Window:
    """The part of a file that is looked at, from ``at`` on."""

    def __init__(self, file: BufferedReader, offset: int) -> None:
        self._file = file
        file.seek(offset)
        # bytes that are no UTF-8 become lone surrogates, and again the same bytes
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape").decode
        self.text, self.at, self.ended = "", 0, False
        self._offset, self._counted = offset, 0

    @property
    def place(self) -> int:
        """The offset of ``at`` in bytes."""
        self._offset += len(self.text[self._counted : self.at].encode(errors="surrogateescape"))
        self._counted = self.at
        return self._offset

    @property
    def left(self) -> int:
        """How many characters were read and not gone over."""
        return len(self.text) - self.at

    def more(self) -> bool:
        """Read on; False at the end."""
        if self.ended:
            return False
        _ = self.place
        self.text, self.at, self._counted = self.text[self.at :], 0, 0
        # the longer the entry, the more at a time: it is parsed anew each time
        data = self._file.read(max(CHUNK, len(self.text)))
        self.ended = not data
        self.text += self._decode(data, self.ended)
        return True

    def skip(self, what: re.Pattern[str]) -> str:
        """Skip it; the character behind it, "" at the end."""
        while True:
            match = what.match(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.left:
                return self.text[self.at]
            if not self.more():
                return ""


def entries(file: BufferedReader, place: int) -> Iterator[Entry | Torn]:
    """The entries from a place on (0: the beginning)."""
    window = _Window(file, place)
    if place == 0 and not _begun(window):
        yield _rest(window, "a JSON object was expected")
        return
    while True:
        sign = window.skip(_BETWEEN)
        if sign == "}":
            window.at += 1
            if window.skip(_SPACE):
                yield _rest(window, "something stands behind the end")
            return
        if sign == "":
            yield Torn("", "the file ends in the middle", window.place)
            return
        entry = _entry(window)
        yield entry
        if isinstance(entry, Torn) and not window.left:
            return


def _begun(window: _Window) -> bool:
    if window.skip(_SPACE) == "\ufeff":
        window.at += 1
        window.skip(_SPACE)
    if window.text[window.at : window.at + 1] != "{":
        return False
    window.at += 1
    return True


def _entry(window: _Window) -> Entry | Torn:
    while True:
        try:
            name, value, end = _parsed(window.text, window.at)
        except (ValueError, RecursionError) as error:
            if window.left < ENTRY_BYTES and window.more():
                continue
            return _torn(window, str(error))
        if end == len(window.text) and window.more():  # a number may go on
            continue
        window.at = end
        return Entry(name, value, window.place)


def _parsed(text: str, at: int) -> tuple[str, Any, int]:
    """Raises: ValueError, RecursionError."""
    if text[at : at + 1] != '"':
        raise ValueError("an entry begins with its name in quotes")
    name, end = _DECODER.raw_decode(text, at)
    end = _space(text, end)
    if text[end : end + 1] != ":":
        raise ValueError(f"a colon was expected after {name[:60]!r}")
    value, end = _DECODER.raw_decode(text, _space(text, end + 1))
    return name, value, end


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _torn(window: _Window, reason: str) -> Torn:
    """From here to the next thing that is an entry of memories, or to the end."""
    raw: list[str] = []
    start = 1
    while True:
        for match in _NEXT.finditer(window.text, window.at + start):
            if _memory(window.text, match.start(), match[1]):
                return _left_out(window, match.start(), raw, reason)
        if window.left > 2 * ENTRY_BYTES:
            raw.append(window.text[window.at : window.at + ENTRY_BYTES])
            window.at, start = window.at + ENTRY_BYTES, 0
        if not window.more():
            return _left_out(window, len(window.text), raw, reason)


def _left_out(window: _Window, end: int, raw: list[str], reason: str) -> Torn:
    text = "".join([*raw, window.text[window.at : end]])
    window.at = end
    return Torn(text, reason, window.place)


def _memory(text: str, at: int, name: str) -> bool:
    try:
        _, value, _ = _parsed(text, at)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("id") == name and "content" in value


def _rest(window: _Window, reason: str) -> Torn:
    """All that is left, of which at most `ENTRY_BYTES` are kept."""
    raw = ""
    while True:
        raw += window.text[window.at :][: ENTRY_BYTES - len(raw)]
        window.at = len(window.text)
        if not window.more():
            return Torn(raw, reason, window.place)
