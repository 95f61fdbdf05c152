"""What is likely to be read next: first-order sequences, learned with decay."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from trinitas_tasks.model import Key


class Follower(NamedTuple):
    """A memory that was read after another one: how often, as counted at ``at``."""

    key: Key
    weight: float
    at: datetime
