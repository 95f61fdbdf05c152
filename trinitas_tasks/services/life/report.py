"""What a run of a task came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import JsonValue

from trinitas_tasks.model import Key
from trinitas_tasks.policy.life import Rules

RulesOf = Callable[[str], Rules]
"""By which rules a persona's memories live."""


class Decision(NamedTuple):
    """What is done to a memory, and why, for people."""

    key: Key
    action: str
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """How many memories were looked at and changed, what was decided, and whether more is due. Of a dry run nothing was
    changed, and the decisions are those that a real one would take now. ``errors`` tell what could not be done."""

    examined: int = 0
    decisions: tuple[Decision, ...] = ()
    changed: int = 0
    errors: tuple[str, ...] = ()
    detail: Mapping[str, JsonValue] = field(default_factory=dict)
    more: bool = False

    def __add__(self, other: Report) -> Report:
        """Both, one after the other: what the second one says of its state counts."""
        return Report(
            self.examined + other.examined,
            self.decisions + other.decisions,
            self.changed + other.changed,
            tuple(dict.fromkeys(self.errors + other.errors)),
            {**self.detail, **other.detail},
            other.more,
        )


def days(number: float) -> str:
    """So many days, for people.

    >>> days(0.04), days(1.0), days(9.3)
    ('1 h', '1 day', '9 days')
    """
    if number < 1:
        return f"{number * 24:.0f} h"
    return "1 day" if round(number) == 1 else f"{number:.0f} days"


def by_action(decisions: Sequence[Decision]) -> dict[str, JsonValue]:
    """How often what was decided."""
    return {**Counter(each.action for each in decisions)}
