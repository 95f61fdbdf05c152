"""One memory with its life as a line of an export, there and back."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trinitas_tasks.errors import InvalidMemory
from trinitas_tasks.model import ID_PATTERN, Key, Persona, Time, complaint
from trinitas_tasks.tiers.archive.lives import Life, Restored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSION: Final = 1
HEADER: Final = {"trinitas": "export", "version": VERSION}
"""The first line. It tells no time: two exports of the same are the same, byte for byte."""


class Past(BaseModel):
    """What became of a memory, as an export tells it; ``grants``: who else may read it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    access_count: Annotated[int, Field(ge=0)] = 0
    last_access: Time
    pinned: bool = False
    cold: bool = False
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    scored_at: Time | None = None
    stability_days: Annotated[float, Field(gt=0)] | None = None
    fades_at: Time | None = None
    useful: Annotated[int, Field(ge=0)] = 0
    useless: Annotated[int, Field(ge=0)] = 0
    representative: Annotated[str, Field(pattern=ID_PATTERN)] | None = None
    grants: tuple[Persona, ...] = ()

    def of(self, key: Key) -> Restored:
        """As the archive takes it."""
        return Restored(key, **{name: getattr(self, name) for name in Restored._fields if name != "key"})


PAST: Final = frozenset(Past.model_fields)
IGNORED: Final = frozenset({"vectors", "model"})
"""Fields of a line that an import has no need of: it makes vectors by the model in force."""


def header(model: str | None) -> str:
    """The first line of an export, with the name of the model where the vectors are told: where a line names none."""
    return _dumped(HEADER if model is None else {**HEADER, "model": model})


def line(life: Life, grants: Sequence[str], vectors: NDArray[np.float32] | None, model: str | None = None) -> str:
    """Everything of one memory, in an order of its own. Vectors: float32, little-endian, base64, one a part, with the
    name of the ``model`` that made them where it is not that of the first line."""
    item = life.record.item
    fields: dict[str, Any] = {
        "persona": item.persona,
        "id": item.id,
        "type": item.type.value,
        "timestamp": item.timestamp.isoformat(),
        "importance": item.importance,
        "ttl": item.ttl,
        "content": item.content,
        "metadata": item.metadata,
        "tags": list(item.tags),
        "access_count": item.access_count,
        "last_access": item.last_access.isoformat(),
        "pinned": life.pinned,
        "cold": life.cold,
        "score": life.score,
        "scored_at": _time(life.scored_at),
        "stability_days": life.stability_days,
        "fades_at": _time(life.fades_at),
        "useful": life.useful,
        "useless": life.useless,
        "representative": life.representative,
        "grants": sorted(grants),
    }
    if vectors is not None:
        fields |= {} if model is None else {"model": model}
        fields["vectors"] = [base64.b64encode(part.astype("<f4").tobytes()).decode() for part in vectors]
    return _dumped(fields)


def past_of(fields: Mapping[str, Any]) -> Past:
    """What a line tells beside the memory itself. Raises: InvalidMemory."""
    try:
        return Past(**fields)
    except ValidationError as error:
        raise InvalidMemory(complaint(error)) from None


def _time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _dumped(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
