"""Clients over stubs, whose jobs run in the test's own process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.unit.world import World
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.model import MemoryItem
from trinitas_tasks.query import Recall
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.settings import Settings
from trinitas_tasks.tasks.inline import InlineDispatcher


class Held(InlineDispatcher):
    """Answers, but starts nothing by itself: as with busy workers."""

    def tell(self, job: str) -> None:
        pass


class Workerless(Held):
    """Nobody serves the queues."""

    def ask(self, job: str, arguments: Sequence[Any], *, deadline_ms: int) -> Any:
        raise Unavailable(f"{job}{tuple(arguments)}: no worker within {deadline_ms} ms")

    def workers(self) -> dict[str, list[str]]:
        return {}


class Bench:
    """Makes clients of one world."""

    def __init__(self) -> None:
        self.world = World()
        self.closing: list[MemoryClient] = []

    def client(
        self,
        dispatcher: type[InlineDispatcher] = InlineDispatcher,
        persona: str | None = "athena",
        *,
        near: bool = False,
        **settings: Any,
    ) -> MemoryClient:
        """``near``: the client can read the archive by itself."""
        world = self.world
        chosen = Settings(**settings)
        runtime = Runtime(
            chosen,
            hot=world.hot,
            archive=world.archive,
            vectors=world.vectors,
            embedder=world.embedder,
            lexical=world.lexical,
            spool=world.spool,
        )
        reader = world.archive if near else None
        client = MemoryClient(
            world.hot, dispatcher(runtime), chosen, spool=world.spool, archive=reader, persona=persona
        )
        self.closing.append(client)
        return client


def got(client: MemoryClient, memory_id: str, **fields: Any) -> MemoryItem:
    item = client.get(memory_id, **fields)
    assert item is not None
    return item


def ids(recall: Recall) -> list[str]:
    return [hit.item.id for hit in recall]
