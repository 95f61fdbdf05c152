"""What one run of a task goes by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trinitas_tasks.services.life.cooling import Index
from trinitas_tasks.services.life.report import RulesOf


@dataclass(frozen=True, slots=True)
class Sweep:
    """The tiers, the rules of each persona, the time, how many memories are looked at, and whether nothing is to be
    changed (``dry``)."""

    index: Index
    rules: RulesOf
    now: datetime
    limit: int
    dry: bool = False
