"""Who may do what to whose memories."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trinitas_tasks.errors import Forbidden, InvalidQuery


class Right(StrEnum):
    """What a token's scope lets its bearer do. None implies another."""

    READ = "read"
    """Read, search and count memories, and what was shared with its personas."""
    WRITE = "write"
    """Remember, change, forget and pin memories, and say whether they were of use."""
    SHARE = "share"
    """Let other personas read memories, or no longer."""
    ADMIN = "admin"
    """Run tasks and see what concerns everybody: consolidation, figures of all personas, tokens, the audit."""


EVERY_RIGHT: Final = frozenset(Right)


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who asks: the bearer of a token, or a user of this machine.

    ``name`` is what the audit calls them; ``personas`` are those that they act for, None: all.
    """

    name: str
    rights: frozenset[Right] = EVERY_RIGHT
    personas: frozenset[str] | None = None

    def check(self, right: Right, persona: str | None) -> None:
        """Return if they may; ``persona`` None: something that concerns everybody. Raises: Forbidden.

        The answer says nothing of what there is: not whether the persona exists, and not what it has.
        """
        if right not in self.rights:
            raise Forbidden(f"{self.name} may not {right}: its scope is {listed(self.rights) or 'empty'}")
        if self.personas is None or persona in self.personas:
            return
        if persona is None:
            raise Forbidden(f"this concerns all personas, and {self.name} acts for {listed(self.personas)} only")
        raise Forbidden(f"{self.name} does not act for {persona}, only for {listed(self.personas)}")

    def may(self, right: Right, persona: str | None) -> bool:
        """Whether ``check`` would return."""
        return right in self.rights and (self.personas is None or persona in self.personas)

    def sole(self) -> str | None:
        """The one persona that they act for, if it is one: it need not be named."""
        return next(iter(self.personas)) if self.personas is not None and len(self.personas) == 1 else None


def rights_of(names: Iterable[str]) -> frozenset[Right]:
    """The rights of these names. Raises: InvalidQuery."""
    found = set()
    for name in names:
        try:
            found.add(Right(name))
        except ValueError:
            raise InvalidQuery(f"scope: there is no {name!r}; there are {', '.join(Right)}") from None
    if not found:
        raise InvalidQuery(f"scope: nothing is named; there are {', '.join(Right)}")
    return frozenset(found)


def listed(names: Iterable[str]) -> str:
    """For a message: in a fixed order."""
    return ", ".join(sorted(names))
