"""Filters in SQL: what the database decides by itself, and what of it is left to be decided row by row.

The conditions are text, for SQLAlchemy and for the driver alone, and speak of one row of ``memories``. Tags and
metadata are JSON: SQLite looks into it where it answers exactly as `Filters.admit` does, no other database does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from trinitas_tasks.errors import ArchiveError
from trinitas_tasks.policy.micros import to_micros
from trinitas_tasks.query import Filters

Value = str | int | float
Asked = tuple[str, dict[str, Value]]
"""A condition and the values of its parameters."""

EXACT_INTEGERS: Final = 1 << 31
"""Below this SQLite reads every integer, written as 7 or 7.0, as the number that Python reads."""


class Narrowed(NamedTuple):
    """What the database is asked (joined by AND, with the values of the parameters in it), and what must then be looked
    at in each row's tags and metadata."""

    conditions: tuple[str, ...]
    values: dict[str, Value]
    left: Filters | None


class Search(NamedTuple):
    """A statement, its parameters, and what is left to be decided: then its last two columns are tags and metadata."""

    statement: str
    values: dict[str, Value]
    left: Filters | None


def narrowed(filters: Filters, *, sees_json: bool, of: str = "memories") -> Narrowed:
    """The filters as conditions on the table that goes by the name ``of``."""
    conditions: list[str] = []
    values: dict[str, Value] = {}
    asked = [*_of_columns(filters, of), *(_of_tags(filters, of) if sees_json else ())]
    left = Filters() if sees_json else Filters(any_tags=filters.any_tags, all_tags=filters.all_tags)
    undecided: dict[str, Any] = {}
    for n, (key, value) in enumerate(filters.metadata.items()):
        condition, its_values, exact = _equality(f"{of}.metadata", n, key, value) if sees_json else _UNKNOWN
        if condition:
            asked.append((condition, its_values))
        if not exact:
            undecided[key] = value
    for condition, its_values in asked:
        conditions.append(condition)
        values |= its_values
    left = left.model_copy(update={"metadata": undecided})
    return Narrowed(tuple(conditions), values, left if left.narrow else None)


_UNKNOWN: Final[tuple[str, dict[str, Value], bool]] = ("", {}, False)


def _of_columns(filters: Filters, of: str) -> Iterator[Asked]:
    if not filters.include_archived:
        yield f"{of}.cold = 0", {}
    if filters.types:
        kinds: dict[str, Value] = {f"type_{n}": kind.value for n, kind in enumerate(sorted(filters.types))}
        yield f"{of}.type IN ({', '.join(f':{name}' for name in kinds)})", kinds
    if filters.since is not None:
        yield f"{of}.timestamp >= :since", {"since": to_micros(filters.since)}
    if filters.before is not None:
        yield f"{of}.timestamp < :before", {"before": to_micros(filters.before)}
    if filters.min_importance > 0:
        yield f"{of}.importance >= :min_importance", {"min_importance": filters.min_importance}


def _of_tags(filters: Filters, of: str) -> Iterator[Asked]:
    if filters.any_tags:
        one = f"SELECT 1 FROM json_each({of}.tags) WHERE value IN (SELECT value FROM json_each(:any_tags))"
        yield f"EXISTS ({one})", {"any_tags": _list(filters.any_tags)}
    if filters.all_tags:
        its = f"SELECT value FROM json_each({of}.tags)"
        lacking = f"SELECT 1 FROM json_each(:all_tags) AS wanted WHERE wanted.value NOT IN ({its})"
        yield f"NOT EXISTS ({lacking})", {"all_tags": _list(filters.all_tags)}


def _list(tags: Iterable[str]) -> str:
    return json.dumps(sorted(tags), ensure_ascii=False)


def _equality(column: str, n: int, key: str, value: object) -> tuple[str, dict[str, Value], bool]:
    """A condition that every row with this value under this key fulfils, and whether no other does.

    Keys that JSON escapes are left alone: older versions of SQLite compare them as they are written. So are
    fractions and large numbers, which SQLite may read differently in the last digit.
    """
    if not key or not key.isprintable() or '"' in key or "\\" in key:
        return _UNKNOWN
    path, wanted = f"path_{n}", f"value_{n}"
    values: dict[str, Value] = {path: f'$."{key}"'}
    kind = f"json_type({column}, :{path})"
    equal = f"json_extract({column}, :{path}) = :{wanted}"
    match value:
        case None:
            return f"{kind} = 'null'", values, True
        case bool():
            return f"{kind} = '{json.dumps(value)}'", values, True
        case str():
            return f"({kind} = 'text' AND {equal})", values | {wanted: value}, True
        case int() | float() if abs(value) < EXACT_INTEGERS and value == int(value):
            return f"({kind} IN ('integer', 'real') AND {equal})", values | {wanted: int(value)}, False
        case _:
            return _UNKNOWN


def matching(persona: str, filters: Filters, limit: int, *, sees_json: bool) -> Search:
    """Asks for the ids of the persona's memories that the filters admit, the newest first."""
    found = narrowed(filters, sees_json=sees_json)
    where = " AND ".join(("memories.persona = :persona", *found.conditions))
    statement = (
        f"SELECT memories.id{labels(found.left)} FROM memories WHERE {where} "
        f"ORDER BY memories.timestamp DESC, memories.seq DESC {limited(found.left)}"
    )
    values: dict[str, Value] = {"persona": persona, **found.values}
    return Search(statement, values if found.left else values | {"limit": limit}, found.left)


def labels(left: Filters | None) -> str:
    """The columns to add to a statement of which something is left to be decided."""
    return ", memories.tags, memories.metadata" if left else ""


def limited(left: Filters | None) -> str:
    """The limit of a statement: where something is left to be decided, nobody knows how many rows that takes."""
    return "" if left else "LIMIT :limit"


def decided(rows: Iterable[Sequence[Any]], left: Filters | None) -> Iterator[Any]:
    """The rows that what is left of the filters admits, without the tags and metadata at their end."""
    if left is None:
        yield from rows
        return
    for *row, tags, metadata in rows:
        try:
            admitted = left.admit_labels(json.loads(tags), json.loads(metadata))
        except (ValueError, TypeError, AttributeError) as error:
            raise ArchiveError(f"a row of the archive is damaged: {row[0]}: {error}") from error
        if admitted:
            yield row
