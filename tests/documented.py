"""docs/json.md as something that can be asked: does a document look like the example?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

PAGE = Path(__file__).parents[1] / "docs" / "json.md"
OPEN = re.compile(r"[A-Z]+")
"""A key that stands for any number of names."""
ANYTHING = frozenset({"content", "metadata", "before", "after", "why", "detail"})
"""Keys whose values hold what somebody wrote, or what differs from case to case."""


class Example(NamedTuple):
    """What is documented of a command: an example, and which keys may be null."""

    value: Any
    nullable: frozenset[str]


@cache
def examples() -> dict[str, Example]:
    """By command."""
    found: dict[str, Example] = {}
    for heading, rest in re.findall(r"^### (.+?)\n(.*?)(?=^#|\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        block = re.search(r"```json\n(.*?)```", rest, re.DOTALL)
        assert block, heading
        after = re.search(r"May be null: (.*?)\.", rest[block.end() :], re.DOTALL)
        example = Example(json.loads(block[1]), frozenset(re.findall(r"`(\w+)`", after[1]) if after else ()))
        found |= {name.removeprefix("trinitas "): example for name in heading.split(", ")}
    return found


def differences(command: str, told: Any, *, without: frozenset[str] = frozenset()) -> list[str]:
    """Where what a command told is not as documented; ``without``: keys that may be missing, or come in addition."""
    example = examples()[command]
    return list(_differing(told, example.value, command, example.nullable, without))


def _differing(told: Any, wanted: Any, at: str, nullable: frozenset[str], free: frozenset[str]) -> Iterator[str]:
    match told, wanted:
        case dict(), dict():
            yield from _in_object(told, wanted, at, nullable, free)
        case list(), list():
            for number, each in enumerate(told if wanted else ()):
                yield from _differing(each, wanted[0], f"{at}[{number}]", nullable, free)
        case (None, _) if at.rpartition(".")[2] in nullable:
            pass
        case (_, None):
            pass  # of what is documented as null, the page says what else it is
        case (bool(), _) | (_, bool()) if type(told) is not type(wanted):
            yield f"{at}: {told!r} is no {type(wanted).__name__}"
        case ((int() | float()), (int() | float())):
            pass
        case _ if type(told) is not type(wanted):
            yield f"{at}: {told!r} is no {type(wanted).__name__}"


def _in_object(
    told: dict[str, Any], wanted: dict[str, Any], at: str, nullable: frozenset[str], free: frozenset[str]
) -> Iterator[str]:
    if len(wanted) == 1 and OPEN.fullmatch(name := next(iter(wanted))):
        for key, value in told.items():
            if at.rpartition(".")[2] not in ANYTHING:
                yield from _differing(value, wanted[name], f"{at}.{key}", nullable, free)
        return
    if unlike := (told.keys() ^ wanted.keys()) - free:
        yield f"{at}: {', '.join(sorted(unlike))}"
    for key in told.keys() & wanted.keys():
        if key != "content":
            yield from _differing(told[key], wanted[key], f"{at}.{key}", nullable, free)
