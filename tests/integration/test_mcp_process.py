"""`trinitas mcp` as a process: what it writes, how it waits for Redis, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client.client import Client

from tests.support import Valkey, free_port, wait_until
from trinitas_tasks.interfaces.mcp.hallway import Hallway
from trinitas_tasks.interfaces.mcp.server import MemoryServer
from trinitas_tasks.settings import load_settings

TRINITAS = Path(sys.executable).with_name("trinitas")
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


class Agent:
    """A program that starts `trinitas mcp` and speaks with it, a line at a time."""

    def __init__(self, folder: Path, **settings: str) -> None:
        environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        environment |= {"HOME": str(folder), "TRINITAS_HOME": str(folder), "TRINITAS_RETRY_DELAY": "0.2", **settings}
        self.process = subprocess.Popen(
            [TRINITAS, "mcp"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._number = 0
        self.heard: list[str] = []

    def say(self, method: str, **params: Any) -> int:
        self._number += 1
        said = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(said) + "\n")
        self.process.stdin.flush()
        return self._number

    def hear(self) -> Any:
        assert self.process.stdout is not None
        self.heard.append(self.process.stdout.readline())
        return json.loads(self.heard[-1])

    def hello(self) -> Any:
        self.say("initialize", **HELLO)
        return self.hear()["result"]

    def use(self, tool: str, **arguments: Any) -> tuple[bool, str]:
        """Whether it worked, and what was told."""
        given = {"persona": "athena", **arguments}
        given = {name: value for name, value in given.items() if value is not None}
        self.say("tools/call", name=f"trinitas_{tool}", arguments=given)
        told = self.hear()["result"]
        return not told.get("isError", False), told["content"][0]["text"]

    def ended(self, seconds: float = 5) -> tuple[int, str]:
        """Its exit code and what it wrote beside the protocol."""
        code = self.process.wait(seconds)
        assert self.process.stderr is not None
        return code, self.process.stderr.read()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    made: list[Agent] = []

    def make(**settings: str) -> Agent:
        made.append(Agent(tmp_path, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_it_says_hello_without_a_stack_and_works_when_there_is_one(
    agents: Callable[..., Agent], tmp_path: Path, valkey: Valkey, namespace: str
) -> None:
    """And writes nothing but the protocol, whatever it is told."""
    agent = agents(TRINITAS_NAMESPACE=namespace, TRINITAS_DEADLINE_MS="100")
    assert agent.hello()["serverInfo"]["name"] == "trinitas"
    worked, told = agent.use("remember", content="too early")
    assert (worked, told) == (False, told)
    assert "run `trinitas up --detach`" in told
    assert str(tmp_path) not in told
    stack = tmp_path / "run" / "stack.json"
    stack.parent.mkdir()
    stack.write_text(json.dumps({"redis_url": valkey.url, "chromadb_host": "127.0.0.1", "chromadb_port": 1}))
    worked, told = agent.use("remember", content="in time")
    assert worked, told
    mine = told.rpartition(" ")[2].rstrip(".")
    assert "in time" in agent.use("get", id=mine)[1]
    assert agent.process.stdin is not None
    agent.process.stdin.write("no JSON\n\n[]\n{}\n" + "[" * 10_000 + "\n")
    assert not agent.use("recall", query="x")[0]  # nobody serves it
    agent.process.stdin.close()
    assert agent.ended()[0] == 0
    assert agent.process.stdout is not None
    for line in [*agent.heard, *agent.process.stdout.read().splitlines()]:
        assert json.loads(line)["jsonrpc"] == "2.0"


def test_it_goes_on_when_redis_was_started_again(agents: Callable[..., Agent], tmp_path: Path, namespace: str) -> None:
    own = Valkey(tmp_path, port=free_port())
    agent = agents(REDIS_URL=own.url, TRINITAS_NAMESPACE=namespace, TRINITAS_DEADLINE_MS="100")

    def is_away() -> bool:
        return "redis: " in agent.use("health", persona=None)[1]

    agent.hello()
    assert is_away()
    assert agent.use("remember", content="into the spool")[0]
    try:
        for _ in range(2):
            own.start()
            wait_until(lambda: not is_away())
            own.kill()
            wait_until(is_away)
        worked, told = agent.use("remember", content="into the spool again")
        assert worked, told
    finally:
        own.stop()


@pytest.mark.parametrize(("end", "code"), [("eof", 0), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_it_ends_at_once_whatever_goes_on(
    agents: Callable[..., Agent], redis_url: str, namespace: str, valkey: Valkey, end: Any, code: int
) -> None:
    agent = agents(REDIS_URL=redis_url, TRINITAS_NAMESPACE=namespace)
    agent.hello()
    agent.say("tools/call", name="trinitas_why", arguments={"id": "x", "persona": "athena"})  # nobody answers it
    with valkey.client() as redis:
        wait_until(lambda: redis.exists(f"{namespace}:celery:lifecycle"))
    began = time.monotonic()
    if end == "eof":
        assert agent.process.stdin is not None
        agent.process.stdin.close()
    else:
        agent.process.send_signal(end)
    assert agent.ended() == (code, "")
    assert time.monotonic() - began < 3


def test_over_http_it_says_where_it_is_and_a_hangup_ends_it(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TRINITAS_HOME": str(tmp_path)}
    with subprocess.Popen(
        [TRINITAS, "mcp", "--http", "--port", "0"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.endswith("/mcp")
        wait_until(lambda: httpx2.get(address.replace("/mcp", "/health")).json() == {"status": "ok"})
        assert httpx2.post(address, json={}).status_code == 401
        process.send_signal(signal.SIGHUP)
        _, told = process.communicate(timeout=5)
    assert process.returncode == 129
    assert told.startswith("nobody can come in yet: `trinitas token create ")


def test_a_call_that_is_given_up_frees_its_thread_long_before_its_deadline(
    tmp_path: Path, redis_url: str, namespace: str
) -> None:
    settings = load_settings(
        folder=tmp_path, overrides={"home": tmp_path, "redis_url": redis_url, "namespace": namespace}
    )
    hallway = Hallway(lambda: settings, "mcp", users=True)
    server = MemoryServer(hallway.door)

    async def give_up() -> None:
        async with Client(server.protocol, mode="legacy") as client:
            with anyio.move_on_after(1):
                await client.call_tool("trinitas_why", {"id": "x", "persona": "athena"})
            with anyio.fail_after(3):
                while server._slow.pending:
                    await anyio.sleep(0.01)

    anyio.run(give_up)
    server.close()
    hallway.close()
