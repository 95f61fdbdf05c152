"""How the help groups the commands."""

from __future__ import annotations

from enum import StrEnum


class Panel(StrEnum):
    """The groups of `trinitas --help`."""

    MEMORIES = "Memories"
    LIVES = "What becomes of them"
    PERSONAS = "Personas and who may do what"
    STACK = "The stack"
    TENDING = "Looking after it"
    MOVING = "In and out"
    AROUND = "Around it"
