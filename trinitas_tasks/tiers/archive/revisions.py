"""Which revision of the schema this version works with."""

from __future__ import annotations

from typing import Final

from trinitas_tasks.errors import ArchiveError

HEAD: Final = "0007"
"""The revision of the newest migration. Revisions are four digits, so a later one compares greater."""


def refuse_newer(where: str, found: str | None) -> None:
    """Return for a revision that can be read or brought up to date. Raises: ArchiveError."""
    if found is not None and found > HEAD:
        raise ArchiveError(
            f"the archive {where} is at revision {found}, newer than the {HEAD} that this version knows: "
            "upgrade trinitas-tasks, or restore a backup made before"
        )
