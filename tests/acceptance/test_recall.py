"""Recall through the real stack: the shipped model, Chroma, and the search worker's own full text."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.acceptance.conftest import Run
from tests.support import wait_until
from trinitas_tasks import MemoryClient
from trinitas_tasks.query import Recall

SECONDS = 60
LONG = "\n\n".join(
    [f"Chapter {number}. Nothing of interest happened on this day of the voyage." for number in range(150)]
    + ["On the last evening a purple whale swallowed the lighthouse keeper's trumpet."]
)


def contents(found: Recall) -> list[str]:
    return [hit.item.content[:60] for hit in found]


def settled(client: MemoryClient) -> None:
    wait_until(lambda: client.stats().pending == 0 and client.stats().unindexed == 0, SECONDS)


def test_the_plans_own_question(client: MemoryClient) -> None:
    for text in ("Python programming", "Python development", "Java programming"):
        client.remember(text, type="semantic")
    for archived in (False, True):
        if archived:
            settled(client)
        found = client.recall("Python coding", limit=2)
        assert set(contents(found)) == {"Python programming", "Python development"}, archived


def test_both_languages_names_and_long_memories_are_found(client: MemoryClient) -> None:
    client.remember_many(
        [
            {"content": "Rolled back KOMBU-2498 after the error in src/app/main.py.", "id": "name"},
            {"content": "Rolled back KOMBU-2489 for another reason.", "id": "other"},
            {"content": "ステージングのデータベースはポート5433に移動しました。", "id": "ja", "type": "semantic"},
            {"content": "The cat sleeps on the warm windowsill.", "id": "cat", "type": "semantic"},
            {"content": LONG, "id": "long", "type": "semantic"},
        ]
    )
    settled(client)
    for text, expected in (
        ("KOMBU-2498", "name"),
        ("what happened in src/app/main.py?", "name"),
        ("データベースのポートは？", "ja"),
        ("移動", "ja"),
        ("where does the kitten nap", "cat"),
        ("a mauve cetacean ate a brass instrument", "long"),
    ):
        found = client.recall(text)
        assert found[0].item.id == expected, (text, [(hit.item.id, hit.score, hit.why) for hit in found])
        assert [hit.item.id for hit in found].count("long") <= 1
        assert found.degraded == ()
    assert {"fulltext", "chroma"} <= set(client.recall("KOMBU-2498").answered)
    # a model that cannot read a question has no say in its answer
    assert client.recall("データベースのポートは？")[0].why["trust"] == 0.0


def test_what_was_forgotten_or_replaced_is_gone_from_full_text_at_once(client: MemoryClient) -> None:
    client.remember("The quetzal nests in the cloud forest.", id="bird", type="semantic")
    settled(client)
    assert client.recall("quetzal")[0].item.id == "bird"
    client.remember("The heron nests by the river.", id="bird", type="semantic")
    assert "quetzal" not in str(contents(client.recall("quetzal heron")))
    settled(client)
    covered = [float(str(client.recall(f"{bird} nest")[0].why["coverage"])) for bird in ("quetzal", "heron")]
    assert covered == sorted(covered)
    client.forget("bird")
    assert contents(client.recall("heron")) == []


def test_a_conversation_is_found_by_time_and_context(client: MemoryClient) -> None:
    start = datetime(2026, 5, 4, 9, tzinfo=UTC)
    turns = ["How was the pottery class?", "I loved it!", "Will you go again?", "Every Monday."]
    for number, text in enumerate(turns):
        client.remember(text, id=f"t{number}", timestamp=start + timedelta(minutes=number), metadata={"session": "may"})
    client.remember("How was the dentist?", id="later", timestamp=start + timedelta(days=30))
    settled(client)
    [hit, *_] = client.recall("pottery class", context=1)
    assert hit.item.id == "t0"
    assert [item.id for item in hit.after] == ["t1"]
    assert "t1" in [each.item.id for each in client.recall("who loved the pottery?")][:2]
    found = client.recall("how was it on 4 May 2026?")
    assert found[0].item.id.startswith("t")
    assert found[0].why["period"] == 1.0


def test_the_command_line_asks_too(trinitas: Run, client: MemoryClient, persona: str) -> None:
    for number in range(3):
        client.remember(f"Boat {number} sails at noon.", tags=["boats"], type="semantic")
    settled(client)
    first = trinitas("recall", "which boats sail? tag:boats", "-p", persona, "-n", "2", "--json", "--explain")
    told = json.loads(first.stdout)
    assert len(told["hits"]) == 2
    assert told["hits"][0]["why"]["words"]
    rest = trinitas(
        "recall", "which boats sail? tag:boats", "-p", persona, "-n", "2", "--explain", "--after", told["next"]
    )
    assert rest.stdout.count("sails at noon") == 1
    refused = trinitas("recall", "boats", "-p", "*")
    assert refused.returncode == 1
    assert "TRINITAS_ALL_PERSONAS" in refused.stderr


@pytest.mark.parametrize("text", ['"', "NEAR(a b)", "🦊", "of the", "茶", "x" * 100_000, "a\u200bb ﾃｽﾄ 東京 test"])
def test_hostile_text_is_answered_in_time(client: MemoryClient, text: str) -> None:
    client.remember("The fox 🦊 drinks 茶.", type="semantic")
    assert client.recall(text).degraded == ()
