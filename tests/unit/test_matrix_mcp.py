"""The matrix of test_matrix.py for agents: every tool and resource, over both transports, with every kind of token."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from mcp import types
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from starlette.applications import Starlette

from tests.unit.servers import Served
from tests.unit.stage import (
    FOREIGN,
    HIDDEN,
    MISSING,
    OTHER,
    OWN,
    QUESTIONS,
    READER,
    SHARED,
    WORDS,
    Stage,
    leaks,
    reader,
    rendered,
    unnamed,
)
from trinitas_tasks.interfaces.mcp import http
from trinitas_tasks.interfaces.mcp.tools import PREFIX, TOOLS, Tool
from trinitas_tasks.interfaces.tokens import REFUSED, Gate, make
from trinitas_tasks.model import utc_now
from trinitas_tasks.policy.access import EVERY_RIGHT, Right

pytestmark = pytest.mark.anyio
AT = "http://127.0.0.1:8765"

BESIDE_THE_ID: dict[str, dict[str, Any]] = {
    "get": {},
    "update": {"importance": 0.9},
    "forget": {},
    "pin": {},
    "feedback": {"useful": True},
    "share_memory": {"to": ["seshat"]},
    "unshare_memory": {},
    "why": {},
}
"""What tools that name a memory take besides."""
READABLE = {"get", "feedback"}
"""Those of them that are for what was shared, too."""
OPEN: dict[str, list[dict[str, Any]]] = {
    "remember": [{"content": "quixotic marmalade behind the garden gate"}],
    "recall": [
        *({"query": question} for question in QUESTIONS if question),
        {"query": "garden", "include_archived": True, "limit": 1},
        {"query": "zeppelin", "tags": ["secret"]},
    ],
    "semantic_search": [{"query": "the garden gate is locked at night by a zeppelin", "min_similarity": 0.0}],
    "memory_search": [
        {"query": "zeppelin", "types": ["semantic"]},
        {"query": "marmalade", "personas": [READER]},
        {"query": "garden", "tags": ["secret", "plain"]},
    ],
    "timeline": [{}, {"limit": 1}, {"oldest_first": True}, {"tags": ["secret"]}, {"since": "2026-01-01"}],
    "memory_stats": [{}],
    "memory_analytics": [{}],
    "consolidate": [{}],
    "health": [{}],
}
"""Tools that name no memory, and what they are asked."""
URIS = (f"memory://{READER}/{{}}", f"memory://{OTHER}/{{}}")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@asynccontextmanager
async def agent(stage: Stage) -> AsyncIterator[Client]:
    """One that acts for the reader only, over an in-memory transport."""
    served = Served(stage.bench, reader(), stage.ledger)
    async with served.connected() as client:
        yield client
    served.close()


async def used(client: Client, tool: str, **arguments: Any) -> str:
    """All that a tool answers or complains about."""
    told = await client.call_tool(f"{PREFIX}{tool}", arguments)
    texts = [getattr(each, "text", None) for each in told.content]
    return rendered({"text": texts, "data": told.structured_content, "error": told.is_error})


def test_every_tool_has_a_row_here() -> None:
    naming = {tool.name for tool in TOOLS.values() if "id" in tool.arguments.model_fields}
    assert naming == set(BESIDE_THE_ID)
    assert {tool.name for tool in TOOLS.values()} == naming | set(OPEN)


@pytest.mark.parametrize("tool", BESIDE_THE_ID)
async def test_what_is_ones_own_or_shared_is_there(stage: Stage, tool: str) -> None:
    async with agent(stage) as client:
        if tool in READABLE:
            shared = await used(client, tool, id=SHARED, **BESIDE_THE_ID[tool])
            assert '"error": false' in shared
            assert (WORDS[SHARED] in shared) == (tool == "get")
        assert '"error": false' in await used(client, tool, id=OWN, **BESIDE_THE_ID[tool])


@pytest.mark.parametrize("tool", BESIDE_THE_ID)
async def test_what_is_anothers_is_as_if_it_were_not_there(stage: Stage, tool: str) -> None:
    before = stage.others()
    owned = [{}, {"owner": OTHER}] if "owner" in TOOLS[PREFIX + tool].arguments.model_fields else [{}]
    async with agent(stage) as client:
        for more in owned:
            answers = {
                unnamed(await used(client, tool, id=each, **BESIDE_THE_ID[tool], **more), each)
                for each in (*HIDDEN, MISSING, *(() if tool in READABLE else (SHARED,)))
            }
            assert len(answers) == 1
            assert not leaks(answers.pop())
        named = {
            unnamed(await used(client, tool, id=each, persona=OTHER, **BESIDE_THE_ID[tool]), each)
            for each in (OWN, SHARED, *HIDDEN, MISSING)
        }
        assert len(named) == 1
        assert "does not act for hestia" in named.pop()
    assert stage.others() == before


@pytest.mark.parametrize("tool", OPEN)
async def test_a_tool_that_names_no_memory_tells_nothing_of_others(tool: str) -> None:
    answers = []
    for secrets in (True, False):
        stage = Stage(told=secrets)
        async with agent(stage) as client:
            answers.append([await used(client, tool, **asked) for asked in (*OPEN[tool], *OPEN[tool])])
            fields = TOOLS[PREFIX + tool].arguments.model_fields
            for name, whose in (("persona", OTHER), ("personas", [READER, OTHER])):
                if name in fields:
                    refused = await used(client, tool, **{**OPEN[tool][0], name: whose})
                    assert "does not act for hestia" in refused
        stage.close()
    assert answers[0] == answers[1]
    assert all(not leaks(answer) for answer in answers[0])


async def test_resources_are_the_readers_and_what_was_shared_with_it(stage: Stage) -> None:
    async def read(uri: str) -> str:
        try:
            return rendered(await client.read_resource(uri))
        except MCPError as error:
            return str(error)

    async with agent(stage) as client:
        listed = rendered([await client.list_resources(), await client.list_resource_templates()])
        assert READER in listed
        assert OTHER not in listed
        recent = await read(f"memory://{READER}/recent")
        assert WORDS[OWN] in recent
        assert WORDS[OWN] in await read(f"memory://{READER}/{OWN}")
        assert WORDS[SHARED] in await read(f"memory://{READER}/{SHARED}")
        for uri in URIS:
            answers = {unnamed(await read(uri.format(each)), each) for each in (*HIDDEN, MISSING)}
            assert len(answers) == 1
            assert not leaks(recent + listed + answers.pop())
        assert {await read(f"memory://{OTHER}/{name}") for name in ("recent", OWN, FOREIGN)} == {
            "token x (1) does not act for hestia, only for athena"
        }


async def test_prompts_and_completions_tell_nothing_of_others(stage: Stage) -> None:
    other = Stage(told=False)
    answers = []
    for each in (stage, other):
        async with agent(each) as client:
            prompts = await client.list_prompts()
            told = [await client.get_prompt(prompt.name, {"persona": READER}) for prompt in prompts.prompts]
            answers.append(rendered([prompts, *told]))
            with pytest.raises(MCPError, match="does not act for hestia"):
                await client.get_prompt(prompts.prompts[0].name, {"persona": OTHER})
            reference = types.ResourceTemplateReference(uri="memory://{persona}/{id}")
            for name, begun, known in (
                ("persona", "", [READER]),
                ("persona", "h", []),
                ("id", "", []),
                ("id", "f", []),
            ):
                completed = await client.complete(reference, {"name": name, "value": begun})
                assert completed.completion.values == known
    other.close()
    assert answers[0] == answers[1]


# Tokens, over HTTP.


@asynccontextmanager
async def site(stage: Stage) -> AsyncIterator[Starlette]:
    served = Served(stage.bench, ledger=stage.ledger)
    app = http.application(served.server, Gate(stage.ledger, requests_per_minute=0), http.Bounds(8765))
    async with app.router.lifespan_context(app):
        yield app
    served.close()


def bearing(app: Starlette, secret: str) -> httpx2.AsyncClient:
    headers = {"accept": "application/json, text/event-stream", "authorization": f"Bearer {secret}"}
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=AT, headers=headers)


def token(stage: Stage, *personas: str, rights: frozenset[Right] = EVERY_RIGHT, seconds: int = 60) -> str:
    now = utc_now()
    given = {"personas": personas, "rights": rights, "now": now, "expires": now + timedelta(seconds=seconds)}
    return make(stage.ledger, name="x", **given).secret  # type: ignore[arg-type] # as given


def called(tool: Tool) -> dict[str, Any]:
    """Its arguments for what is the reader's own: nothing but the token is wrong."""
    if tool.name in BESIDE_THE_ID:
        return {"id": OWN, "persona": READER, **BESIDE_THE_ID[tool.name]}
    whose = {"persona": READER, "personas": [READER]}
    return OPEN[tool.name][0] | {name: whose[name] for name in whose if name in tool.arguments.model_fields}


async def test_no_tool_answers_to_a_token_that_is_not_valid(stage: Stage) -> None:
    expired, revoked = token(stage, READER, seconds=-1), token(stage, READER)
    assert stage.ledger.revoke(revoked.split("_")[1], utc_now())
    shown = (expired, revoked, "trt_00000000_" + "x" * 43, "hunter2")
    before, rows, answers = stage.others(), len(stage.ledger.deeds(100)), set()
    async with site(stage) as app:
        for secret in shown:
            async with bearing(app, secret) as client:
                for name, tool in TOOLS.items():
                    asked = {"method": "tools/call", "params": {"name": name, "arguments": called(tool)}}
                    told = await client.post(http.PATH, json={"jsonrpc": "2.0", "id": 1, **asked})
                    answers.add((told.status_code, told.text, json.dumps(dict(told.headers))))
    [(status, body, headers)] = answers
    assert (status, json.loads(body)["error"]["message"].partition(".")[0]) == (401, REFUSED.partition(".")[0])
    assert not leaks(body + headers)
    assert (stage.others(), len(stage.ledger.deeds(100))) == (before, rows)


@pytest.mark.parametrize("name", TOOLS)
async def test_a_tool_answers_to_tokens_of_its_right_and_persona_only(stage: Stage, name: str) -> None:
    tool = TOOLS[name]
    well = '"error": false'
    secrets = {
        "may not": token(stage, READER, rights=EVERY_RIGHT - {tool.right}),
        "does not act for athena": token(stage, OTHER),
        well: token(stage, READER),
    }
    if tool.name == "health":  # whoever may come in may ask
        secrets = {well: token(stage, OTHER, rights=frozenset())}
    async with site(stage) as app:
        for said, secret in secrets.items():
            async with (
                bearing(app, secret) as connection,
                Client(streamable_http_client(f"{AT}{http.PATH}", http_client=connection)) as client,
            ):
                arguments = called(tool)
                assert said in await used(client, tool.name, **arguments)
                if said != well and "id" in arguments:
                    arguments["id"] = MISSING
                    assert said in await used(client, tool.name, **arguments)
