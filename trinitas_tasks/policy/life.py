"""The rules by which memories live: thresholds and half-lives, of all personas or of one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from trinitas_tasks.errors import InvalidQuery
from trinitas_tasks.model import MemoryType


class LifeTask(StrEnum):
    """What is done to memories as time goes by, by the names under which it is scheduled and run."""

    SWEEP_OUTBOX = "sweep_outbox"
    FLUSH_ACCESS = "flush_access"
    ARCHIVE_EXPIRING = "archive_expiring"
    RECONCILE = "reconcile"
    WARM_CACHE = "warm_cache"
    SCORE_IMPORTANCE = "score_importance"
    CONSOLIDATE = "consolidate"
    ARCHIVE_OLD = "archive_old"
    PRUNE = "prune"
    DETECT_ANOMALIES = "detect_anomalies"
    BACKUP = "backup"


SECONDS: Final[Mapping[LifeTask, float]] = {
    LifeTask.SWEEP_OUTBOX: 5,
    LifeTask.FLUSH_ACCESS: 30,
    LifeTask.ARCHIVE_EXPIRING: 60,
    LifeTask.RECONCILE: 300,
    LifeTask.WARM_CACHE: 300,
    LifeTask.SCORE_IMPORTANCE: 3600,
    LifeTask.CONSOLIDATE: 3600,
    LifeTask.ARCHIVE_OLD: 3600,
    LifeTask.PRUNE: 86_400,
    LifeTask.DETECT_ANOMALIES: 3600,
    LifeTask.BACKUP: 86_400,
}
"""How often each of them runs."""

BY_PERSONA: Final = frozenset(
    {LifeTask.WARM_CACHE, LifeTask.SCORE_IMPORTANCE, LifeTask.CONSOLIDATE, LifeTask.ARCHIVE_OLD, LifeTask.PRUNE}
)
"""Those that can be run for one persona alone; the others are about everybody's memories."""


def task_named(name: str) -> LifeTask:
    """The task of this name. Raises: InvalidQuery."""
    try:
        return LifeTask(name)
    except ValueError:
        raise InvalidQuery(f"task: there is no {name!r}; there are {', '.join(sorted(LifeTask))}") from None


Days = Annotated[float, Field(gt=0, le=36_500)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


def _days(working: float, episodic: float, semantic: float, procedural: float) -> Mapping[MemoryType, float]:
    return dict(zip(MemoryType, (working, episodic, semantic, procedural), strict=True))


class Rules(BaseModel):
    """How a persona's memories live. All ages are counted from the last use: the timestamp, or a later access."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    half_life_days: Mapping[MemoryType, Days] = _days(1 / 24, 7, 180, 365)
    """After how long the part that recency has in the importance is half of what it was."""
    stability_days: Mapping[MemoryType, Days] = _days(2, 14, 120, 365)
    """How well a memory of middling importance is remembered before its first access (see policy.retention)."""
    forget_below: Share = 0.1
    """A memory whose retention is less is archived."""
    max_memories: Annotated[int, Field(ge=0)] = 0
    """Of more than so many those with the least retention are archived; 0: any number."""
    delete_after_days: Mapping[MemoryType, Days] = Field(default_factory=dict)
    """Archived memories of these types that were not used for so long are deleted, for good; none by default."""
    keep_score: Share = 0.6
    """A working memory of at least this importance becomes a lasting one."""
    keep_reads: Annotated[int, Field(ge=1)] = 3
    """So does one that was read so often."""
    duplicate: Share = 0.97
    """Memories whose vectors are at least so similar say the same, if their words agree."""
    archive_days: Days = 7
    """Episodic memories that were not used for so long are archived (SQLITE_ARCHIVE_DAYS)."""
    score_hours: Annotated[float, Field(gt=0, le=8760)] = 24
    """How old an importance may be before it is computed again."""

    @field_validator("half_life_days", "stability_days", mode="before")
    @classmethod
    def _of_every_type(cls, given: Any, info: ValidationInfo) -> Any:
        """Types that are left out live by default."""
        default = cls.model_fields[str(info.field_name)].default
        return {**default, **given} if isinstance(given, dict) else given


DEFAULT: Final = Rules()
