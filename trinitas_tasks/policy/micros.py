"""Moments as numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


def to_micros(time: datetime) -> int:
    """Microseconds since 1970 in UTC, exactly."""
    return (time - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The time, in UTC."""
    return EPOCH + micros * MICROSECOND
