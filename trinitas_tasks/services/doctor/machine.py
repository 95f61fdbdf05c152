"""What this machine has, and what is installed on it."""

from __future__ import annotations

from typing import Final

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion

from trinitas_tasks.services.doctor.facts import Facts, Installed
from trinitas_tasks.services.doctor.verdict import Level, Verdict, fine

FREE_MB: Final = (1024.0, 100.0)


def disk(facts: Facts) -> Verdict | None:
    """Whether there is room, wherever something grows."""
    free = dict(facts.free_mb)
    if facts.worker and facts.worker.archive and isinstance(mb := facts.worker.archive.get("free_mb"), int | float):
        free["archive"] = float(mb)
    if not free:
        return None
    found = ", ".join(f"{mb / 1024:,.1f} GB free for the {what}" for what, mb in free.items())
    least = min(free.values())
    if least >= FREE_MB[0]:
        return fine(found)
    return Verdict(
        Level.PROBLEM if least < FREE_MB[1] else Level.WARNING, found, "make room, or move it: see .env.example"
    )


def spool(facts: Facts) -> Verdict | None:
    """Whether writes of this machine wait for Redis."""
    if facts.spool_error:
        return Verdict(Level.PROBLEM, facts.spool_error, "without it nothing can be written while Redis is away")
    if facts.spool_waiting is None:
        return None
    if facts.spool_unreadable:
        found = f"{facts.spool_unreadable} entries cannot be read"
        return Verdict(Level.PROBLEM, found, "keep a copy of its file; its disk may be failing")
    if facts.spool_waiting:
        found = f"{facts.spool_waiting} writes wait for Redis"
        return Verdict(Level.WARNING, found, "an ingest worker or any client on this machine replays them")
    return fine("empty")


def ledger(facts: Facts) -> Verdict | None:
    """Whether deeds can be written down, and nobody else can make tokens."""
    if facts.ledger_error:
        found = "without it nothing is written, shared or forgotten through the command line and MCP"
        return Verdict(Level.PROBLEM, facts.ledger_error, found)
    if facts.ledger_tokens is None:
        return None
    if facts.ledger_mode & 0o077:
        found = f"others than its owner may open its file (mode {facts.ledger_mode:o})"
        level = Level.PROBLEM if facts.ledger_mode & 0o022 else Level.WARNING
        return Verdict(level, found, "chmod 600: whoever may write to it makes tokens, whoever reads it sees the audit")
    return fine(f"{facts.ledger_tokens} tokens are valid" if facts.ledger_tokens else "no token is valid")


def packages(installed: Installed) -> Verdict | None:
    """Whether the libraries are of the versions that were tested."""
    if not installed:
        return None
    other = [
        f"{name} {found} (tested: {wanted})" for name, (found, wanted) in installed.items() if not _in(found, wanted)
    ]
    if other:
        return Verdict(Level.WARNING, ", ".join(other), "pip install -c constraints.txt trinitas-tasks, in one call")
    return fine(", ".join(f"{name} {found}" for name, (found, _) in installed.items()))


def _in(found: str, wanted: str) -> bool:
    try:
        return SpecifierSet(wanted).contains(found, prereleases=True)
    except InvalidVersion:
        return False
