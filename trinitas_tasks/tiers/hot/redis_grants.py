"""Sharing on Redis. Keys, all under the namespace:

    grants:PERSONA:ID    hash   version of the grant by grantee, negative: revoked; in the place of a grantee "*":
                                whatever was granted before is revoked
    granted:GRANTEE      zset   PERSONA:ID of what it was granted, by version
    lent:GRANTEE         zset   the same as "ID PERSONA", in the order of the ids
    granting             zset   PERSONA:ID whose grants the archive is to be told, by the time (ms) of the next claim

The hash decides; the others find.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final, cast

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import Key, Record
from trinitas_tasks.policy.grants import EVERYBODY, Grant
from trinitas_tasks.tiers.hot.deadline import Deadline
from trinitas_tasks.tiers.hot.rows import answer_of, key_of, member_of
from trinitas_tasks.tiers.hot.server import Call, Late, Server
from trinitas_tasks.tiers.hot.sharing import Barred, Gone, Grants, Shared

NUDGE_MS: Final = 1000
GRAVE_MARK_MS: Final = 3_600_000
TRIES: Final = 5
"""How often a change of grants is sent that others change at the same time."""
MANY: Final = 500
"""Memories that one call of a script is about: others wait meanwhile."""


class RedisGrants:
    """That part of RedisHotTier which implements Sharing."""

    def __init__(self, server: Server, deadline: Deadline, namespace: str) -> None:
        self._server = server
        self._deadline = deadline
        self._ns = namespace
        self._records = f"{namespace}:rec:"
        self._generations = f"{namespace}:gen:"
        self._grants = f"{namespace}:grants:"
        self._space = f"{namespace}:"
        self._found_by = (f"{namespace}:granted:", f"{namespace}:lent:", self._generations)

    def _name(self, kind: str, *parts: str) -> str:
        return ":".join((self._ns, kind, *parts))

    @property
    def fence(self) -> int:
        """See HotTier."""
        return self._deadline.latest

    def _in_time(self, name: str, calls: Sequence[Call]) -> list[Any]:
        """Run scripts that take effect now or never: their last argument says until when."""
        if not calls:
            return []
        for again in (True, False):
            until = self._deadline.until()
            try:
                replies = self._server.run_many(name, [(keys, (*arguments, until)) for keys, arguments in calls])
            except Late as late:
                self._deadline.saw(late.now)
                if not again:
                    raise
            else:
                self._deadline.saw(int(replies[-1][-1]))
                break
        return replies

    def share(self, key: Key, grantees: Sequence[str], *, above: int = 0) -> Shared:
        """See Sharing."""
        return self._share(key, grantees, above, grant=True)

    def unshare(self, key: Key, grantees: Sequence[str] | None = None, *, above: int = 0) -> Shared:
        """See Sharing."""
        return self._share(key, [EVERYBODY] if grantees is None else grantees, above, grant=False)

    def _share(self, key: Key, grantees: Sequence[str], above: int, *, grant: bool) -> Shared:
        if not grantees:
            return Shared(nudge=False, version=0)
        member = member_of(key)
        keys = (
            self._grants + member, self._records + member, self._name("granting"), self._name("nudge"),
            self._name("clock"),
        )  # fmt: skip
        for _ in range(TRIES):
            call = keys, (*key, NUDGE_MS, above, *self._found_by, int(grant), *grantees)
            said, nudge, version, _ = self._in_time("share", [call])[0]
            if said != b"stale":
                return Shared(bool(nudge), int(version), gone=said == b"gone")
            above = int(version)  # seen now; a call that nobody waits for does not come this far
        raise Unavailable(f"the grants of {member} are being changed by many at once: try again")

    def read(self, persona: str, ids: Sequence[str], *, touch: bool) -> list[Record | Gone | None]:
        """See HotTier."""
        found = self.read_scoped(persona, [Key(persona, each) for each in ids], touch=touch)
        return [None if isinstance(each, Barred) else each for each in found]

    def read_scoped(self, reader: str, keys: Sequence[Key], *, touch: bool) -> list[Record | Gone | Barred | None]:
        """See Sharing."""
        if not keys:
            return []
        members = [member_of(key) for key in keys]
        names = [self._records + member for member in members]
        found = self._server.run("read", names, int(touch), reader, self._space, *members)
        return [answer_of(member, row) for member, row in zip(members, found, strict=True)]

    def granted(self, persona: str, limit: int) -> list[Key]:
        """See Sharing."""
        with self._server.mapped("list what was granted") as redis:
            found = redis.zrevrange(self._name("granted", persona), 0, limit - 1)
        return [key_of(member) for member in cast(list[bytes], found)]

    def lenders(self, persona: str, memory_id: str) -> list[Key]:
        """See Sharing."""
        with self._server.mapped("look for grants") as redis:  # "!" is what follows a blank
            found = redis.zrangebylex(self._name("lent", persona), f"[{memory_id} ", f"({memory_id}!")
        return [Key(each.decode().partition(" ")[2], memory_id) for each in cast(list[bytes], found)]

    def grants(self, keys: Sequence[Key]) -> list[Grants]:
        """See Sharing."""
        if not keys:
            return []
        found = self._server.run("grants", [self._name("granting")], self._grants, *map(member_of, keys))
        return [
            Grants(key, tuple(_grants(key, marks)), queued=bool(queued))
            for key, (queued, marks) in zip(keys, found, strict=True)
        ]

    def untold(self) -> list[Grants]:
        """See Sharing."""
        with self._server.mapped("list what waits") as redis:
            members = cast(list[bytes], redis.zrange(self._name("granting"), 0, -1))
        keys = [key_of(each) for each in members]
        return [each for start in range(0, len(keys), MANY) for each in self.grants(keys[start : start + MANY])]

    def claim_grants(self, limit: int, lease_seconds: int) -> list[Grants]:
        """See Sharing."""
        keys = (self._name("granting"), self._name("nudge"))
        found = self._server.run("claim_grants", keys, limit, lease_seconds * 1000, self._grants)
        named = [(key_of(member), marks) for member, marks in found]
        return [Grants(key, tuple(_grants(key, marks)), queued=True) for key, marks in named]

    def finish_grants(self, done: Sequence[Grants]) -> None:
        """See Sharing."""
        if done:
            rows = chain.from_iterable((member_of(each.key), each.version) for each in done)
            self._server.run("finish_grants", [self._name("granting")], self._grants, GRAVE_MARK_MS, *rows)

    def restore_grants(self, grants: Sequence[Grant]) -> None:
        """See Sharing."""
        if grants:
            signed = (
                (*each.key, each.grantee, -each.version if each.revoked else each.version)
                for each in sorted(grants, key=lambda each: each.version)
            )
            keys = (self._name("granting"), self._name("clock"))
            rows = chain.from_iterable(signed)
            self._server.run("restore_grants", keys, self._grants, self._records, *self._found_by, *rows)

    def requeue_grants(self, keys: Sequence[Key]) -> None:
        """See Sharing."""
        if keys:
            with self._server.mapped("queue grants") as redis:
                redis.zadd(self._name("granting"), {member_of(key): 0 for key in keys}, nx=True)


def _grants(key: Key, marks: Sequence[bytes]) -> Iterator[Grant]:
    """Of a hash, as the scripts give it."""
    for grantee, version in zip(marks[::2], marks[1::2], strict=True):
        yield Grant(key, grantee.decode(), abs(int(version)), revoked=int(version) < 0)
