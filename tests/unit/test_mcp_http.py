"""Who is let in over HTTP, from where, and how much they may bring; in process, over stubs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.applications import Starlette

from tests.unit.clients import Bench
from tests.unit.servers import ERAS, Served, refused, used
from tests.unit.world import Away
from trinitas_tasks.errors import SettingsError
from trinitas_tasks.interfaces.mcp import http
from trinitas_tasks.interfaces.tokens import Gate, Made, make
from trinitas_tasks.model import utc_now
from trinitas_tasks.policy.access import EVERY_RIGHT, Right

pytestmark = pytest.mark.anyio
AT = "http://127.0.0.1:8765"
HELLO = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip
ACCEPT = {"accept": "application/json, text/event-stream"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Site:
    """A server that is reached over HTTP, and its tokens."""

    def __init__(self, bench: Bench) -> None:
        self.served = Served(bench)
        self.ledger = self.served.ledger
        self.gate: Gate | None = Gate(self.ledger, requests_per_minute=0)
        self.bounds = http.Bounds(8765, body_bytes=20_000)

    def token(self, *personas: str, rights: frozenset[Right] = EVERY_RIGHT, **fields: Any) -> Made:
        given = {"expires": None, "now": utc_now(), **fields}
        return make(self.ledger, personas=personas or None, rights=rights, **given)

    @asynccontextmanager
    async def up(self) -> AsyncIterator[Starlette]:
        app = http.application(self.served.server, self.gate, self.bounds)
        async with app.router.lifespan_context(app):
            yield app


@pytest.fixture
def site(bench: Bench) -> Iterator[Site]:
    made = Site(bench)
    yield made
    made.served.close()


def bare(app: Starlette, token: Made | None = None) -> httpx2.AsyncClient:
    """A client that knows nothing of the protocol."""
    shown = {} if token is None else {"authorization": f"Bearer {token.secret}"}
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=AT, headers={**ACCEPT, **shown})


@asynccontextmanager
async def agent(app: Starlette, token: Made | None, era: str = ERAS[0]) -> AsyncIterator[Client]:
    """A client of the SDK's."""
    async with (
        bare(app, token) as connection,
        Client(streamable_http_client(f"{AT}{http.PATH}", http_client=connection), mode=era) as client,
    ):
        yield client


@pytest.mark.parametrize("era", ERAS)
async def test_a_token_lets_its_bearer_in_for_its_personas(site: Site, era: str) -> None:
    token = site.token("athena", rights=frozenset({Right.READ, Right.WRITE}))
    async with site.up() as app, agent(app, token, era) as client:
        mine = (await used(client, "remember", content="The harbour opens at nine."))["id"]
        assert (await used(client, "get", id=mine))["memory"]["stored_by"] == "athena"
        assert "does not act for hestia" in await refused(client, "recall", query="x", persona="hestia")
        assert "may not share" in await refused(client, "share_memory", id=mine, to=["hestia"])
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert not {"trinitas_share_memory", "trinitas_consolidate"} & names
        assert "trinitas_remember" in names
    rows = {(deed.action, deed.who, deed.outcome) for deed in site.ledger.deeds(10)}
    assert ("remember", f"token athena ({token.token.id})", "done") in rows


@pytest.mark.parametrize(
    "shown", ["", "Bearer", "Bearer ", "Basic dXNlcjpw", "Bearer trt_00000000_" + "x" * 43, "bearer é"]
)
async def test_nobody_comes_in_without_a_valid_token(site: Site, shown: str) -> None:
    async with site.up() as app, bare(app) as client:
        told = await client.post(http.PATH, json=HELLO, headers=[(b"authorization", shown.encode("latin-1"))])
        assert told.status_code == 401
        assert told.headers["www-authenticate"].startswith('Bearer realm="trinitas"')
        assert told.json()["error"]["message"].endswith(("makes one)", "makes another)"))
        assert "mcp-session-id" not in told.headers


async def test_two_tokens_in_one_request_are_none(site: Site) -> None:
    secret = f"Bearer {site.token().secret}".encode()
    async with site.up() as app, bare(app) as client:
        told = await client.post(
            http.PATH, json=HELLO, headers=[(b"authorization", secret), (b"authorization", secret)]
        )
        assert told.status_code == 401


async def test_expired_and_unknown_tokens_are_told_the_same(site: Site) -> None:
    late = site.token(expires=utc_now() - timedelta(seconds=1))
    async with site.up() as app:
        answers = []
        for secret in (late.secret, "trt_00000000_" + "x" * 43):
            async with bare(app) as client:
                told = await client.post(http.PATH, json=HELLO, headers={"authorization": f"Bearer {secret}"})
                answers.append((told.status_code, told.headers["www-authenticate"], told.content))
        assert answers[0] == answers[1]


@pytest.mark.parametrize("era", ERAS)
async def test_a_revoked_token_ends_its_session_at_once(site: Site, era: str) -> None:
    token = site.token()
    async with site.up() as app, agent(app, token, era) as client:
        await used(client, "health")
        site.ledger.revoke(token.token.id, utc_now())
        with pytest.raises(Exception, match="this token is not valid"):
            await client.call_tool("trinitas_health", {})


async def test_a_session_belongs_to_the_token_that_opened_it(site: Site) -> None:
    mine, other = site.token(), site.token()
    async with site.up() as app, bare(app, mine) as client, bare(app, other) as thief:
        opened = await client.post(http.PATH, json=HELLO)
        session = {"mcp-session-id": opened.headers["mcp-session-id"]}
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        unknown = await thief.post(http.PATH, json=ping, headers={"mcp-session-id": "0" * 32})
        stolen = await thief.post(http.PATH, json=ping, headers=session)
        assert (stolen.status_code, stolen.content) == (404, unknown.content)
        assert (await thief.delete(http.PATH, headers=session)).status_code == 404
        assert (await client.post(http.PATH, json=ping, headers=session)).status_code == 200
        assert (await client.delete(http.PATH, headers=session)).status_code == 200
        assert (await client.post(http.PATH, json=ping, headers=session)).status_code == 404


async def test_whoever_asks_too_often_is_told_when_to_come_again(site: Site) -> None:
    site.gate = Gate(site.ledger, requests_per_minute=2)
    busy, calm = site.token(), site.token()
    async with site.up() as app, bare(app, busy) as client, bare(app, calm) as other:
        codes = [(await client.post(http.PATH, json=HELLO)).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        told = await client.post(http.PATH, json=HELLO)
        assert int(told.headers["retry-after"]) > 0
        assert "asks more than 2 times a minute" in told.json()["error"]["message"]
        assert (await other.post(http.PATH, json=HELLO)).status_code == 200


async def test_a_ledger_that_is_away_lets_nobody_in(site: Site) -> None:
    token = site.token()
    site.gate = Gate(Away(site.ledger, "bearer"), requests_per_minute=0)
    async with site.up() as app, bare(app, token) as client:
        told = await client.post(http.PATH, json=HELLO)
        assert (told.status_code, "retry-after" in told.headers) == (503, True)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 200),
        ({"host": "localhost:8765"}, 200),
        ({"host": "[::1]:8765"}, 200),
        ({"host": "memory.example"}, 200),
        ({"host": "memory.example:443"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:8765"}, 421),
        ({"host": "127.0.0.1@evil.example"}, 421),
        ({"host": ""}, 421),
        ({"origin": "http://localhost:8765"}, 200),
        ({"origin": "https://app.example"}, 200),
        ({"origin": "http://localhost:3000"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "https://app.example.evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
async def test_hosts_and_origins_are_checked_before_anything_else(
    site: Site, headers: dict[str, str], code: int
) -> None:
    site.bounds = http.Bounds(8765, hosts=["memory.example"], origins=["https://app.example"])
    token = site.token()
    async with site.up() as app, bare(app, token) as client, bare(app) as nobody:
        assert (await client.post(http.PATH, json=HELLO, headers=headers)).status_code == code
        assert (await nobody.post(http.PATH, json=HELLO, headers=headers)).status_code == (401 if code == 200 else code)
        assert (await nobody.get(http.HEALTH, headers=headers)).status_code == code


async def test_a_web_page_that_is_allowed_may_ask_before_it_shows_its_token(site: Site) -> None:
    site.bounds = http.Bounds(8765, origins=["https://app.example"])
    async with site.up() as app, bare(app) as client:
        asks = {"origin": "https://app.example", "access-control-request-method": "POST"}
        asks |= {"access-control-request-headers": "authorization, content-type, mcp-session-id"}
        told = await client.options(http.PATH, headers=asks)
        assert told.status_code == 200
        assert told.headers["access-control-allow-origin"] == "https://app.example"
        other = await client.options(http.PATH, headers={**asks, "origin": "https://evil.example"})
        assert other.status_code == 403


async def test_health_tells_that_it_answers_and_nothing_else(site: Site) -> None:
    async with site.up() as app, bare(app) as client:
        told = await client.get(http.HEALTH)
        assert (told.status_code, told.json()) == (200, {"status": "ok"})
        for path in ("/", "/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization-server", "/mcp/x"):
            assert (await client.get(path)).status_code == 404  # and no tale of an authorization server


async def test_what_is_too_long_or_no_request_is_refused(site: Site) -> None:
    token = site.token()
    async with site.up() as app, bare(app, token) as client:
        long = {**HELLO, "params": {**HELLO["params"], "x": "x" * 30_000}}  # type: ignore[dict-item]  # it is one
        assert (await client.post(http.PATH, json=long)).status_code == 413

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(30):
                yield b"x" * 1000

        streamed = await client.post(http.PATH, content=pieces(), headers={"content-type": "application/json"})
        assert streamed.status_code == 413
        for method in ("GET", "HEAD", "PUT", "PATCH", "OPTIONS"):
            told = await client.request(method, http.PATH)
            assert (told.status_code, told.headers["allow"]) == (405, "POST, DELETE")


async def test_a_body_that_does_not_come_is_not_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_SECONDS", 0.05)
    token, sent = site.token(), []

    async def receive() -> dict[str, Any]:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {token.secret}".encode())]
    scope = {
        "type": "http", "method": "POST", "path": http.PATH, "raw_path": b"", "query_string": b"", "headers": headers,
        "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 8765), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    async with site.up() as app:
        with anyio.fail_after(5):
            await app(scope, receive, send)
    assert sent[0]["status"] == 408


async def test_without_tokens_whoever_comes_acts_as_this_machines_user(site: Site) -> None:
    site.gate = None
    async with site.up() as app, agent(app, None) as client:
        await used(client, "remember", content="x", persona="athena")
    assert {deed.who for deed in site.ledger.deeds(10)} == {"somebody"}


async def test_many_agents_at_once_have_their_own_answers(site: Site) -> None:
    tokens = [site.token(f"p{number}") for number in range(20)]
    for number in range(20):
        site.served.client.remember("the first", persona=f"p{number}")
    found: dict[int, set[str]] = {}

    async def work(app: Starlette, number: int) -> None:
        async with agent(app, tokens[number], ERAS[number % 2]) as client:
            for each in range(3):
                await used(client, "remember", content=f"of {number}, {each}")
            told = await used(client, "timeline")
            found[number] = {each["content"] for each in told["memories"]}

    async with site.up() as app, anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(work, app, number)
    assert found == {n: {"the first", *(f"of {n}, {each}" for each in range(3))} for n in range(20)}


def test_a_port_that_is_taken_is_told() -> None:
    with http.listen("127.0.0.1", 0) as first, pytest.raises(SettingsError, match="try another --port"):
        http.listen("127.0.0.1", first.getsockname()[1])
    with pytest.raises(SettingsError, match="nobody can listen at no\\.such\\.host"):
        http.listen("no.such.host.invalid", 0)
