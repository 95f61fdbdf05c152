"""The matrix of tests/unit/test_matrix.py on real services: over HTTP, with Redis, SQL, Chroma, full text, a model."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client.client import Client

from tests.acceptance.test_mcp import over_http, token
from tests.support import wait_until
from tests.unit.servers import ERAS, text_of
from tests.unit.stage import FOREIGN, HIDDEN, MISSING, OWN, QUESTIONS, REVOKED, SHARED, T0, leaks, steady, unnamed
from trinitas_tasks import MemoryClient, Settings
from trinitas_tasks.interfaces.entering import ledger_of
from trinitas_tasks.interfaces.tokens import REFUSED
from trinitas_tasks.model import utc_now
from trinitas_tasks.policy.personas import Persona

pytestmark = pytest.mark.anyio
BY_ID: dict[str, dict[str, Any]] = {
    "get": {},
    "why": {},
    "update": {"importance": 1.0},
    "pin": {},
    "share_memory": {"to": ["seshat"]},
    "forget": {},
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def remembered(operator: MemoryClient, reader: str, other: str, *, told: bool) -> None:
    """What both remember, and where ``told`` what the other keeps to itself."""

    def remember(persona: str, memory_id: str, text: str, minute: int, session: str) -> None:
        at, metadata = T0 + timedelta(minutes=minute), {"session": session}
        operator.remember(text, persona=persona, id=memory_id, type="semantic", timestamp=at, metadata=metadata)

    for each in (reader, other):
        operator.define(Persona(name=each))
    remember(reader, OWN, "the kettle boils at dawn", 0, "day")
    remember(other, SHARED, "the garden gate is locked at night", 3, "night")
    operator.share(SHARED, to=[reader], persona=other)
    if told:
        remember(other, FOREIGN, "quixotic marmalade behind the garden gate", 2, "night")
        remember(other, REVOKED, "the garden gate is locked at night by a zeppelin", 4, "night")
        operator.share(REVOKED, to=[reader], persona=other)
        operator.unshare(REVOKED, persona=other)
        for number in range(5):
            remember(other, f"foreign-{number + 2}", f"marmalade zeppelin kettle {number}", 10 + number, "day")
    for each, count in ((reader, 1), (other, 8 if told else 1)):
        wait_until(lambda each=each, count=count: operator.stats(persona=each).vectors == count, 60)  # type: ignore[misc] # bound per turn


async def called(agent: Client, tool: str, **arguments: Any) -> str:
    told = await agent.call_tool(f"trinitas_{tool}", arguments)
    return f"{told.is_error}: {text_of(told)}"


async def found(agent: Client, question: str) -> list[tuple[str, bool]]:
    """What a question finds, best first, and whether it is more than a guess."""
    told = await agent.call_tool("trinitas_recall", {"query": question})
    assert told.structured_content is not None
    memories = told.structured_content["memories"]
    return [(each["memory"]["id"], each["relevance"] > 0.1) for each in memories]


async def test_nobody_can_tell_what_another_keeps_to_itself(
    address: str, operator: MemoryClient, stack_settings: Settings, persona: str
) -> None:
    answers = []
    for told in (True, False):
        reader, other = f"{persona}-{told}", f"{persona}-of-{told}"
        await anyio.to_thread.run_sync(lambda: remembered(operator, reader, other, told=told))  # noqa: B023 - run at once
        async with over_http(address, token(stack_settings, reader), ERAS[1]) as agent:
            asked = [await found(agent, question) for question in QUESTIONS if question]
            listed = [await called(agent, tool) for tool in ("timeline", "memory_stats", "health")]
            missing = {
                unnamed(await called(agent, tool, id=each, **BY_ID[tool]), each)
                for tool in BY_ID
                for each in (*HIDDEN, MISSING)
            }
            own = [await called(agent, "get", id=each) for each in (OWN, SHARED)]
        assert not leaks("".join((*map(str, asked), *listed, *missing, *own)))
        assert len(missing) == 2  # "no memory", "no archived memory"
        assert all(answer.startswith("False") for answer in own)
        told_apart = [steady(each).replace(other, "OTHER").replace(reader, "READER") for each in (*listed, *missing)]
        answers.append((asked, sorted(told_apart)))
    assert answers[0] == answers[1]
    assert (SHARED, True) in answers[0][0][2]


async def test_a_token_ends_for_a_server_that_runs(address: str, stack_settings: Settings, persona: str) -> None:
    secret = token(stack_settings, "athena")
    headers = {"authorization": f"Bearer {secret}", "accept": "application/json, text/event-stream"}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    async with httpx2.AsyncClient(headers=headers) as client:
        assert (await client.post(address, json=call)).status_code != 401
        with closing(ledger_of(stack_settings)) as ledger:
            assert ledger.revoke(secret.split("_")[1], utc_now())
        refused = await client.post(address, json=call)
        unknown = await client.post(address, json=call, headers={"authorization": f"Bearer {persona}"})
    assert refused.status_code == unknown.status_code == 401
    assert refused.text == unknown.text
    assert REFUSED.partition(":")[0] in refused.text
