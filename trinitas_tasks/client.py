"""The thin client: what application code, agents and the command line use to remember and recall."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import EllipsisType, TracebackType
from typing import Any, Final, Self

from trinitas_tasks.errors import DeadlineExceeded, InvalidMemory, InvalidQuery
from trinitas_tasks.model import Key, MemoryItem, MemoryType, check_id, check_persona, utc_now
from trinitas_tasks.policy.chronology import Span, Stretch
from trinitas_tasks.policy.personas import Persona
from trinitas_tasks.policy.zones import aware
from trinitas_tasks.query import Boosts, Filters, Page, Recall, Timeline
from trinitas_tasks.services import asking, condition, opinion, share, stretches, timeline, update
from trinitas_tasks.services.acquaintance import Acquaintance
from trinitas_tasks.services.admission import Admission
from trinitas_tasks.services.answering import Answering
from trinitas_tasks.services.condition import Health, Stats
from trinitas_tasks.services.front import Front
from trinitas_tasks.settings import Settings, load_settings
from trinitas_tasks.tasks import patience
from trinitas_tasks.tasks.config import QUEUES
from trinitas_tasks.tasks.dispatch import CeleryDispatcher, Dispatcher
from trinitas_tasks.tasks.pulse import Pulse, pulse
from trinitas_tasks.tiers.archive.interface import Reader
from trinitas_tasks.tiers.archive.local import LocalArchive
from trinitas_tasks.tiers.breaker import Breaker
from trinitas_tasks.tiers.hot.interface import HotTier, Write
from trinitas_tasks.tiers.hot.redis import RedisHotTier
from trinitas_tasks.tiers.spool.interface import Spool
from trinitas_tasks.tiers.spool.sqlite import SqliteSpool

PIPELINE: Final = 200
"""Memories that remember_many sends in one round trip."""
POLL_SECONDS: Final = 0.005
ARCHIVE_SECONDS: Final = 60
"""How long a synchronous write waits for the archive."""
EVERYBODY: Final = "*"
"""In place of a persona: all of them."""
OPERATOR: Final = "operator"
"""Who asks for everybody without being one of them."""
ROSTER_MS: Final = 2000
"""How long is waited for the workers to say whether there is a persona."""
DEFINE_MS: Final = 30_000
"""An ingest worker may be at a batch, and then loads a model."""
SEARCH_SHARE: Final = 0.9
"""The part of a recall's deadline that the workers have: in the rest it is answered without them."""


class MemoryClient:
    """Remembers and recalls for personas. Thread-safe; nothing is connected before the first call.

    Every method takes ``persona=``; the client's own stands in where it is left out. Build it with connect().
    """

    def __init__(
        self,
        hot: HotTier,
        dispatcher: Dispatcher,
        settings: Settings,
        *,
        spool: Spool,
        archive: Reader | None,
        persona: str | None = None,
    ) -> None:
        """``archive`` is one that this process can read by itself; None: only the workers can."""
        self._hot = hot
        self._dispatcher = dispatcher
        self._settings = settings
        self._spool = spool
        self._archive = archive
        self._persona = None if persona is None else check_persona(persona)
        self._front = Front(
            hot,
            spool,
            archive,
            fetch=self._fetch,
            replayed=lambda: dispatcher.tell("ingest"),
            cache_seconds=settings.redis_ttl_cache,
            retry_seconds=settings.retry_delay,
        )
        self._admission = Admission(settings.max_content_kb, bool(settings.dedup_seconds), settings.secrets)
        self._answering = Answering(self._front, hot, archive, cache_seconds=settings.redis_ttl_cache)
        self._acquaintance = Acquaintance(hot, spool, lambda: str(self.ask("roster", deadline_ms=ROSTER_MS)))

    @classmethod
    def connect(
        cls, settings: Settings | None = None, *, persona: str | None = None, dispatcher: Dispatcher | None = None
    ) -> Self:
        """A client of the Redis and the workers that the settings name (by default those of the process).

        ``dispatcher`` reaches the workers by another way than Celery.
        Raises: SettingsError when nothing says where Redis is and no embedded stack runs.
        """
        settings = settings or load_settings()
        redis = Breaker("Redis", retry_seconds=settings.retry_delay)
        hot = RedisHotTier(
            settings.redis(),
            namespace=settings.namespace,
            pool_size=settings.connection_pool_size,
            timeout_seconds=settings.redis_timeout_ms / 1000,
            dedup_seconds=settings.dedup_seconds,
            outbox_limit=settings.outbox_limit,
            cache_mb=settings.cache_size_mb,
            breaker=redis,
        )
        spool = SqliteSpool(
            settings.spool_file(),
            target=settings.deployment(),
            limit_mb=settings.spool_limit_mb,
            dedup_seconds=settings.dedup_seconds,
            replayed_seconds=60 + 2 * settings.retry_delay,
        )
        file = settings.archive_file()
        owner = None if settings.archive_named else settings.deployment()
        archive = None if file is None else LocalArchive(file, owner=owner)
        dispatcher = dispatcher or CeleryDispatcher(settings, redis=redis)
        return cls(hot, dispatcher, settings, spool=spool, archive=archive, persona=persona)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        for part in (self._front, self._dispatcher, self._hot, self._spool, self._archive):
            if part is not None:
                part.close()

    # Writing.

    def remember(
        self,
        content: Any,
        *,
        persona: str | None = None,
        type: MemoryType | str = MemoryType.EPISODIC,
        timestamp: datetime | str | None = None,
        importance: float = 0.5,
        ttl: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        id: str | None = None,
    ) -> str:
        """Remember any JSON; returns the memory's id when it is safe from a power cut.

        While Redis is away it is safe in this machine's spool, which is replayed by itself when Redis is back.
        The same call within the dedup window returns the first id. With an ``id`` the memory of that id is replaced.
        Raises: InvalidMemory (nothing is stored), Overloaded (too much waits), Unavailable (nobody could keep it).
        """
        fields = {
            "content": content,
            "persona": persona,
            "type": type,
            "timestamp": timestamp,
            "importance": importance,
            "ttl": ttl,
            "metadata": metadata,
            "tags": tags,
            "id": id,
        }
        return self._write([self._new(fields, None)])[0]

    def remember_many(self, memories: Iterable[Mapping[str, Any]], *, persona: str | None = None) -> list[str]:
        """Remember many: mappings of remember()'s arguments, each with its ``content``. Returns the ids in order.

        All are checked before the first is stored. Raises: InvalidMemory, naming the first bad one; Unavailable and
        Overloaded, which may leave the first of them stored: the same call again stores the rest.
        """
        writes = []
        for number, fields in enumerate(memories, 1):
            if not isinstance(fields, Mapping):
                raise InvalidMemory(
                    f"memory {number}: {type(fields).__name__} is not a mapping of remember()'s arguments"
                )
            try:
                writes.append(self._new(fields, persona))
            except InvalidMemory as error:
                raise InvalidMemory(f"memory {number}: {error}") from None
        ids: list[str] = []
        for start in range(0, len(writes), PIPELINE):
            ids += self._write(writes[start : start + PIPELINE])
        return ids

    def check(self, content: Any, **fields: Any) -> MemoryItem:
        """What remember() would store; nothing is. Raises: InvalidMemory where remember() would."""
        return self._new({"content": content, **fields}, None).item

    def update(
        self,
        id: str,
        *,
        persona: str | None = None,
        content: Any = ...,
        type: MemoryType | str | EllipsisType = ...,
        timestamp: datetime | str | EllipsisType = ...,
        importance: float | EllipsisType = ...,
        ttl: int | EllipsisType | None = ...,
        metadata: Mapping[str, Any] | EllipsisType = ...,
        tags: Sequence[str] | EllipsisType = ...,
    ) -> MemoryItem:
        """Change what is given of a memory of the persona's own; the memory as it is now. ``metadata`` and ``tags``
        take the place of all that there were, ``ttl=None`` is what the type says. All else stays: its id, its reads,
        who it is shared with, its pin, and what was said of it. Where nothing changes nothing is written.

        Whoever changes it at the same time loses nothing: it is read and changed anew until nobody came in between.
        Redis alone knows the newest state, so nothing is changed while it is away.
        Raises: NotFound (there is none, or it is another's), InvalidMemory (nothing is changed), Conflict (others
        change it all the time), Overloaded; Unavailable: it may be changed all the same, and the same call again makes
        sure.
        """
        given = {
            "content": content,
            "type": type,
            "timestamp": timestamp,
            "importance": importance,
            "ttl": ttl,
            "metadata": metadata,
            "tags": tags,
        }
        changes = {name: value for name, value in given.items() if value is not ...}
        key = Key(self._scope(persona), check_id(id))
        item, replaced = update.update(
            key,
            lambda item: self._admission.changed(item, changes),
            front=self._front,
            hot=self._hot,
            archive=self._archive,
            fetch=self._fetch,
        )
        if replaced.nudge:
            self._dispatcher.tell("ingest")
        if replaced.version and not self._settings.async_writes:
            self._wait_archived([key])
        return item

    def forget(self, id: str, *, persona: str | None = None) -> None:
        """Delete a memory of the persona: no read of anybody returns it from now on, and all tiers erase it. Forgetting
        what is not there, or is another's, is no error and changes nothing. Raises: Unavailable; the memory may be
        forgotten all the same, and the same call again makes sure."""
        if self._front.forget([Key(self._scope(persona), check_id(id))]):
            self._dispatcher.tell("forget")

    # Sharing.

    def share(self, id: str, *, to: str | Iterable[str], persona: str | None = None) -> None:
        """Let other personas read a memory, as it is now and as it will be: they get() and recall() it at once, nobody
        copies it. Ends with unshare() or forget(). What is shared already is no error.

        Redis alone knows who may read what, so there is no sharing while it is away, and nothing is put off until it is
        back. Raises: NotFound (the persona has no such memory of its own), InvalidQuery, Unavailable (call again).
        """
        key = Key(self._scope(persona), check_id(id))
        if share.share(key, share.others(to, key.persona), front=self._front, hot=self._hot):
            self._dispatcher.tell("ingest")

    def unshare(self, id: str, *, to: str | Iterable[str] | None = None, persona: str | None = None) -> None:
        """Let these personas, or by default all others, read a memory no longer. When this returns, no read of any
        client gives it to them, cached answers included. What is not shared is no error.

        Raises: InvalidQuery; Unavailable: it may be shared still or not, so call again until it returns.
        """
        key = Key(self._scope(persona), check_id(id))
        grantees = None if to is None else share.others(to, key.persona)
        if share.unshare(key, grantees, front=self._front, hot=self._hot):
            self._dispatcher.tell("ingest")

    def shared_with(self, id: str, *, persona: str | None = None) -> frozenset[str]:
        """Who may read the persona's memory of this id besides itself. Raises: Unavailable while Redis is away."""
        return share.shared_with(Key(self._scope(persona), check_id(id)), hot=self._hot)

    # What becomes of it.

    def pin(self, id: str, *, persona: str | None = None) -> None:
        """Keep a memory in reach: nothing archives it for its age or because it is hardly remembered; forget() still
        deletes it. Raises: NotFound, Unavailable while Redis is away."""
        self._pin(id, persona, pinned=True)

    def unpin(self, id: str, *, persona: str | None = None) -> None:
        """Let a memory live by the rules again. Raises: NotFound, Unavailable while Redis is away."""
        self._pin(id, persona, pinned=False)

    def _pin(self, id: str, persona: str | None, *, pinned: bool) -> None:
        key = Key(self._scope(persona), check_id(id))
        opinion.pin(key, pinned, front=self._front, hot=self._hot, now=utc_now())

    def feedback(self, id: str, *, useful: bool, persona: str | None = None, owner: str | None = None) -> None:
        """Say that a memory was of use, or was not: it becomes more or less important, and what it has in common with
        others of its kind counts more or less for its owner (see policy.importance). ``owner`` as of get().
        Raises: NotFound, Unavailable while Redis is away."""
        whose = None if owner is None else check_persona(owner)
        named = self._scope(persona)
        opinion.feedback(named, check_id(id), whose, useful, front=self._front, hot=self._hot, now=utc_now())

    def _new(self, given: Mapping[str, Any], persona: str | None) -> Write:
        return self._admission.new(given, self._persona if persona is None else persona, utc_now())

    def _write(self, writes: Sequence[Write]) -> list[str]:
        # what is only in the spool is far from the archive, which a synchronous write waits for
        written = self._front.write(writes) if self._settings.async_writes else self._front.write_through(writes)
        if written.nudge:
            self._dispatcher.tell("ingest")
        self._acquaintance.met({write.item.persona for write in writes})
        if not self._settings.async_writes:
            keys = [Key(write.item.persona, each) for write, each in zip(writes, written.ids, strict=True)]
            self._wait_archived(keys)
        return list(written.ids)

    def _wait_archived(self, keys: Sequence[Key]) -> None:
        until = time.monotonic() + ARCHIVE_SECONDS
        for key in keys:
            while self._hot.unarchived(key):
                if time.monotonic() > until:
                    raise DeadlineExceeded(
                        f"{key.persona}:{key.id} is safe in Redis, but was not archived within {ARCHIVE_SECONDS} s: "
                        "does an ingest worker run? (`trinitas status`)"
                    )
                patience.check()
                time.sleep(POLL_SECONDS)

    # Reading.

    def get(self, id: str, *, persona: str | None = None, owner: str | None = None) -> MemoryItem | None:
        """The persona's memory of this id, else one of another that was shared with it, None if there is neither.
        Counts as an access. ``owner`` says whose is meant: ids are unique within a persona only.

        While Redis is away the archive answers, if it is on this machine, with what it has: changes of the last moments
        may be missing, and so is what others share, since nobody knows whether they still do. Raises: Unavailable;
        also while Redis is away and the memory is not found: it may be there.
        """
        whose = None if owner is None else check_persona(owner)
        record = share.get(self._scope(persona), check_id(id), whose, front=self._front, hot=self._hot)
        return None if record is None else record.item

    def recall(
        self,
        text: str,
        *,
        persona: str | Iterable[str] | None = None,
        limit: int = 10,
        types: Iterable[MemoryType | str] = (),
        filters: Filters | Mapping[str, Any] | None = None,
        boosts: Boosts | Mapping[str, float] | None = None,
        min_similarity: float = 0.0,
        include_archived: bool = False,
        context: int = 0,
        collapse: bool = True,
        explain: bool = False,
        now: datetime | None = None,
        after: str | None = None,
    ) -> Recall:
        """The memories that answer the text best, best first, by meaning and by words: the persona's own and those that
        were shared with it; of several personas, or of ``EVERYBODY`` where the settings allow it, all that is theirs.

        In the text, what stands in quotes must be in an answer word for word; ``tag:x``, ``type:semantic``,
        ``since:2026-05`` and ``before:yesterday`` filter as ``filters`` (of query.Filters) does; a time that it names
        ("in May", 「先週」) lets memories from then come higher: times are counted from ``now``. ``boosts`` (of
        query.Boosts) raise the recent, important or often read ones; ``min_similarity`` leaves out what is less
        relevant, 0 to 1. ``include_archived`` also finds what left the index because it is old or was forgotten; to be
        found or read brings it back. ``context`` brings so many neighbours of each hit in its session, ``explain`` says
        which words were found, ``after`` goes on where another recall of the same question ended (its ``next``).

        Sees what this client has written, embedded or not. While Redis or the search workers are away, it is answered
        by words, if the archive is on this machine; ``degraded`` says so. Raises: InvalidQuery, Unavailable.
        """
        now, whose = now or utc_now().astimezone(), self._whose(persona)
        fields = {
            "text": text,
            "limit": limit,
            "filters": asking.filtered(filters, types, include_archived=include_archived or None),
            "boosts": self._settings.boosts_of(whose["persona"]) if boosts is None else boosts,
            "min_similarity": min_similarity,
            "context": context,
            "collapse": collapse,
            "explain": explain,
            **whose,
        }
        return asking.recall(fields, after, now, answering=self._answering, hot=self._hot, search=self._search)

    def timeline(
        self,
        *,
        persona: str | None = None,
        since: datetime | str | None = None,
        before: datetime | str | None = None,
        types: Iterable[MemoryType | str] = (),
        filters: Filters | Mapping[str, Any] | None = None,
        newest_first: bool = True,
        limit: int = 50,
        after: str | None = None,
        include_archived: bool = True,
    ) -> Page:
        """The persona's memories and those that were shared with it in the order of their time, of equal times by owner
        and id: at most ``limit`` of those from ``since`` on and before ``before`` (times without a zone are of this
        machine) that the ``filters`` (of query.Filters) admit. To read them is no access and changes nothing.

        ``after`` goes on where another page of the same timeline ended (its ``next``), whatever was written or
        forgotten in between; where few are admitted, a page may hold less than ``limit`` and still have a ``next``.
        While Redis is away, what others share and what is not archived is missing; ``degraded`` says what is.
        Raises: InvalidQuery, Unavailable where no tier answers.
        """
        times = {"since": aware("since", since), "before": aware("before", before)}
        asked = Timeline.build(
            persona=self._scope(persona),
            filters=asking.filtered(filters, types, **times, include_archived=include_archived),
            newest_first=newest_first,
            limit=limit,
        )
        return timeline.timeline(
            asked, after, front=self._front, hot=self._hot, archive=self._archive, workers=self._stretch
        )

    def _stretch(self, asked: Timeline, span: Span, limit: int, shared: Sequence[Key]) -> Stretch:
        return stretches.stretch(self.ask("timeline", stretches.question(asked, span, limit, shared)))

    def _whose(self, persona: str | Iterable[str] | None) -> dict[str, Any]:
        if persona is None or (isinstance(persona, str) and persona != EVERYBODY):
            named = self._scope(persona)
            return {"persona": named}
        if persona == EVERYBODY:
            if not self._settings.all_personas:
                raise InvalidQuery("persona: nobody may search all personas here: TRINITAS_ALL_PERSONAS=true allows it")
            return {"persona": self._persona or OPERATOR, "everybody": True}
        among = tuple(check_persona(each) for each in persona)
        if not among:
            raise InvalidQuery("persona: every read names one: an empty list names none")
        return {"persona": self._persona or among[0], "among": among}

    def _search(self, query: dict[str, Any]) -> str:
        share = 1.0 if self._archive is None else SEARCH_SHARE
        found: str = self.ask("search", query, deadline_ms=int(self._settings.deadline_ms * share))
        return found

    def _fetch(self, persona: str, ids: Sequence[str]) -> list[str]:
        came: list[str] = self.ask("fetch", persona, list(ids))
        return came

    def _scope(self, persona: str | None) -> str:
        named = self._persona if persona is None else persona
        if named is None:
            raise InvalidQuery("persona: every read names one: pass persona=, here or to connect()")
        return check_persona(named)

    # Personas.

    def personas(self) -> dict[str, Persona]:
        """All personas that there are, by name: the five, those that were defined, and those that have memories.
        Raises: Unavailable."""
        return self._acquaintance.all()

    def check_known(self, name: str) -> None:
        """Return if there is a persona of this name; also where nobody can tell, since no memory is refused for that.

        This client itself remembers for any name: doors to agents and people ask here first, so that a slip of the pen
        makes no new persona. Raises: UnknownPersona, which names the nearest; InvalidQuery.
        """
        self._acquaintance.check(name)

    def define(self, persona: Persona) -> None:
        """Keep what is said of a persona, in the place of what was before; the workers go by it within seconds.

        With another model its memories are embedded anew. Raises: InvalidQuery, ModelError (the ingest worker cannot
        load the model) and nothing is kept; Unavailable: it may be kept or not, the same call again makes sure.
        """
        self.ask("define", persona.to_dict(), deadline_ms=DEFINE_MS)
        self._acquaintance.changed()
        self._acquaintance.met([persona.name])

    # Looking after it.

    def stats(self, *, persona: str | None = None) -> Stats:
        """How many memories the persona has where. Raises: Unavailable when Redis cannot be reached."""
        return condition.stats(self._scope(persona), hot=self._hot, spool=self._spool, count=partial(self.ask, "count"))

    def health(self) -> Health:
        """What works. Never raises for what does not: it says so."""
        return condition.health(
            hot=self._hot,
            spool=self._spool,
            spooled_in=self._settings.spool_file(),
            queues=QUEUES,
            served=self._dispatcher.workers,
            examine=partial(self.ask, "examine"),
        )

    def pulse(self) -> Pulse:
        """What goes on just now; for operators' tools. Never raises for what is away: it says so."""
        return pulse(hot=self._hot, spool=self._spool, dispatcher=self._dispatcher, clock=utc_now)

    def ask(self, job: str, *arguments: Any, deadline_ms: int | None = None) -> Any:
        """Run a job of the workers and return what it answers; for operators' tools.

        Raises: Unavailable, DeadlineExceeded, and what the job raises.
        """
        return self._dispatcher.ask(job, arguments, deadline_ms=deadline_ms or self._settings.deadline_ms)
