"""The hot tier: where a memory is safe first and read fastest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trinitas_tasks.model import Key, MemoryItem, Record
from trinitas_tasks.tiers.hot.counting import Counting
from trinitas_tasks.tiers.hot.counting import Counts as Counts
from trinitas_tasks.tiers.hot.living import Access as Access
from trinitas_tasks.tiers.hot.living import Copies as Copies
from trinitas_tasks.tiers.hot.living import Living
from trinitas_tasks.tiers.hot.living import Noted as Noted
from trinitas_tasks.tiers.hot.living import Reads as Reads
from trinitas_tasks.tiers.hot.living import Replaced as Replaced
from trinitas_tasks.tiers.hot.living import Said as Said
from trinitas_tasks.tiers.hot.living import Searches as Searches
from trinitas_tasks.tiers.hot.living import Signal as Signal
from trinitas_tasks.tiers.hot.living import Step as Step
from trinitas_tasks.tiers.hot.rolls import Rolls
from trinitas_tasks.tiers.hot.sharing import Barred as Barred
from trinitas_tasks.tiers.hot.sharing import Gone as Gone
from trinitas_tasks.tiers.hot.sharing import Grants as Grants
from trinitas_tasks.tiers.hot.sharing import Shared as Shared
from trinitas_tasks.tiers.hot.sharing import Sharing
from trinitas_tasks.tiers.hot.times import Times


@dataclass(frozen=True, slots=True)
class Write:
    """A memory to keep. ``dedup`` names what it says: a second write of the same within the window is the first.

    ``version`` is that of a replayed write, which was acknowledged while the hot tier was away: it counts only over
    what is older, and its ``dedup`` means nothing any more.
    """

    item: MemoryItem
    dedup: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The ids under which the writes are kept, in order; ``fresh`` counts those that were not known yet.

    ``nudge``: nobody has told the workers of new work for a while, so the caller should. ``version`` is the highest
    that stands now among them (0: of a repeated write nothing stands here any more).
    """

    ids: tuple[str, ...]
    fresh: int
    nudge: bool
    version: int
    versions: tuple[int, ...] = field(default=(), compare=False)
    """Those that stand now, in order; 0 where none does here."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """``nudge`` as of Written; ``version`` is the highest that stands now among what was to be forgotten."""

    nudge: bool
    version: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A memory under lease, to be archived. ``body`` is not decoded: one bad record must not spoil the batch."""

    key: Key
    version: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Grave:
    """A forgotten memory under lease, to be deleted from the tiers below."""

    key: Key
    version: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A claimed memory that the archive holds: it may leave the hot tier after ``seconds``.

    0 means that the archive holds something newer: this copy goes at once. ``slides``: each read gives it this
    time anew, as those that are only cached have it.
    """

    key: Key
    version: int
    seconds: int
    slides: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands under a key: a record, or (``gone``) the mark of a forgotten one.

    ``copy``: a record whose time to live is armed. ``queued``: it waits to be archived, or the mark to be erased below.
    """

    key: Key
    version: int
    gone: bool
    copy: bool
    queued: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """What a recall learns before it asks the workers: the state of the persona, and an answer that is still valid."""

    generation: int
    cached: bytes | None


@dataclass(frozen=True, slots=True)
class HotStats:
    """``outbox`` memories wait to be archived, the oldest for ``lag_seconds``; ``pending`` are the persona's own."""

    outbox: int
    graves: int
    pending: int
    lag_seconds: float
    details: Mapping[str, str | int] = field(default_factory=dict)


class HotTier(Sharing, Living, Rolls, Times, Counting, Protocol):
    """Records, the outbox of what is to be archived, and caches. Errors: Unavailable, Overloaded.

    Times to live are armed by ``finish`` alone: a record without one is the only copy. All others together take no
    more room than they are given, at any time: what is worth least goes first. Of two states of one memory
    the lower version always loses; a new version is greater than every one before and than ``above``, the highest
    that the caller has seen.
    """

    @property
    def fence(self) -> int:
        """No write or forget that has failed takes effect later with a version above this."""

    def write(self, writes: Sequence[Write], *, above: int = 0) -> Written:
        """Keep them durably: each atomically with its outbox entry, all in one round trip."""

    def read(self, persona: str, ids: Sequence[str], *, touch: bool) -> list[Record | Gone | None]:
        """The records in order, None for what is not here or cannot be read. ``touch`` counts the access."""

    def forget(self, keys: Sequence[Key], *, versions: Sequence[int] = (), above: int = 0) -> Forgotten:
        """Make them unreadable at once and leave a grave for each.

        ``versions``, one a key, are those of replayed forgets, which are ignored where something newer stands.
        """

    def claim(self, limit: int, lease_seconds: int) -> list[Claimed]:
        """Lease what is due, oldest first; it is due again when the lease runs out."""

    def finish(self, done: Sequence[Finished]) -> list[bool]:
        """Take them out of the outbox and arm their time to live; False where a newer version came meanwhile."""

    def claim_graves(self, limit: int, lease_seconds: int) -> list[Grave]:
        """Lease graves that are due."""

    def bury(self, graves: Sequence[Grave], *, superseded: Sequence[Grave] = ()) -> None:
        """The tiers below have deleted them: take the graves away, keep the mark for a while.

        Where something newer stands in the archive (``superseded``) the mark goes too.
        """

    def give_back(self, keys: Sequence[tuple[Key, int]], seconds: float) -> None:
        """What was claimed and not finished is due again in so many seconds, where this version still waits."""

    def requeue(self, keys: Sequence[tuple[Key, int]]) -> None:
        """What stands under this version is to be archived, or erased below, again: until then it is the only copy."""

    def standings(self, keys: Sequence[Key]) -> list[Standing | None]:
        """What stands under each key, in order; None for nothing."""

    def scan(self, cursor: int, count: int) -> tuple[int, list[Standing]]:
        """The next cursor and some of all that stands, about ``count``: begin with 0, end when 0 comes back.

        What stands all the while is given at least once.
        """

    def advance(self, version: int) -> None:
        """Versions from now on are greater than this one."""

    def note(self, name: str, text: str | None, seconds: int) -> None:
        """Keep what a worker has to say of its state, for so many seconds; None takes it away.

        This works even where there is no memory left for a write.
        """

    def notes(self) -> dict[str, str]:
        """The notes by name."""

    def due(self) -> bool:
        """Whether anything can be claimed now."""

    def refill(self, records: Sequence[tuple[Record, int]], *, asked: bool = True) -> None:
        """Keep copies of archived records for so many seconds after their last read, where nothing stands in their
        place and there is room. ``asked``: somebody wanted to read them, which counts as fetched (see Reads): they push
        out what they must, whatever its worth; else what stands and is only cached lasts as long, too."""

    def pending(self, persona: str, limit: int) -> list[Record]:
        """The persona's newest records that are not archived yet."""

    def unarchived(self, key: Key) -> bool:
        """Whether the hot tier holds the only copy."""

    def probe(self, persona: str, digest: str) -> Probe:
        """The persona's generation and the answer cached for it under this digest."""

    def cache_answer(self, persona: str, generation: int, digest: str, answer: bytes, seconds: int) -> None:
        """Keep an answer; it is valid only while the persona's generation is this one."""

    def cached_vector(self, digest: str) -> bytes | None:
        """A cached query vector."""

    def cache_vector(self, digest: str, vector: bytes, seconds: int) -> None:
        """Keep a query vector."""

    def changed(self, personas: Sequence[str]) -> None:
        """What the persona's recalls find has changed: cached answers end."""

    def stats(self, persona: str) -> HotStats:
        """Counts and the state of the server."""

    def ping(self) -> None:
        """Return if it answers. Raises: Unavailable."""

    def close(self) -> None:
        """Give the connections back."""
