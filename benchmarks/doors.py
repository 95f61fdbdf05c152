"""What the way through the MCP server costs: `python -m benchmarks.doors`.

The start of `trinitas mcp` beside that of an interpreter and of the SDK, and calls through standard input and HTTP
beside those of the client alone, all in one run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from benchmarks.measure import Latency, latencies, shown, summed
from trinitas_tasks import MemoryClient, Settings, load_settings
from trinitas_tasks.interfaces.entering import ledger_of
from trinitas_tasks.interfaces.tokens import make
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.model import utc_now
from trinitas_tasks.policy.access import EVERY_RIGHT

TRINITAS: Final = Path(sys.executable).with_name("trinitas")
PERSONA: Final = "athena"
STARTS: Final = 15
CALLS: Final = 300
AGENTS: Final = 20
MEMORIES: Final = 300
HELLO: Final = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}
Row = tuple[str, str, str]


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(overrides={"home": Path(folder), "requests_per_minute": 0}, stack=False)
        stack = Stack(settings)
        stack.up()
        try:
            reached = load_settings(overrides={"home": Path(folder)})
            with MemoryClient.connect(reached, persona=PERSONA) as client:
                client.remember_many({"content": f"Boat {n} lies at berth {n * 7 % 90}."} for n in range(MEMORIES))
                show(starts(reached))
                show(calls(reached, client))
        finally:
            stack.down()


def show(rows: list[Row]) -> None:
    for row in rows:
        print("| " + " | ".join(row) + " |")  # noqa: T201 - this is what it is for


# Starting.


def starts(settings: Settings) -> list[Row]:
    """Milliseconds from the start of the process."""
    bare, sdk, hello, first = zip(*(_start(settings) for _ in range(STARTS)), strict=True)
    alone = f"an interpreter {shown(summed(list(bare)))}, one that imports the SDK {shown(summed(list(sdk)))}"
    return [
        ("start of `trinitas mcp` to the answer of `initialize`", shown(summed(list(hello))), alone),
        ("… to the answer of the first tool call", shown(summed(list(first))), ""),
    ]


def _start(settings: Settings) -> tuple[float, float, float, float]:
    bare, sdk = (_timed(partial(_python, code)) for code in ("pass", "import mcp.server.lowlevel"))
    began = time.perf_counter()
    with _process(settings) as ask:
        ask("initialize", HELLO)
        hello = time.perf_counter() - began
        ask("tools/call", {"name": "trinitas_timeline", "arguments": {"persona": PERSONA, "limit": 1}})
        return bare, sdk, hello * 1000, (time.perf_counter() - began) * 1000


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


@contextmanager
def _process(settings: Settings) -> Iterator[Callable[[str, Any], Any]]:
    with subprocess.Popen(
        [TRINITAS, "mcp", "--home", settings.home], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said, heard = process.stdin, process.stdout

        def ask(method: str, params: Any) -> Any:
            said.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n")
            said.flush()
            answer = json.loads(heard.readline())["result"]
            assert not answer.get("isError"), answer
            return answer

        yield ask
        said.close()
        process.wait(10)


# Calling.

Way = Callable[[int], object]


def calls(settings: Settings, client: MemoryClient) -> list[Row]:
    """Through each door, in turn."""
    known = client.timeline(limit=100).items
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        url, secret = stack.enter_context(_served(settings)), _token(settings)
        agents = [
            stack.enter_context(portal.wrap_async_context_manager(made))
            for made in (
                _over_stdio(settings),
                _over_http(url, secret, "legacy"),
                _over_http(url, secret, "2026-07-28"),
            )
        ]
        got = latencies(
            CALLS,
            lambda n: client.get(known[n % 100].id),
            *(_tool(portal, each, "get", lambda n: {"id": known[n % 100].id}) for each in agents),
        )
        found = latencies(
            CALLS,
            lambda n: client.recall(_question(len(agents), n)["query"]),
            *(_tool(portal, each, "recall", partial(_question, door)) for door, each in enumerate(agents)),
        )
        rate = portal.call(_together, url, secret, [item.id for item in known])
    return [*_rows("get", got), *_rows("recall, a new question", found), (f"{AGENTS} agents over HTTP, get", rate, "")]


def _question(door: int, number: int) -> dict[str, Any]:
    """One that nobody has asked before."""
    return {"query": f"at which berth lies boat {number} of harbour {door}"}


def _rows(what: str, taken: list[Latency]) -> Iterator[Row]:
    doors = ("stdio", "HTTP, 2025", "HTTP, 2026-07-28")
    for door, latency in zip(doors, taken[1:], strict=True):
        yield f"{what}: {door}", shown(latency), f"the client alone {shown(taken[0])}"


def _tool(portal: BlockingPortal, agent: Client, name: str, arguments: Callable[[int], dict[str, Any]]) -> Way:
    async def use(number: int) -> None:
        told = await agent.call_tool(f"trinitas_{name}", {"persona": PERSONA, **arguments(number)})
        assert not told.is_error, told

    return lambda number: portal.call(use, number)


def _over_stdio(settings: Settings) -> Client:
    command = ["mcp", "--home", str(settings.home)]
    return Client(stdio_client(StdioServerParameters(command=str(TRINITAS), args=command, env=dict(os.environ))))


def _over_http(url: str, secret: str, era: str) -> Client:
    connection = httpx2.AsyncClient(headers={"authorization": f"Bearer {secret}"}, timeout=60)
    return Client(streamable_http_client(url, http_client=connection), mode=era)


@contextmanager
def _served(settings: Settings) -> Iterator[str]:
    command = [str(TRINITAS), "mcp", "--http", "--port", "0", "--home", str(settings.home)]
    environment = {**os.environ, "TRINITAS_REQUESTS_PER_MINUTE": "0"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def _token(settings: Settings) -> str:
    with closing(ledger_of(settings)) as ledger:
        return make(ledger, personas=[PERSONA], rights=EVERY_RIGHT, expires=None, now=utc_now()).secret


async def _together(url: str, secret: str, ids: list[str]) -> str:
    """Calls a second of all of them."""
    each = CALLS // AGENTS * 2

    async def work() -> None:
        async with _over_http(url, secret, "legacy") as agent:
            for number in range(each):
                await agent.call_tool("trinitas_get", {"id": ids[number % len(ids)]})

    began = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(AGENTS):
            tasks.start_soon(work)
    return f"{each * AGENTS / (time.perf_counter() - began):,.0f} calls/s"


if __name__ == "__main__":
    main()
