"""Who else may read a memory, and which of two accounts of that counts.

A grant and its revocation have a version each, from the clock that gives memories theirs, and the higher one wins. A
revocation leaves a mark, so that a tier which has slept through it cannot bring the grant back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from trinitas_tasks.model import Key

EVERYBODY: Final = "*"
"""In the place of a grantee: whatever was granted before this version is revoked, known or not."""


class Grant(NamedTuple):
    """That ``grantee`` may read the memory ``key`` or, ``revoked``, may no longer."""

    key: Key
    grantee: str
    version: int
    revoked: bool


def holders(grants: Iterable[Grant]) -> frozenset[str]:
    """Who may read the memory that these grants, all there are of it, are about."""
    every = list(grants)
    floor = _versions(every).get(EVERYBODY, 0)
    return frozenset(each.grantee for each in every if not each.revoked and each.version > floor)


def missing(known: Iterable[Grant], told: Iterable[Grant]) -> list[Grant]:
    """What of one memory's grants, as another tier tells them, a tier that has the ``known`` ones must take over.

    A mark that nothing here contradicts is not missed: marks may be cleared away where they have done their work.
    """
    here = list(known)
    versions = _versions(here)
    floor = versions.get(EVERYBODY, 0)
    return [
        each
        for each in told
        if (
            any(_is_ended(mine, each) for mine in here)
            if each.revoked
            else each.version > max(floor, versions.get(each.grantee, 0))
        )
    ]


def _is_ended(grant: Grant, mark: Grant) -> bool:
    return not grant.revoked and grant.version < mark.version and mark.grantee in (grant.grantee, EVERYBODY)


def _versions(grants: Iterable[Grant]) -> dict[str, int]:
    return {each.grantee: each.version for each in grants}
