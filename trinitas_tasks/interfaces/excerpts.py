"""Of figures on everything, what somebody may see who acts for some personas only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from trinitas_tasks.services.condition import Health, Stats

TROUBLE: Final = "it does not work as it should"


def stats(whole: Stats) -> Stats:
    """Without what others write: ``outbox`` is the persona's own, ``spooled`` and what is degraded are not told."""
    return replace(whole, outbox=whole.pending, spooled=0, degraded=("workers",) if whole.degraded else ())


def health(whole: Health) -> Health:
    """Which parts work, without numbers, places and warnings."""
    return Health(whole.ok, {part: problem and TROUBLE for part, problem in whole.parts.items()})


def analytics(whole: Mapping[str, Any], persona: str) -> dict[str, Any]:
    """Without what is counted and recommended for all personas together; the hit rate is the persona's own."""
    reads = whole["personas"][persona]["reads"]
    advice = [each for each in whole["recommendations"] if each["persona"] == persona]
    return {**whole, "copies": {}, "hit_rate": reads.get("hit_rate"), "recommendations": advice}
