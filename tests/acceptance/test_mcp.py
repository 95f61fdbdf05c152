"""Agents at the real stack: every tool over both transports, and twenty of them at once."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.acceptance.conftest import TRINITAS, environment
from tests.support import wait_until
from tests.unit.servers import ERAS, used
from trinitas_tasks import MemoryClient, Settings
from trinitas_tasks.interfaces.entering import ledger_of
from trinitas_tasks.interfaces.mcp.tools import TOOLS
from trinitas_tasks.interfaces.tokens import make
from trinitas_tasks.model import utc_now
from trinitas_tasks.policy.access import EVERY_RIGHT

pytestmark = pytest.mark.anyio
AGENTS = 20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def token(settings: Settings, *personas: str) -> str:
    """What the bearer of a new token shows."""
    with closing(ledger_of(settings)) as ledger:
        return make(ledger, personas=personas or None, rights=EVERY_RIGHT, expires=None, now=utc_now()).secret


@asynccontextmanager
async def over_http(address: str, secret: str, era: str) -> AsyncIterator[Client]:
    shown = {"authorization": f"Bearer {secret}"}
    async with (
        httpx2.AsyncClient(headers=shown, timeout=60) as connection,
        Client(streamable_http_client(address, http_client=connection), mode=era) as client,
    ):
        yield client


@asynccontextmanager
async def over_stdio(home: Path, era: str, **variables: str) -> AsyncIterator[Client]:
    started = StdioServerParameters(
        command=str(TRINITAS),
        args=["mcp"],
        env={**environment(home), "TRINITAS_HOME": str(home), **variables},
        cwd=home,
    )
    async with Client(stdio_client(started, errlog=sys.stderr), mode=era) as client:
        yield client


@pytest.fixture(params=["stdio", "http"])
async def agent(
    request: pytest.FixtureRequest, home: Path, stack_settings: Settings, client: MemoryClient
) -> AsyncIterator[Client]:
    """A client of the SDK's, of whom the persona of the test is known."""
    client.remember("Somebody is here.", importance=0.1)
    async with AsyncExitStack() as stack:
        if request.param == "stdio":
            entered = over_stdio(home, ERAS[0])
        else:
            entered = over_http(request.getfixturevalue("address"), token(stack_settings), ERAS[1])
        yield await stack.enter_async_context(entered)


async def test_every_tool_works_at_the_real_stack(agent: Client, client: MemoryClient, persona: str) -> None:
    its: dict[str, Any] = {"persona": persona}
    used_tools = {tool.name for tool in (await agent.list_tools()).tools}
    assert used_tools == set(TOOLS)
    assert (await used(agent, "health"))["ok"]
    said = "The staging database moved to port 5433."
    mine = (await used(agent, "remember", content=said, type="semantic", tags=["db"], **its))["id"]
    for each in ("twin1", "twin2"):
        client.remember("The harbour opens at nine o'clock.", id=each, type="semantic", metadata={"n": each})
    await anyio.to_thread.run_sync(lambda: wait_until(lambda: client.stats().pending == 0, 60))
    for tool in ("recall", "memory_search", "semantic_search"):
        whose = its if tool == "recall" else {"personas": [persona]}
        found = await used(agent, tool, query="where is the staging database?", **whose)
        assert found["memories"][0]["memory"]["id"] == mine, (tool, found)
        assert found["degraded"] == []
    assert (await used(agent, "get", id=mine, **its))["memory"]["content"] == said
    changed = await used(agent, "update", id=mine, content="It moved to port 5434.", **its)
    assert changed["memory"]["content"] == "It moved to port 5434."
    assert mine in {each["id"] for each in (await used(agent, "timeline", **its))["memories"]}
    assert (await used(agent, "share_memory", id=mine, to=["hestia"], **its))["shared_with"] == ["hestia"]
    assert (await used(agent, "get", id=mine, persona="hestia", owner=persona))["memory"]["shared_by"] == persona
    assert (await used(agent, "unshare_memory", id=mine, **its))["shared_with"] == []
    assert (await used(agent, "pin", id=mine, **its))["done"] == "pinned"
    assert (await used(agent, "feedback", id=mine, useful=True, **its))["done"] == "useful"
    assert (await used(agent, "why", id=mine, **its))["pinned"]
    assert (await used(agent, "memory_stats", **its))["by_type"]["semantic"] == 3
    assert (await used(agent, "memory_analytics", **its))["personas"][persona]["pinned"] == 1
    assert (await used(agent, "consolidate", **its))["dry_run"]
    assert not (await used(agent, "consolidate", dry_run=False, **its))["errors"]
    assert (await used(agent, "forget", id=mine, **its))["done"] == "forgotten"
    recent = await agent.read_resource(f"memory://{persona}/recent")
    assert mine not in str(recent.contents)
    assert "twin1" in str(recent.contents)
    guide = await agent.get_prompt("trinitas_memory_guide", {"persona": persona})
    assert persona in str(guide.messages[0].content)


async def test_twenty_agents_at_once_over_http(address: str, stack_settings: Settings, persona: str) -> None:
    """Each remembers and recalls; nobody waits for another's answer, nobody sees another's."""
    names = [f"{persona}-{number}" for number in range(AGENTS)]
    with MemoryClient.connect(stack_settings) as client:
        client.remember_many({"content": "I am here.", "persona": name} for name in names)
    found: dict[str, list[Any]] = {}

    async def work(name: str, era: str) -> None:
        async with over_http(address, token(stack_settings, name), era) as agent:
            await used(agent, "remember", content=f"The secret of {name} is a boat.")
            answer = await used(agent, "recall", query="what is the secret?", limit=50)
            found[name] = [each["memory"] for each in answer["memories"]]

    async with anyio.create_task_group() as tasks:
        for number, name in enumerate(names):
            tasks.start_soon(work, name, ERAS[number % 2])
    for name in names:
        assert {memory["stored_by"] for memory in found[name]} == {name}
        assert f"The secret of {name} is a boat." in [memory["content"] for memory in found[name]]


async def test_twenty_calls_at_once_over_stdio(home: Path, persona: str) -> None:
    """By an agent that TRINITAS_PERSONA ties to one persona."""
    async with over_stdio(home, ERAS[1], TRINITAS_PERSONA="hestia", TRINITAS_DEADLINE_MS="20000") as agent:
        ids: set[str] = set()

        async def work(number: int) -> None:
            mine = (await used(agent, "remember", content=f"{persona}: boat {number}"))["id"]
            ids.add((await used(agent, "get", id=mine))["memory"]["id"])
            assert (await used(agent, "recall", query=f"{persona} boat {number}"))["memories"]

        async with anyio.create_task_group() as tasks:
            for number in range(AGENTS):
                tasks.start_soon(work, number)
        assert len(ids) == AGENTS
        told = await agent.call_tool("trinitas_recall", {"query": "x", "persona": "athena"})
        assert told.is_error
        for each in ids:
            await used(agent, "forget", id=each)
