"""How it is told that something could not be done: what failed, and what to do about it."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trinitas_tasks.errors import Conflict, InvalidQuery, NotFound, Overloaded, TrinitasError, Unavailable

ADVICE: Final = (
    (NotFound, "use trinitas_recall or trinitas_timeline to see which there are"),
    (Conflict, "read it again, then decide"),
    (Overloaded, "wait a little and try again"),
    (Unavailable, "what was acknowledged is safe; try again, and if it stays so, `trinitas doctor` tells why"),
)
"""What to do, where the message itself does not say it."""
FOLDERS: Final = re.compile(r"(?<![\w:/.~-])~?/(?:[^\s/:;,'\"()]+/)+")
"""The beginning of an absolute path; not that of a URL."""


def told(error: TrinitasError) -> str:
    """For an agent and whoever reads over its shoulder."""
    advice = next((f". {what[0].upper()}{what[1:]}." for kind, what in ADVICE if isinstance(error, kind)), "")
    return scrubbed(str(error)).rstrip(".") + advice


def scrubbed(text: str) -> str:
    """Without the folders that files of this machine are in, and without what cannot be written as UTF-8.

    >>> scrubbed("/home/ann/.local/share/trinitas/spool.db is full; redis://127.0.0.1:6379/0 is away")
    '…/spool.db is full; redis://127.0.0.1:6379/0 is away'
    """
    return FOLDERS.sub("…/", text).encode(errors="backslashreplace").decode()


def wrong_arguments(error: ValidationError, model: type[BaseModel]) -> InvalidQuery:
    """What is wrong with the arguments of a tool; an unknown one is named with the nearest that there is."""
    complaints = [_complaint(each, model) for each in error.errors(include_url=False, include_context=False)]
    return InvalidQuery("; ".join(complaints))


def _complaint(error: ErrorDetails, model: type[BaseModel]) -> str:
    where = ".".join(map(str, error["loc"])) or "arguments"
    match error["type"]:
        case "extra_forbidden":
            return f"{shown(where)}: there is no such argument{nearest(where, model.model_fields)}"
        case "missing":
            return f"{where}: is missing"
        case _:
            return f"{where}: {error['msg'].removeprefix('Value error, ')} (got {shown(error['input'])})"


def shown(value: object) -> str:
    """So much of it that whoever gave it knows what is meant."""
    try:
        return reprlib.repr(value)
    except (ValueError, RecursionError):  # an integer of too many digits, a list too deep
        return type(value).__name__


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a complaint about a name that there is not."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f": did you mean {close[0]}?"
    return f": there are {', '.join(names)}" if names else ": it takes none"
