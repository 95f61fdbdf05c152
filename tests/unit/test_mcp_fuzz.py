"""Whatever clients send, they get an answer or a complaint: no crash, no hang, nothing left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp.client.client import Client
from starlette.applications import Starlette

from tests.unit.clients import Bench
from tests.unit.servers import Served, text_of
from trinitas_tasks.interfaces.mcp import http
from trinitas_tasks.interfaces.mcp.server import listed_tools
from trinitas_tasks.interfaces.tokens import Gate, make
from trinitas_tasks.model import utc_now
from trinitas_tasks.policy.access import EVERY_RIGHT

SCHEMAS = {made.name: made.input_schema for _, made in listed_tools()}
NAMES = sorted({argument for schema in SCHEMAS.values() for argument in schema["properties"]})
EXAMPLES = settings().max_examples
few = settings(
    max_examples=max(EXAMPLES // 6, 10), suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
TASKS_OF_A_SESSION = 4
DEEP: Any = "x"
for _ in range(200):
    DEEP = [DEEP]

text = st.text(max_size=30)
unpaired = st.text(st.characters(exclude_categories=()), max_size=5)
"""Also lone surrogates, which the SDK's own client cannot send."""
odd = st.sampled_from(
    [DEEP, 10**400, -(10**400), "x" * 100_000, "\0", "\u202e", "NaN", "[[", {"$ref": "#"}, [None], ""]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text | odd,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)


def fitting(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """What is valid by a schema, of the keywords that ours have."""
    match schema:
        case {"enum": values}:
            return st.sampled_from(values)
        case {"anyOf": schemas}:
            return st.one_of(*map(fitting, schemas))
        case {"pattern": pattern}:
            return st.from_regex(pattern, fullmatch=True)
        case {"type": "object", "properties": properties}:
            each = {name: fitting(its) for name, its in properties.items()}
            required = {name: each.pop(name) for name in schema.get("required", ())}
            return st.fixed_dictionaries(required, optional=each)
        case {"type": "array"}:
            return st.lists(fitting(schema["items"]), min_size=schema.get("minItems", 0), max_size=4)
        case {"type": "integer" | "number", **bounds}:
            some = st.integers if schema["type"] == "integer" else st.floats
            return some(bounds.get("minimum"), bounds.get("maximum"))
        case {"type": kind}:
            plain = {"string": text, "boolean": st.booleans(), "object": st.dictionaries(text, anything, max_size=3)}
            return plain[kind]
        case _:
            return anything


class Agent:
    """A client in a loop of its own, which stays connected from one example to the next."""

    def __init__(self, portal: BlockingPortal, client: Client, served: Served) -> None:
        self._portal, self._client, self._served = portal, client, served

    def use(self, tool: str, arguments: Any) -> None:
        told = self._portal.call(self._call, tool, arguments)
        assert told.content
        assert (told.structured_content is None) == bool(told.is_error)
        assert "failed unexpectedly" not in text_of(told)
        assert "Traceback" not in text_of(told)

    async def _call(self, tool: str, arguments: Any) -> Any:
        with anyio.fail_after(20):
            return await self._client.call_tool(tool, arguments)  # which holds the answer against its schema

    def left(self) -> int:
        """Tasks of the loop, and calls that go on."""
        return self._portal.call(self._tasks) + self._served.server._calls.pending

    async def _tasks(self) -> int:
        return len(asyncio.all_tasks())


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    bench = Bench()
    served = Served(bench)
    mine = served.client.remember("The harbour opens at nine.", persona="athena", id="m1")
    assert mine == "m1"
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served.connected()) as client:
        yield Agent(portal, client, served)
    served.close()
    for each in bench.closing:
        each.close()


@pytest.mark.parametrize("tool", SCHEMAS)
@few
@given(data=st.data())
def test_arguments_that_fit_the_schema(agent: Agent, tool: str, data: st.DataObject) -> None:
    arguments = data.draw(fitting(SCHEMAS[tool]))
    if "persona" in SCHEMAS[tool]["properties"]:
        arguments |= data.draw(st.sampled_from([{"persona": "athena"}, {"persona": "hestia"}, {}]))
    if "id" in arguments:
        arguments |= data.draw(st.sampled_from([{"id": "m1"}, {}]))
    agent.use(tool, arguments)


@few
@given(
    tool=st.sampled_from(sorted(SCHEMAS)),
    arguments=st.dictionaries(st.sampled_from(NAMES) | text, anything, max_size=6),
)
def test_arguments_of_any_shape(agent: Agent, tool: str, arguments: dict[str, Any]) -> None:
    before = agent.left()
    agent.use(tool, arguments | {"persona": "athena"} if "persona" in SCHEMAS[tool]["properties"] else arguments)
    assert agent.left() <= before + 1


class Raw:
    """Requests to an ASGI application in a loop of its own, byte by byte."""

    def __init__(self, portal: BlockingPortal, app: Starlette, secret: str) -> None:
        self._portal, self._app = portal, app
        self.opened = 0
        """Sessions, at most."""
        self.known = {b"host": b"127.0.0.1:8765", b"authorization": f"Bearer {secret}".encode()}
        self.known |= {b"content-type": b"application/json", b"accept": b"application/json, text/event-stream"}

    def status(self, method: str, path: str, headers: list[tuple[bytes, bytes]], body: list[bytes]) -> int:
        return self._portal.call(self._status, method, path, headers, body)

    async def _status(self, method: str, path: str, headers: list[tuple[bytes, bytes]], body: list[bytes]) -> int:
        pieces = list(body)
        starts: list[Any] = []
        answered = anyio.Event()

        async def receive() -> dict[str, Any]:
            if pieces:
                piece = pieces.pop(0)
                return {"type": "http.request", "body": piece, "more_body": bool(pieces)}
            await answered.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                starts.append(message)
            elif not message.get("more_body", False):
                answered.set()

        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": headers, "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 8765),
            "client": ("127.0.0.1", 1), "root_path": "", "asgi": {"version": "3.0", "spec_version": "2.3"},
        }  # fmt: skip
        with anyio.fail_after(20):
            await self._app(scope, receive, send)
        assert len(starts) == 1
        status = int(starts[0]["status"])
        self.opened += status == 200 and any(name == b"mcp-session-id" for name, _ in starts[0]["headers"])
        return status

    def tasks(self) -> int:
        async def count() -> int:
            await anyio.wait_all_tasks_blocked()  # what has just been answered ends
            return len(asyncio.all_tasks())

        return self._portal.call(count)


@pytest.fixture(scope="module")
def raw() -> Iterator[Raw]:
    bench = Bench()
    served = Served(bench)
    token = make(served.ledger, personas=None, rights=EVERY_RIGHT, expires=None, now=utc_now())
    app = http.application(
        served.server, Gate(served.ledger, requests_per_minute=0), http.Bounds(8765, body_bytes=9000)
    )
    with start_blocking_portal() as portal:
        stack = portal.wrap_async_context_manager(app.router.lifespan_context(app))
        with stack:
            made = Raw(portal, app, token.secret)
            before = made.tasks()
            yield made
            assert made.tasks() <= before + TASKS_OF_A_SESSION * made.opened
    served.close()
    for each in bench.closing:
        each.close()


versions = st.sampled_from([b"2025-03-26", b"2025-06-18", b"2025-11-25", b"2026-07-28", b"2031-01-01", b"", b"x"])
values = st.binary(max_size=40).map(lambda value: bytes(each for each in value if each not in b"\r\n\0"))
named = st.sampled_from(
    [b"mcp-session-id", b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"last-event-id", b"content-length",
     b"transfer-encoding", b"origin", b"host", b"authorization", b"accept", b"content-type", b"content-encoding"]
)  # fmt: skip
methods = st.sampled_from(["tools/call", "tools/list", "initialize", "ping", "resources/read", "prompts/get", "x"])
message = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "1.0", None]),
        "id": st.integers() | text | st.none() | st.lists(st.integers(), max_size=2),
        "method": methods | text,
        "params": anything | st.fixed_dictionaries({"name": st.sampled_from(sorted(SCHEMAS)), "arguments": anything}),
        "result": anything,
    },
)
bodies = st.binary(max_size=200) | (message | anything | st.lists(message, max_size=3)).map(
    lambda value: json.dumps(value)[:10_000].encode()
)


@settings(max_examples=EXAMPLES * 2, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from(["POST", "POST", "POST", "POST", "DELETE", "GET", "PUT", "OPTIONS", "HEAD", "TRACE", "X"]),
    path=st.sampled_from(
        [http.PATH, http.PATH, http.PATH, http.HEALTH, "/", "/mcp/", "//mcp", "/mcp/../health", "/%00"]
    ),
    without=st.sets(st.sampled_from([b"host", b"authorization", b"content-type", b"accept"]), max_size=1),
    version=st.none() | versions,
    more=st.lists(st.tuples(named, values), max_size=3),
    body=bodies,
    cut=st.integers(0, 5),
)
def test_requests_of_any_shape(
    raw: Raw,
    method: str,
    path: str,
    without: set[bytes],
    version: bytes | None,
    more: list[tuple[bytes, bytes]],
    body: bytes,
    cut: int,
) -> None:
    headers = [(name, value) for name, value in raw.known.items() if name not in without]
    headers += [] if version is None else [(b"mcp-protocol-version", version)]
    status = raw.status(method, path, headers + more, [body[:cut], body[cut:]] if cut else [body])
    assert status < 500
    if b"authorization" in without and path == http.PATH and status == 200:
        pytest.fail("somebody came in without a token")


@few
@given(
    tool=st.sampled_from(sorted(SCHEMAS)),
    arguments=st.dictionaries(st.sampled_from(NAMES) | unpaired, anything | unpaired),
)
def test_calls_of_2026_with_any_arguments(raw: Raw, tool: str, arguments: dict[str, Any]) -> None:
    told = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    params = {"name": tool, "arguments": {"persona": "athena", **arguments}, "_meta": told}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    headers = {b"mcp-protocol-version": b"2026-07-28", b"mcp-method": b"tools/call", b"mcp-name": tool.encode()}
    assert raw.status("POST", http.PATH, [*raw.known.items(), *headers.items()], [body]) in (200, 400, 413)
