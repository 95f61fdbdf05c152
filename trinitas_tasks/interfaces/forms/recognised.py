"""Which form a file has: what the caller says, or what its beginning tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.errors import InvalidQuery
from trinitas_tasks.interfaces.forms.form import Form, Written
from trinitas_tasks.interfaces.forms.langgraph import LangGraph
from trinitas_tasks.interfaces.forms.lines import Export, Lines
from trinitas_tasks.interfaces.forms.mem0 import Mem0
from trinitas_tasks.interfaces.forms.table import Table

WRITTEN: Final[Mapping[str, Written]] = {form.name: form for form in (Export(), Table(), Mem0(), LangGraph())}
"""Those that an export may have, by name."""
BEGINNING_BYTES: Final = 1 << 16
BOM: Final = b"\xef\xbb\xbf"


def written_as(name: str) -> Written:
    """The form of this name. Raises: InvalidQuery."""
    if name not in WRITTEN:
        raise InvalidQuery(f"format: there is no {name!r}; there are {', '.join(WRITTEN)}")
    return WRITTEN[name]


def read_as(file: Path, name: str | None) -> Form:
    """The form of a file: the named one, or else the one that it seems to have; lines where nothing says otherwise."""
    if name is not None and name != Export.name:
        return written_as(name)
    with file.open("rb") as content:
        beginning = content.read(BEGINNING_BYTES).removeprefix(BOM).lstrip()
    first = beginning.partition(b"\n")[0]
    said = _object(first)
    if name is not None:
        return Export() if said.get("trinitas") == "export" else Lines()
    if said.get("trinitas") == "export":
        return Export()
    if isinstance(said.get("results"), list):
        return Mem0()
    if isinstance(said.get("items"), list):
        return LangGraph()
    if said:
        return Lines()
    if beginning[:1] in (b"[", b"{"):
        return _of_document(beginning)
    is_table = file.suffix.lower() == ".csv" or b"content" in first.replace(b'"', b"").strip().split(b",")
    return Table() if is_table else Lines()


def _of_document(beginning: bytes) -> Form:
    """A file that is one JSON document, or lines of which the first is torn."""
    if beginning[:1] == b"[" or b'"results"' in beginning or b'"items"' in beginning:
        its = {name: beginning.find(name) for name in (b'"namespace"', b'"memory"')}
        seen = [name for name, at in its.items() if at >= 0]
        if seen:
            return LangGraph() if min(seen, key=lambda name: its[name]) == b'"namespace"' else Mem0()
    return Lines()


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
