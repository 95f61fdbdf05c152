"""An export, step by step: what the archive has, in the order of personas and ids."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict

from trinitas_tasks.model import Key, MemoryType, Persona, Time
from trinitas_tasks.policy.assignment import Naming
from trinitas_tasks.policy.grants import holders
from trinitas_tasks.services import exchange
from trinitas_tasks.services.exchange import Past
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.lives import Life
from trinitas_tasks.tiers.hot.interface import Finished, HotTier

STEP_BYTES: Final = 4 << 20
"""A step ends behind the memory that makes its lines longer than this."""
SCANNED: Final = 500


class Wanted(BaseModel):
    """Which memories: of these personas and types (none named: all), from ``since`` on, and before ``before``; with the
    vectors of this model, if one is named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    personas: tuple[Persona, ...] = ()
    types: tuple[MemoryType, ...] = ()
    since: Time | None = None
    before: Time | None = None
    vectors: bool = False

    def admits(self, life: Life) -> bool:
        """Whether it is one of them."""
        item = life.record.item
        return (
            (not self.types or item.type in self.types)
            and (self.since is None or item.timestamp >= self.since)
            and (self.before is None or item.timestamp < self.before)
        )


class Step(NamedTuple):
    """Lines, after which memory to go on (None: that was all), and how many memories were looked at."""

    lines: list[str]
    after: Key | None
    examined: int


def export_step(after: Key, limit: int, wanted: Wanted, *, hot: HotTier, archive: Archive, naming: Naming) -> Step:
    """The lines of the next ``limit`` memories; begin with empty names. What is forgotten is left out, though it may
    not be erased yet. Raises: Unavailable."""
    personas = sorted(wanted.personas or archive.personas())
    persona = next((each for each in personas if each >= after.persona), None)
    if persona is None:
        return Step([], None, 0)
    lives = archive.named(persona, after.id if persona == after.persona else "", limit)
    following = next((Key(each, "") for each in personas if each > persona), None)
    going_on = lives[-1].key if len(lives) == limit else following
    chosen = [each for each in lives if wanted.admits(each)]
    lines, size = list[str](), 0
    for life, line in zip(chosen, _lines(persona, chosen, wanted, hot, archive, naming), strict=True):
        if line:
            lines.append(line)
            size += len(line)
        if size > STEP_BYTES:
            return Step(lines, life.key, len(lives))
    return Step(lines, going_on, len(lives))


def _lines(
    persona: str, lives: Sequence[Life], wanted: Wanted, hot: HotTier, archive: Archive, naming: Naming
) -> list[str]:
    """Of each in order; empty for what is forgotten."""
    keys = [life.key for life in lives]
    gone = {each.key for each in hot.standings(keys) if each is not None and each.gone}
    grants = {each.key: holders(each.grants) for each in hot.grants(keys)}
    ids, model = [key.id for key in keys], naming.of(persona)
    own = None if model == naming.usual else model
    vectors = archive.vectors(persona, ids, model) if wanted.vectors else [None] * len(ids)
    return [
        "" if life.key in gone else exchange.line(life, sorted(grants[life.key]), its, own)
        for life, its in zip(lives, vectors, strict=True)
    ]


def waiting(upto: int | None, personas: Collection[str], *, hot: HotTier) -> tuple[int, int]:
    """How many memories of these personas (none: of all) are in the hot tier alone, and the highest version of them; of
    those up to a version only.

    What is written later has a higher version. Raises: Unavailable.
    """
    count, highest, cursor = 0, 0, 0
    while True:
        cursor, standings = hot.scan(cursor, SCANNED)
        for each in standings:
            mine = not personas or each.key.persona in personas
            if mine and not each.copy and not each.gone and (upto is None or each.version <= upto):
                count, highest = count + 1, max(highest, each.version)
        if not cursor:
            return count, highest


def relive(pasts: Sequence[tuple[Key, Past]], *, hot: HotTier, archive: Archive) -> tuple[list[Key], bool]:
    """Give memories that were just imported the lives that they had; those that are not archived yet, which is to be
    waited for, and whether to nudge. What was forgotten since is left alone. Raises: Unavailable."""
    keys = [key for key, _ in pasts]
    standings = dict(zip(keys, hot.standings(keys), strict=True))
    early = [key for key, each in standings.items() if each is not None and not each.copy and not each.gone]
    ready = {key: past for key, past in pasts if key not in early}
    ready = {key: past for key, past in ready.items() if not ((each := standings[key]) and each.gone)}
    archive.restore_lives([past.of(key) for key, past in ready.items()])
    # copies count from nought: whoever reads gets the archive's count
    copies = [Finished(key, each.version, 0) for key in ready if (each := standings[key]) is not None]
    hot.finish(copies)
    known = hot.grants(list(ready))
    nudge = bool(ready)
    for told in known:
        if missing := sorted(set(ready[told.key].grants) - holders(told.grants) - {told.key.persona}):
            hot.share(told.key, missing)
    hot.changed(sorted({key.persona for key in ready}))
    return early, nudge
