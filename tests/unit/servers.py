"""An MCP server over stubs, and clients of the SDK's that reach it in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from mcp import types
from mcp.client.client import Client

from tests.unit.clients import Bench
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.interfaces.door import Door
from trinitas_tasks.interfaces.mcp.server import MemoryServer
from trinitas_tasks.policy.access import Principal
from trinitas_tasks.tiers.ledger.memory import MemoryLedger

ERAS = ("legacy", "2026-07-28")
"""The handshake of 2025 and the envelopes that took its place."""
SOMEBODY = Principal("somebody")


@dataclass
class Served:
    """A server whose doors open to memories of stubs."""

    bench: Bench
    principal: Principal = SOMEBODY
    """Who asks where the transport does not say."""
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    client: MemoryClient = field(init=False)
    server: MemoryServer = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.bench.client(persona=None)
        self.server = MemoryServer(self.door)

    @contextmanager
    def door(self, principal: Principal | None) -> Iterator[Door]:
        yield Door(self.client, principal or self.principal, self.ledger, "mcp")

    @asynccontextmanager
    async def connected(self, era: str = ERAS[0]) -> AsyncIterator[Client]:
        async with Client(self.server.protocol, mode=era, raise_exceptions=False) as client:
            yield client

    def close(self) -> None:
        self.server.close()


async def used(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool answers."""
    told = await client.call_tool(f"trinitas_{tool}", arguments)
    assert not told.is_error, text_of(told)
    assert told.structured_content is not None
    assert text_of(told)
    return dict(told.structured_content)


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    """What a tool complains about."""
    told = await client.call_tool(f"trinitas_{tool}", arguments)
    assert told.is_error, told
    assert told.structured_content is None
    return text_of(told)


def text_of(told: types.CallToolResult) -> str:
    """What it says to whoever reads no JSON."""
    return "\n".join(each.text for each in told.content if isinstance(each, types.TextContent))
