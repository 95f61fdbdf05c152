"""What a doctor must know: gathered by whoever can look, judged in services.doctor. None is what is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, JsonValue

Installed = Mapping[str, tuple[str, str]]
"""By package: the version that is installed and the versions that this one was tested with (PEP 440)."""


class Address(BaseModel):
    """Where a server is: ``local`` means this machine alone, ``public`` an address of the internet.

    ``elsewhere`` is another address of this machine at which a local server answers, to anybody, without a password.
    """

    model_config = ConfigDict(frozen=True)

    where: str
    local: bool
    public: bool = False
    password: bool = False
    elsewhere: str | None = None


class WorkerFacts(BaseModel):
    """What only the workers can see. What another version adds is ignored, what it lacks is not known.

    ``archive`` is what Archive.facts() tells; ``memories`` counts by persona; ``dead_letters`` may stop counting at
    some hundred. ``differences`` are those that reconcile met lately, by kind, ``compared_seconds`` after it ran last.
    ``fulltext_behind``: how many changes the worker's index is behind the archive. ``model_checked``: the weights have
    the checksum that they should have.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    archive: Mapping[str, JsonValue] | None = None
    archive_error: str | None = None
    memories: Mapping[str, int] | None = None
    dead_letters: int | None = None
    compared_seconds: float | None = None
    differences: Mapping[str, int] = {}
    fulltext_memories: int | None = None
    fulltext_behind: int = 0
    fulltext_error: str | None = None
    model: str | None = None
    model_error: str | None = None
    model_checked: bool = False
    chroma: Address | None = None
    chroma_error: str | None = None
    chroma_server: str | None = None
    chroma_client: str | None = None
    packages: Installed = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What this machine can see, and what the workers told.

    ``redis`` are HotStats.details. ``skew_seconds``: how far this machine's clock is at least from that of Redis.
    ``queues``: who serves each. ``notes``: what workers say of their trouble. ``free_mb``: by what is kept there.
    """

    redis_error: str | None = None
    address: Address | None = None
    redis: Mapping[str, str | int] = field(default_factory=dict)
    outbox: int | None = None
    lag_seconds: float = 0.0
    skew_seconds: float | None = None
    queues: Mapping[str, Sequence[str]] | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    spool_error: str | None = None
    spool_waiting: int | None = None
    spool_unreadable: int = 0
    ledger_error: str | None = None
    ledger_tokens: int | None = None
    """How many may come in by one."""
    ledger_mode: int = 0o600
    """Who may read and write its file."""
    free_mb: Mapping[str, float] = field(default_factory=dict)
    packages: Installed = field(default_factory=dict)
    worker: WorkerFacts | None = None
    worker_error: str | None = None
