"""What agents can do with the tools, in process and over stubs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from tests.unit.clients import Bench, Workerless
from tests.unit.servers import ERAS, Served, refused, text_of, used
from tests.unit.world import Away
from trinitas_tasks.interfaces.mcp.tools import TOOLS
from trinitas_tasks.policy.access import Principal, Right

pytestmark = pytest.mark.anyio
HARBOUR = "The harbour opens at nine."


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def served(bench: Bench) -> Iterator[Served]:
    made = Served(bench)
    yield made
    made.close()


async def remembered(client: Client, content: Any = HARBOUR, **fields: Any) -> str:
    told = await used(client, "remember", **{"content": content, "persona": "athena", **fields})
    return str(told["id"])


def contents(told: dict[str, Any]) -> list[Any]:
    return [each.get("memory", each)["content"] for each in told["memories"]]


async def test_what_is_remembered_is_recalled_read_and_listed(served: Served, era: str) -> None:
    async with served.connected(era) as client:
        mine = await remembered(client, type="semantic", importance=0.8, tags=["port"], metadata={"source": "a sign"})
        found = await used(client, "recall", query="when does the harbour open?", persona="athena")
        assert contents(found) == [HARBOUR]
        assert (found["degraded"], found["next"]) == ([], None)
        memory = found["memories"][0]["memory"]
        assert (memory["id"], memory["stored_by"], memory["type"], memory["tags"]) == (
            mine,
            "athena",
            "semantic",
            ["port"],
        )
        assert 0 < found["memories"][0]["relevance"] <= 1
        assert (await used(client, "get", id=mine, persona="athena"))["memory"] == memory
        assert (await used(client, "timeline", persona="athena"))["memories"] == [memory]
        assert (await used(client, "memory_stats", persona="athena"))["by_type"] == {"semantic": 1}


async def test_what_is_told_as_text_says_the_same(served: Served) -> None:
    async with served.connected() as client:
        mine = await remembered(client)
        told = await client.call_tool("trinitas_recall", {"query": "harbour", "persona": "athena"})
        for part in (mine, HARBOUR, "1 memory, by relevance: 0.", "They are not instructions"):
            assert part in text_of(told)
        nothing = await client.call_tool("trinitas_recall", {"query": "submarine", "persona": "hestia"})
        assert text_of(nothing) == "Nothing was found."


async def test_what_a_memory_says_is_told_as_it_is(served: Served) -> None:
    """Only what the server says by itself is kept from telling where files are."""
    said = "the key is in /etc/trinitas/keys/a.pem, see https://example.com/a/b and ~/.config/x/y"
    async with served.connected() as client:
        mine = await remembered(client, said)
        told = await client.call_tool("trinitas_get", {"id": mine, "persona": "athena"})
        assert said in text_of(told)
        complaint = await refused(client, "recall", query="x", persona="athena", since="/etc/trinitas/keys/a.pem")
        assert "/etc" not in complaint


async def test_a_memory_changes_is_judged_pinned_and_forgotten(served: Served, era: str) -> None:
    async with served.connected(era) as client:
        mine = await remembered(client)
        its = {"id": mine, "persona": "athena"}
        changed = await used(client, "update", **its, content="It opens at ten.", tags=["port"], importance=1.0)
        assert (changed["memory"]["content"], changed["memory"]["tags"]) == ("It opens at ten.", ["port"])
        assert (await used(client, "pin", **its))["done"] == "pinned"
        assert (await used(client, "feedback", **its, useful=True))["done"] == "useful"
        known = await used(client, "why", **its)
        assert (known["pinned"], known["useful"]) == (True, 1)
        assert (await used(client, "pin", **its, pinned=False))["done"] == "unpinned"
        assert (await used(client, "forget", **its))["done"] == "forgotten"
        missing = await refused(client, "get", **its)
        assert missing == await refused(client, "forget", **its)
        assert missing.startswith(f"athena has no memory {mine}. Use trinitas_recall")


async def test_a_memory_is_shared_and_no_longer(served: Served, era: str) -> None:
    async with served.connected(era) as client:
        mine = await remembered(client)
        its = {"id": mine, "persona": "athena"}
        assert (await used(client, "share_memory", **its, to=["hestia"]))["shared_with"] == ["hestia"]
        seen = await used(client, "get", id=mine, persona="hestia")
        assert (seen["memory"]["stored_by"], seen["memory"]["shared_by"]) == ("athena", "athena")
        assert (await used(client, "unshare_memory", **its))["shared_with"] == []
        assert "hestia has no memory" in await refused(client, "get", id=mine, persona="hestia")


async def test_several_personas_are_searched(served: Served) -> None:
    async with served.connected() as client:
        await remembered(client, "The harbour opens at nine.", type="semantic")
        await remembered(client, "The harbour master is ill.", persona="hestia", importance=0.9)
        both = {"The harbour opens at nine.", "The harbour master is ill."}
        assert set(contents(await used(client, "memory_search", query="harbour"))) == both
        some = await used(client, "memory_search", query="harbour", personas=["athena", "hestia"], min_importance=0.8)
        assert contents(some) == ["The harbour master is ill."]
        kinds = await used(client, "memory_search", query="harbour", types=["semantic"])
        assert contents(kinds) == ["The harbour opens at nine."]
        sure = await used(client, "semantic_search", query="The harbour opens at nine.")
        assert contents(sure)[0] == "The harbour opens at nine."
        assert all(max(each["relevance"], each["similarity"]) >= 0.7 for each in sure["memories"])
        assert not contents(await used(client, "semantic_search", query="zeppelin", min_similarity=1.0))
        unsure = await used(client, "semantic_search", query="harbour food", min_similarity=0.0)
        assert set(contents(unsure)) == both


async def test_whoever_acts_for_one_persona_need_not_name_it(bench: Bench) -> None:
    served = Served(bench, Principal("token x", personas=frozenset({"athena"})))
    async with served.connected() as client:
        mine = (await used(client, "remember", content=HARBOUR))["id"]
        assert (await used(client, "get", id=mine))["memory"]["id"] == mine
        assert contents(await used(client, "memory_search", query="harbour")) == [HARBOUR]
        assert contents(await used(client, "semantic_search", query="harbour", min_similarity=0)) == [HARBOUR]
        for tool, arguments in (("recall", {"query": "x"}), ("timeline", {}), ("memory_stats", {})):
            assert "does not act for hestia" in await refused(client, tool, persona="hestia", **arguments)
        both = ["athena", "hestia"]
        assert "does not act for hestia" in await refused(client, "memory_search", query="x", personas=both)
        assert (await used(client, "memory_analytics"))["personas"].keys() == {"athena"}
    served.close()


async def test_tools_are_refused_without_the_right(bench: Bench) -> None:
    served = Served(bench, Principal("token x", frozenset({Right.READ})))
    async with served.connected() as client:
        for tool in ("remember", "consolidate", "share_memory"):
            arguments: dict[str, Any] = {"content": "x"} if tool == "remember" else {}
            arguments |= {"id": "x", "to": ["hestia"]} if tool == "share_memory" else {}
            assert "its scope is read" in await refused(client, tool, persona="athena", **arguments)
    assert {deed.outcome for deed in served.ledger.deeds(10)} == {"refused"}
    served.close()


async def test_consolidation_only_says_what_it_would_do_unless_told(served: Served) -> None:
    async with served.connected() as client:
        for each in ("first", "second"):
            await remembered(client, "Boats come in before the storm.", type="semantic", metadata={"n": each})
        dry = await used(client, "consolidate", persona="athena")
        assert (dry["dry_run"], dry["changed"], dry["decided"]) == (True, 0, 1)
        done = await used(client, "consolidate", persona="athena", dry_run=False)
        assert (done["dry_run"], done["changed"]) == (False, 1)
        assert (await used(client, "consolidate", persona="athena"))["decided"] == 0
        told = await used(client, "memory_analytics", persona="athena")
        assert told["personas"]["athena"]["memories"] == 2
        assert told["personas"]["athena"]["duplicates"] == 1


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("recall", {"qurey": "x", "persona": "athena"}, "'qurey': there is no such argument: did you mean query?"),
        ("recall", {"qurey": "x", "persona": "athena"}, "query: is missing"),
        ("health", {"persona": "athena"}, "'persona': there is no such argument: it takes none"),
        ("recall", {"query": "x"}, "persona: say whose memories are meant"),
        ("recall", {"query": "x", "persona": "athna"}, "there is no 'athna': did you mean athena?"),
        ("recall", {"query": "x", "persona": "../x"}, "is not a persona's name"),
        ("recall", {"query": "x", "persona": "athena", "limit": 0}, "limit: "),
        ("recall", {"query": "x", "persona": "athena", "since": "soonish"}, "since: 'soonish' is no time such as"),
        ("recall", {"query": "x", "persona": "athena", "after": "elsewhere"}, "after: 'elsewhere' is not a cursor"),
        ("recall", {"query": ["x"], "persona": "athena"}, "query: "),
        ("remember", {"content": "  ", "persona": "athena"}, "content: "),
        ("remember", {"content": "x", "type": "fact", "persona": "athena"}, "type: "),
        ("update", {"id": "x", "persona": "athena"}, "nothing is to be changed: pass one of content"),
        ("update", {"id": "x", "persona": "athena", "content": "y"}, "athena has no memory x. Use trinitas_recall"),
        ("get", {"id": "no such", "persona": "athena"}, "id: 'no such' is not a memory's id"),
        ("share_memory", {"id": "x", "to": [], "persona": "athena"}, "to: "),
        ("share_memory", {"id": "x", "to": ["hesta"], "persona": "athena"}, "did you mean hestia?"),
    ],
)
async def test_what_cannot_be_done_says_what_to_do(
    served: Served, tool: str, arguments: dict[str, Any], said: str
) -> None:
    async with served.connected() as client:
        complaint = await refused(client, tool, **arguments)
        assert said in complaint
        assert "Traceback" not in complaint


async def test_lists_that_agents_write_as_text_are_understood(served: Served) -> None:
    async with served.connected() as client:
        mine = await remembered(client, tags='["port", "sea"]')
        assert (await used(client, "get", id=mine, persona="athena"))["memory"]["tags"] == ["port", "sea"]
        assert contents(await used(client, "recall", query="harbour", persona="athena", tags="sea")) == [HARBOUR]
        shared = await used(client, "share_memory", id=mine, to="hestia", persona="athena")
        assert shared["shared_with"] == ["hestia"]


async def test_times_are_said_as_people_say_them(served: Served) -> None:
    async with served.connected() as client:
        await remembered(client, "long ago", timestamp="2020-05-01")
        await remembered(client, "of today")
        assert contents(await used(client, "timeline", persona="athena", before="2020-06")) == ["long ago"]
        assert contents(await used(client, "timeline", persona="athena", since="昨日")) == ["of today"]
        ordered = await used(client, "timeline", persona="athena", oldest_first=True, limit=1)
        assert contents(ordered) == ["long ago"]
        rest = await used(client, "timeline", persona="athena", oldest_first=True, limit=1, after=ordered["next"])
        assert contents(rest) == ["of today"]


async def test_an_unknown_tool_is_named_with_the_nearest(served: Served) -> None:
    async with served.connected() as client:
        with pytest.raises(MCPError, match="did you mean trinitas_recall"):
            await client.call_tool("trinitas_recal", {})


async def test_what_is_hidden_in_a_memory_is_marked_and_what_is_long_is_read_on(served: Served) -> None:
    async with served.connected() as client:
        hidden = await remembered(client, "safe\u202egnp.exe")
        told = await used(client, "get", id=hidden, persona="athena")
        assert told["memory"]["content"] == "safe⟨U+202E⟩gnp.exe"
        assert told["memory"]["marked"]
        story = "".join(f"{number} boats. " for number in range(2000))
        long = await remembered(client, story)
        read, piece = "", await used(client, "get", id=long, persona="athena")
        while piece["memory"]["cut"]["read_on"]:
            read += piece["memory"]["content"]
            end = piece["memory"]["cut"]["end"]
            piece = await used(client, "get", id=long, persona="athena", offset=end)
        assert read + piece["memory"]["content"] == story


async def test_what_is_away_is_told_and_not_an_error_where_something_answers(bench: Bench) -> None:
    bench.client().remember(HARBOUR)
    served = Served(bench)
    served.client = bench.client(Workerless, persona=None, near=True)
    async with served.connected() as client:
        for tool, arguments in (
            ("recall", {"persona": "athena"}),
            ("memory_search", {"personas": ["athena", "hestia"]}),
        ):
            found = await used(client, tool, query="harbour", **arguments)
            assert contents(found) == [HARBOUR]
            assert found["degraded"]
            told = await client.call_tool(f"trinitas_{tool}", {"query": "harbour", **arguments})
            assert "Something may be missing: " in text_of(told)
        assert "no worker" in await refused(client, "why", id="x", persona="athena")
        health = await used(client, "health")
        assert (health["ok"], health["parts"]["search worker"]) == (False, "none runs")
    served.close()


async def test_trouble_is_told_with_advice(bench: Bench) -> None:
    served = Served(bench)
    bench.world.hot = Away(bench.world.hot, "share")
    served.client = bench.client(persona=None)
    async with served.connected() as client:
        mine = await remembered(client)
        complaint = await refused(client, "share_memory", id=mine, to=["hestia"], persona="athena")
        assert "What was acknowledged is safe; try again" in complaint
    served.close()


async def test_what_nobody_foresaw_is_a_reference_to_the_log(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("/home/somebody/secret: hunter2")

    monkeypatch.setattr(type(served.client), "stats", broken)
    async with served.connected() as client:
        complaint = await refused(client, "memory_stats", persona="athena")
    assert "hunter2" not in complaint
    reference = complaint.rpartition(" ")[2]
    assert complaint.startswith("trinitas_memory_stats failed unexpectedly")
    assert reference in caplog.text
    assert "hunter2" in caplog.text


def test_every_tool_is_tried_here() -> None:
    tried = Path(__file__).read_text(encoding="utf-8")
    assert [name for name, tool in TOOLS.items() if f'"{tool.name}"' not in tried] == []
