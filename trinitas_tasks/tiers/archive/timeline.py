"""A stretch of a timeline in SQL, for SQLAlchemy and for the driver alone.

Every index by which memories are chosen begins with persona, type and cold, so does the one of their times: each of
their values is asked for by itself, and what was found is merged (see `choosing`). What no index knows (importance,
tags, metadata) is decided row by row, for so many rows at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice, product
from typing import Any, Final, NamedTuple

from trinitas_tasks.model import Key, MemoryType, Record
from trinitas_tasks.policy.chronology import Place, Span, Stretch
from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.archive import filtering
from trinitas_tasks.tiers.archive.filtering import Value
from trinitas_tasks.tiers.archive.rows import IN_LIST, chunks, from_columns

STEP: Final = 500
"""So many rows are looked at together where no index decides."""
SCANNED: Final = 2500
"""So many rows are looked at in all, 10 microseconds each."""

DECIDED: Final = {"types": frozenset[MemoryType](), "since": None, "before": None, "include_archived": True}
"""What of the filters the index decides, left out."""

Execute = Callable[[str, Mapping[str, Value]], Iterable[Mapping[str, Any]]]
"""Runs a statement with named parameters; its rows as they are fetched, by the names of their columns."""

_BETWEEN: Final = "(timestamp, tie) > (:low_at, :low_id) AND (timestamp, tie) < (:high_at, :high_id)"
_BY_ID: Final = _BETWEEN.replace("timestamp", "timestamp + 0")
"""As with ``cold + 0`` and ``type || ''``, these columns are no use to an index: the ids are to be looked up."""


class _Asked(NamedTuple):
    execute: Execute
    persona: str
    filters: Filters
    shared: Sequence[Key]


def stretch(
    execute: Execute,
    persona: str,
    span: Span,
    limit: int,
    *,
    filters: Filters,
    shared: Sequence[Key],
    sees_json: bool,
) -> Stretch:
    """See Reader.timeline."""
    asked = _Asked(execute, persona, filters, shared)
    narrow = filtering.narrowed(filters.model_copy(update=DECIDED), sees_json=sees_json)
    step = STEP if narrow.conditions or narrow.left else limit
    records: list[Record] = []
    for _ in range(0, max(SCANNED, step), step):
        places = _places(asked, span, step)
        found = _admitted(execute, [seq for _, seq in places], narrow)
        for place, seq in places:
            if seq in found:
                records.append(found[seq])
                if len(records) == limit:
                    return Stretch(records, place)
        if len(places) < step:
            return Stretch(records)
        span = span.beyond(places[-1][0])
    return Stretch(records, places[-1][0])


def _places(asked: _Asked, span: Span, limit: int) -> list[tuple[Place, int]]:
    """The first of the span, with their ``seq``. Of each answer no more is fetched than is needed."""
    questions = _statements(asked, span)
    answers = (_placed(asked.execute(statement, values | {"left": limit})) for statement, values in questions)
    return list(islice(merge(*answers, reverse=span.newest_first), limit))


def _placed(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Place, int]]:
    return ((Place(row["timestamp"], row["persona"], row["id"]), row["seq"]) for row in rows)


def _statements(asked: _Asked, span: Span) -> Iterator[tuple[str, dict[str, Value]]]:
    select = "SELECT timestamp, persona, id, seq FROM memories WHERE persona = :persona AND"
    order = "DESC" if span.newest_first else "ASC"
    end = f"ORDER BY timestamp {order}, tie {order} LIMIT :left"
    types, colds = sorted(asked.filters.types or MemoryType), (0, 1) if asked.filters.include_archived else (0,)
    for kind, cold in product(types, colds):
        values = _between(span, asked.persona) | {"type": kind.value, "cold": cold}
        yield f"{select} type = :type AND cold = :cold AND {_BETWEEN} {end}", values
    kinds: dict[str, Value] = {f"type_{n}": kind.value for n, kind in enumerate(types)}
    of_types = (
        f"type || '' IN ({', '.join(f':{name}' for name in kinds)}) AND cold + 0 IN ({', '.join(map(str, colds))})"
    )
    for owner, ids in _by_owner(asked.shared):
        for chunk in chunks(ids, IN_LIST):
            named: dict[str, Value] = {f"id_{n}": id_ for n, id_ in enumerate(chunk)}
            of_ids = f"id IN ({', '.join(f':{name}' for name in named)})"
            yield f"{select} {of_ids} AND {of_types} AND {_BY_ID} {end}", _between(span, owner) | named | kinds


def _between(span: Span, owner: str) -> dict[str, Value]:
    low, high = span.bounds(owner)
    return {"persona": owner, "low_at": low.at, "low_id": low.id, "high_at": high.at, "high_id": high.id}


def _by_owner(keys: Iterable[Key]) -> list[tuple[str, list[str]]]:
    ids: dict[str, list[str]] = {}
    for key in keys:
        ids.setdefault(key.persona, []).append(key.id)
    return list(ids.items())


def _admitted(execute: Execute, seqs: Sequence[int], narrow: filtering.Narrowed) -> dict[int, Record]:
    """Those that the filters admit, by ``seq``."""
    found: dict[int, Record] = {}
    for chunk in chunks(seqs, IN_LIST):
        where = " AND ".join((f"seq IN ({', '.join(map(str, chunk))})", *narrow.conditions))
        for row in execute(f"SELECT * FROM memories WHERE {where}", narrow.values):
            record = from_columns(row)
            if narrow.left is None or narrow.left.admit_labels(record.item.tags, record.item.metadata):
                found[row["seq"]] = record
    return found
