"""A client's calls as coroutines: a few threads make them, however many coroutines wait."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, NamedTuple, TypeVar

from trinitas_tasks.client import PIPELINE, MemoryClient
from trinitas_tasks.compat.items import MemoryItem, recalled, remembered
from trinitas_tasks.errors import InvalidMemory, NotFound
from trinitas_tasks.model import MemoryType
from trinitas_tasks.query import Hit
from trinitas_tasks.settings import Settings, load_settings

T = TypeVar("T")

LEAST_THREADS: Final = 5
"""For a client that somebody else made: no pool of connections is smaller."""
PAGE: Final = 1000
"""The most that one recall answers."""


class _Opened(NamedTuple):
    client: MemoryClient
    pool: ThreadPoolExecutor
    left_open: weakref.finalize[..., Memories]
    """What closes it when nobody did."""


class Memories:
    """Stores and finds items by way of a client, its own (connected when it is first used) or a given one.

    Concurrent writes go out together, in the order in which they came; each is acknowledged when it is safe.
    """

    def __init__(self, client: MemoryClient | None = None, overrides: Mapping[str, Any] | None = None) -> None:
        """``overrides`` of the process's settings, for a client of its own."""
        self._given = client
        self._overrides = dict(overrides or {})
        self._lock = threading.RLock()
        self._open: _Opened | None = None
        self._waiting: deque[tuple[dict[str, Any], Future[None]]] = deque()
        self._writing = False

    def settings(self) -> Settings:
        """Those in force for a client of its own."""
        return load_settings(overrides=self._overrides)

    def connect(self) -> MemoryClient:
        """The client, connected if it is not yet. Raises: SettingsError when nothing says where Redis is."""
        return self._opened().client

    def close(self) -> None:
        """Finish what waits and give the connections back; the next call connects again."""
        with self._lock:
            opened, self._open = self._open, None
        if opened is not None:
            opened.left_open.detach()
            _close(opened.pool, opened.client if self._given is None else None, wait=True)

    def _opened(self) -> _Opened:
        with self._lock:
            if self._open is None:
                if self._given is None:
                    settings = self.settings()
                    client, threads = MemoryClient.connect(settings), settings.connection_pool_size
                else:
                    client, threads = self._given, LEAST_THREADS
                pool = ThreadPoolExecutor(threads, "trinitas-compat")
                left_open = weakref.finalize(self, _close, pool, client if self._given is None else None)
                self._open = _Opened(client, pool, left_open)
            return self._open

    async def run(self, call: Callable[[MemoryClient], T]) -> T:
        """What the call returns, made in a thread."""
        with self._lock:  # else somebody may close it in between
            opened = self._opened()
            answer = opened.pool.submit(call, opened.client)
        return await asyncio.wrap_future(answer)

    # Writing.

    async def store(self, item: MemoryItem) -> None:
        """Returns when the item is safe; an older one of its id is replaced. Raises: as MemoryClient.remember."""
        fields, done = remembered(item), Future[None]()
        with self._lock:
            opened = self._opened()
            self._waiting.append((fields, done))
            if not self._writing:
                self._writing = True
                opened.pool.submit(self._drain, opened.client)
        await asyncio.wrap_future(done)

    def _drain(self, client: MemoryClient) -> None:
        while batch := self._next():
            _write(client, [each for each in batch if each[1].set_running_or_notify_cancel()])

    def _next(self) -> list[tuple[dict[str, Any], Future[None]]]:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(PIPELINE, len(self._waiting)))]
            self._writing = bool(batch)
            return batch

    # Reading and sharing.

    async def recall(
        self, text: str, persona: str | Sequence[str], limit: int, types: Iterable[MemoryType] = ()
    ) -> list[MemoryItem]:
        """What answers the text best, near-duplicates and archived ones too. Raises: as MemoryClient.recall."""
        hits = await self.run(lambda client: _hits(client, text, persona, limit, list(types)))
        reader = persona if isinstance(persona, str) else None
        return [recalled(hit.item, reader) for hit in hits]

    async def share(self, memory_id: str, reader: str, to: str) -> bool:
        """Let ``to`` read what the reader can; whether there is such a memory."""
        return await self.run(lambda client: _shared(client, memory_id, reader, to))


def _close(pool: ThreadPoolExecutor, client: MemoryClient | None, *, wait: bool = False) -> None:
    pool.shutdown(wait)  # the garbage collector, which waits for nothing, may run in one of its threads
    if client is not None:
        client.close()


def _write(client: MemoryClient, batch: Sequence[tuple[dict[str, Any], Future[None]]]) -> None:
    try:
        client.remember_many([fields for fields, _ in batch])
    except InvalidMemory as error:
        if len(batch) > 1:  # nothing was stored: one bad memory keeps no other one out
            for each in batch:
                _write(client, [each])
            return
        batch[0][1].set_exception(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, those who wait for it are told
        for _, done in batch:
            done.set_exception(error)
    else:
        for _, done in batch:
            done.set_result(None)


def _hits(
    client: MemoryClient, text: str, persona: str | Sequence[str], limit: int, types: Sequence[MemoryType]
) -> list[Hit]:
    if not text.strip():
        types = types or list(MemoryType)  # an empty question is answered only where it filters
    hits: list[Hit] = []
    after: str | None = None
    while len(hits) < limit:
        page = client.recall(
            text,
            persona=persona,
            limit=min(limit - len(hits), PAGE),
            types=types,
            collapse=False,
            include_archived=True,
            after=after,
        )
        hits += page
        after = page.next
        if after is None:
            break
    return hits


def _shared(client: MemoryClient, memory_id: str, reader: str, to: str) -> bool:
    found = client.get(memory_id, persona=reader)
    if found is None:
        return False
    if found.persona != to:
        try:
            client.share(memory_id, to=to, persona=found.persona)
        except NotFound:  # it was forgotten meanwhile
            return False
    return True
