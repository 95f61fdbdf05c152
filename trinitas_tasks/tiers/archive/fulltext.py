"""Full text in SQLite: one FTS5 table; its rowid is a memory's ``seq``, its columns are persona and terms.

The statements are text, for SQLAlchemy and for the driver alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trinitas_tasks.query import Filters
from trinitas_tasks.tiers.archive import filtering
from trinitas_tasks.tiers.archive.filtering import Search, Value

MAX_TERMS: Final = 256
"""Of a longer question only so many different terms are looked up, the first ones: each costs a walk
through its list of memories, and a question is no better for its thousandth word."""

DELETE: Final = "DELETE FROM memories_fts WHERE rowid = :of_seq"
MOVE: Final = "UPDATE memories_fts SET persona = :persona WHERE rowid = :of_seq"
INSERT: Final = "INSERT INTO memories_fts (rowid, persona, terms) VALUES (:of_seq, :persona, :terms)"

# bm25() is the lower the better; 0.0 and 1.0 weigh persona and terms.
_SEARCH: Final = """
    SELECT memories.id, found.score{labels}
    FROM (
        SELECT memories_fts.rowid AS seq, -bm25(memories_fts, 0.0, 1.0) AS score
        FROM memories_fts {join}
        WHERE memories_fts MATCH :expression
        ORDER BY score DESC, seq {limit}
    ) AS found JOIN memories ON memories.seq = found.seq
    WHERE memories.persona = :persona
    ORDER BY found.score DESC, found.seq
"""
# CROSS: the few that hold the words are looked up among the memories, never the other way round
_KEPT: Final = "CROSS JOIN memories AS kept ON kept.seq = memories_fts.rowid AND {conditions}"


def search(persona: str, terms: Iterable[str], limit: int, filters: Filters) -> Search | None:
    """The statement, which answers with ids and scores, best first, then oldest, and its parameters; None where
    there is nothing to look up."""
    looked_up = expression(persona, terms, cold=filters.include_archived)
    if not looked_up:
        return None
    # the expression sees to what is cold: no memory has to be read for that
    everywhere = filters.model_copy(update={"include_archived": True})
    narrowed = filtering.narrowed(everywhere, sees_json=True, of="kept")
    join = _KEPT.format(conditions=" AND ".join(narrowed.conditions)) if narrowed.conditions else ""
    statement = _SEARCH.format(
        labels=filtering.labels(narrowed.left), join=join, limit=filtering.limited(narrowed.left)
    )
    values: dict[str, Value] = {"expression": looked_up, "persona": persona, **narrowed.values}
    return Search(statement, values if narrowed.left else values | {"limit": limit}, narrowed.left)


def persona_token(persona: str, *, cold: bool = False) -> str:
    """The persona of a memory that is cold or not as one token: hex, so that neither case nor ``-`` matter, and a digit
    at the end, because the stemmer takes endings off letters only."""
    return f"{persona.encode().hex()}{int(cold)}"


def joined(terms: Iterable[str]) -> str:
    """The terms as they are kept."""
    return _clean(" ".join(terms))


def expression(persona: str, terms: Iterable[str], *, cold: bool) -> str:
    """The MATCH expression for memories of the persona, the cold ones too or not, that hold any of the terms; empty if
    there are none.

    Every term is quoted, so nothing in it is syntax.
    """
    wanted = list(dict.fromkeys(clean for term in terms if (clean := _clean(term))))[:MAX_TERMS]
    if not wanted:
        return ""
    either = " OR ".join('"' + term.replace('"', '""') + '"' for term in wanted)
    places = " OR ".join(f'"{persona_token(persona, cold=each)}"' for each in ((False, True) if cold else (False,)))
    return f"persona : ({places}) AND terms : ({either})"


def _clean(term: str) -> str:
    """Without what ends a C string or is not Unicode."""
    return term.replace("\0", " ").encode(errors="replace").decode().strip()
