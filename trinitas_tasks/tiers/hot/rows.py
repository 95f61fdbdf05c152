"""How a record is written to Redis, and what its answers mean."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from trinitas_tasks.errors import InvalidMemory
from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.tiers.hot.interface import Barred, Gone, Standing

OVERHEAD_BYTES: Final = 680
"""What Redis needs for a copy around its body and its name, as tests/contract/test_hot_copies_redis.py measures it."""
WORTH_BYTES: Final = 1024

logger = logging.getLogger(__name__)

COMPRESS_ABOVE: Final = 4096
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
UNREADABLE: Final = (InvalidMemory, ValueError, TypeError, OverflowError)
"""What reading a record raises whose body, or the numbers beside it, somebody changed."""


def pack(body: bytes) -> bytes:
    """A record's bytes as they are kept: compressed if they are many."""
    return zlib.compress(body, 1) if len(body) > COMPRESS_ABOVE else body


def copy_bytes(member: str, packed: bytes) -> int:
    """What a copy takes. Its name stands in its key and in the books (see scripts/_worth.lua, which says the same)."""
    return len(packed) + 4 * len(member) + OVERHEAD_BYTES


def worth(reads: int, size: int, age: float) -> float:
    """What a copy is worth: reads per KB, above the age of the books (see scripts/_room.lua)."""
    return age + (1 + reads) * WORTH_BYTES / size


def unpack(packed: bytes) -> bytes:
    """What was packed. Raises: InvalidMemory."""
    # JSON begins with a brace, zlib with 0x78
    try:
        return packed if packed[:1] == b"{" else zlib.decompress(packed)
    except zlib.error as error:
        raise InvalidMemory(f"unreadable record: {error}") from error


def unpacked_or_raw(packed: bytes) -> bytes:
    """What was packed, or the bytes themselves: the ingest tells that they are no record."""
    try:
        return unpack(packed)
    except InvalidMemory:
        return packed


def readable(rows: Iterable[Sequence[Any]]) -> Iterator[Record]:
    """The records of rows (body, version). One that cannot be read goes to the dead letters soon: it is left out."""
    for row in rows:
        with suppress(*UNREADABLE):
            yield _record(*row)


def answer_of(member: str, row: Any) -> Record | Gone | Barred | None:
    """What the script ``read`` found. A record that cannot be read must not spoil the others: it is not here."""
    if not row:
        return None
    if isinstance(row, bytes):
        return Gone() if row == b"g" else Barred()
    try:
        return _record(*row)
    except UNREADABLE as error:
        logger.warning("%s: %s", member, error)
        return None


def _record(body: bytes, version: bytes, count: int = 0, last: bytes | None = None) -> Record:
    item = MemoryItem.from_json(unpack(body), access_count=count, last_access=moment(last) if last else None)
    return Record(item, int(version))


def standing_of(key: Key, found: list[Any] | None) -> Standing | None:
    """What the script ``standings`` says of a key."""
    if not found:
        return None
    version, gone, copy, queued = map(int, found)
    return Standing(key, version, gone=bool(gone), copy=bool(copy), queued=bool(queued))


def member_of(key: Key) -> str:
    """A memory's name within Redis."""
    return f"{key.persona}:{key.id}"


def key_of(member: bytes) -> Key:
    """The key of a member: personas have no colon."""
    persona, _, memory_id = member.decode().partition(":")
    return Key(persona, memory_id)


def moment(micros: bytes) -> datetime:
    """A time of Redis' clock (us)."""
    return EPOCH + timedelta(microseconds=int(micros))


def micros_of(moment: datetime) -> int:
    """A time in microseconds, as Redis' clock has it."""
    return (moment - EPOCH) // timedelta(microseconds=1)
