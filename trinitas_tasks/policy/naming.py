"""New names for the keys of a JSON object, such that no value is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def renamed(value: Mapping[str, Any], rename: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Every key and its new name; those that would be the same are told apart by a number.

    >>> dict(renamed({"a": 1, "A": 2}, str.upper))
    {'a': 'A (2)', 'A': 'A'}
    """
    names = {key: rename(key) for key in value}
    taken = {key for key, name in names.items() if key == name}
    for key, name in names.items():
        unique, number = name, 1
        while key != name and unique in taken:
            number += 1
            unique = f"{name} ({number})"
        taken.add(unique)
        yield key, unique
