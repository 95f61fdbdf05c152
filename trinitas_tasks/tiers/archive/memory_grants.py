"""Who else may read a memory, as `MemoryArchive` keeps it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from trinitas_tasks.model import Key
from trinitas_tasks.policy.grants import EVERYBODY, Grant


class MemoryGrants:
    """That part of the contract of Archive over dictionaries."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._erased: dict[Key, int] = {}
        self._grants: dict[Key, dict[str, Grant]] = {}

    def put_grants(self, grants: Sequence[Grant]) -> None:
        """See Archive."""
        with self._lock:
            for each in grants:
                known = self._grants.setdefault(each.key, {})
                if each.grantee not in known or known[each.grantee].version < each.version:
                    known[each.grantee] = each
            for key in {each.key for each in grants}:
                everybody = self._grants[key].get(EVERYBODY)
                self._end_grants(key, max(everybody.version if everybody else 0, self._erased.get(key, 0)))

    def grants(self, owner: str, ids: Sequence[str]) -> list[list[Grant]]:
        """See Archive."""
        with self._lock:
            found = [self._grants.get(Key(owner, id_), {}) for id_ in ids]
            return [[marks[grantee] for grantee in sorted(marks)] for marks in found]

    def _end_grants(self, key: Key, version: int) -> None:
        for grantee, each in self._grants.get(key, {}).items():
            if not each.revoked and each.version < version:
                self._grants[key][grantee] = each._replace(version=version, revoked=True)
