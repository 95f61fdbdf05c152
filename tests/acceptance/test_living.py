"""The life of memories as a user meets it: archived, brought back, pinned, judged, consolidated and explained."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from tests.acceptance.conftest import TRINITAS, Run, environment
from tests.acceptance.test_promises import pid_of
from tests.support import wait_until
from trinitas_tasks import MemoryClient, Settings
from trinitas_tasks.interfaces.cli import main
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.query import Recall
from trinitas_tasks.runtime import Runtime
from trinitas_tasks.tasks.dispatch import CeleryDispatcher

SECONDS = 60
RIVER = "We walked along the river and saw a heron"
Told = Callable[..., Any]


class Done(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


Here = Callable[..., Done]


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Runs the command line in this process, which has imported what it needs: 1 s less."""

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["trinitas", *arguments, "--home", str(home)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def told(here: Here) -> Told:
    """What a command says as JSON."""

    def run(*arguments: str) -> Any:
        done = here(*arguments, "--json")
        assert done.code == 0, done.err
        return json.loads(done.out)

    return run


def settled(client: MemoryClient) -> None:
    wait_until(lambda: (client.stats().pending, client.stats().unindexed) == (0, 0), SECONDS)


def walked(client: MemoryClient, **days: float) -> None:
    """Memories by id, of so many days ago, archived and indexed."""
    now = datetime.now(UTC)
    client.remember_many(
        {"content": f"{RIVER} ({each})", "id": each, "timestamp": now - timedelta(days=ago)}
        for each, ago in days.items()
    )
    settled(client)


def ids(found: Recall) -> set[str]:
    return {hit.item.id for hit in found}


def test_old_memories_leave_the_index_and_whoever_reads_one_brings_it_back(
    client: MemoryClient, persona: str, trinitas: Run, here: Here, told: Told
) -> None:
    walked(client, old1=9, old2=12, new=1)
    dry = trinitas("run", "archive_old", "--dry-run", "-p", persona)
    assert (dry.returncode, dry.stdout.count("not used for"), "nothing was" in dry.stderr) == (0, 2, True)
    assert not told("why", "old1", "-p", persona)["archived"]

    done = told("run", "archive_old", "-p", persona)
    assert [(each["id"], each["action"]) for each in done["decisions"]] == [("old2", "archive"), ("old1", "archive")]
    assert (done["changed"], done["errors"], done["more"]) == (2, [], False)
    assert ids(client.recall(RIVER)) == {"new"}
    wait_until(lambda: client.stats().vectors == 1, SECONDS)

    restored = client.get("old1")
    assert restored is not None
    assert restored.content == f"{RIVER} (old1)"
    why = here("why", "old1", "-p", persona)
    assert why.code == 0
    for part in (f"episodic memory old1 of {persona}: active", "importance:", "retention:", "next: unread, it is"):
        assert part in why.out
    assert ids(client.recall(RIVER)) == {"new", "old1"}
    assert told("why", "old2", "-p", persona)["archived"]

    again = told("recall", RIVER, "-p", persona, "--include-archived")
    assert {hit["item"]["id"] for hit in again["hits"]} == {"new", "old1", "old2"}


def test_what_is_pinned_or_judged_is_taken_into_account(
    client: MemoryClient, persona: str, here: Here, told: Told
) -> None:
    walked(client, pinned=400, loose=400)
    assert here("pin", "pinned", "-p", persona).code == 0
    assert here("feedback", "pinned", "--useful", "-p", persona).code == 0
    done = told("run", "archive_old", "-p", persona)
    assert [each["id"] for each in done["decisions"]] == ["loose"]
    known = told("why", "pinned", "-p", persona)
    assert (known["pinned"], known["archived"], known["useful"], known["useless"]) == (True, False, 1, 0)
    assert "pinned" in known["next"]
    assert told("run", "score_importance", "-p", persona)["decisions"]
    judged = told("why", "pinned", "-p", persona)["importance"]
    assert judged["stored"] > judged["own"]
    assert judged["parts"]["feedback"] > 0
    assert here("unpin", "pinned", "-p", persona).code == 0
    assert not told("why", "pinned", "-p", persona)["pinned"]


def test_consolidations_are_shown_and_taken_back(client: MemoryClient, persona: str, here: Here, told: Told) -> None:
    client.remember("The port of the staging database is 5433.", id="kept", type="working", importance=0.9)
    for each in ("twin1", "twin2"):
        client.remember(
            "The harbour opens at nine o'clock every morning.", id=each, type="semantic", metadata={"n": each}
        )
    settled(client)
    told("run", "consolidate", "-p", persona)  # beat may have come first
    found = {each["id"]: each for each in told("consolidations", "-p", persona)}
    assert found.keys() == {"kept", "twin2"}
    assert found["twin2"]["after"] == {"representative": "twin1"}
    assert kind_of(client, "kept") == "semantic"
    assert len(client.recall("when does the harbour open", limit=1)[0].similar) == 1

    undone = here("undo", str(found["kept"]["number"]))
    assert (undone.code, "undone" in undone.out) == (0, True)
    assert kind_of(client, "kept") == "working"
    settled(client)
    again = here("undo", str(found["kept"]["number"]))
    assert (again.code, "was undone" in again.err) == (1, True)
    assert not told("run", "consolidate", "-p", persona)["decisions"]


def kind_of(client: MemoryClient, memory_id: str) -> str:
    item = client.get(memory_id)
    assert item is not None
    return item.type.value


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "purne"), "there is no 'purne'; there are archive_expiring, "),
        (("run", "reconcile"), "trinitas verify --repair"),
        (("run", "prune", "-p", "../x"), "is not a persona's name"),
        (("runs", "purne"), "there is no 'purne'"),
        (("why", "nothing", "-p", "athena"), "athena has no archived memory nothing"),
        (("pin", "nothing", "-p", "nobody"), "there is no 'nobody'"),
        (("undo", "123456789"), "there is no consolidation 123456789"),
    ],
)
def test_what_cannot_be_done_is_one_clear_message(arguments: tuple[str, ...], said: str, here: Here) -> None:
    refused = here(*arguments)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("error: ")
    assert said in refused.err


def test_runs_and_figures_are_told(client: MemoryClient, persona: str, here: Here, told: Told, home: Path) -> None:
    walked(client, a=1, b=1)
    command = [str(TRINITAS), "run", "score_importance", "-p", persona, "--home", str(home)]
    running = [subprocess.Popen(command, cwd=home, env=environment(home), stderr=subprocess.PIPE) for _ in range(3)]
    errors = [process.communicate(timeout=60)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], errors  # one after the other
    rows = told("runs", "score_importance", "-n", "3")
    assert [row["errors"] for row in rows] == [0, 0, 0]
    assert here("runs", "-n", "1").out.split()[0] == "task"
    figures = told("analytics", "-p", persona)["personas"][persona]
    assert (figures["memories"], figures["by_type"], figures["archived"]) == (2, {"episodic": 2}, 0)
    assert f"{persona}: 2 memories, 0 archived, 0 pinned" in here("analytics", "-p", persona).out


def test_the_lifecycle_worker_never_loads_torch(
    stack_settings: Settings, client: MemoryClient, persona: str, told: Told
) -> None:
    walked(client, a=9)
    for task in ("score_importance", "consolidate", "archive_old", "prune", "detect_anomalies"):
        told("run", task, "-p", persona)
    process = psutil.Process(pid_of(Stack(stack_settings), "lifecycle"))
    assert not [each.path for each in process.memory_maps() if "torch" in each.path]
    assert process.memory_info().rss < 300 << 20


def test_who_asks_something_need_not_wait_for_a_run(
    stack_settings: Settings, client: MemoryClient, persona: str, home: Path, told: Told
) -> None:
    walked(client, a=1)
    hot = Runtime(stack_settings).hot
    token = wait_until(lambda: hot.lease("warm_cache", 60), SECONDS) or ""  # as if another machine were at it
    command = [str(TRINITAS), "run", "warm_cache", "--home", str(home)]
    with subprocess.Popen(command, cwd=home, env=environment(home), stderr=subprocess.PIPE, text=True) as waiting:
        wait_until(lambda: "trinitas.run" in active(client), SECONDS)
        assert told("why", "a", "-p", persona)["id"] == "a"
        assert waiting.poll() is None
        _, error = waiting.communicate(timeout=60)
    assert (waiting.returncode, "warm_cache runs just now: try again" in error) == (1, True)
    hot.release("warm_cache", token)
    hot.close()
    assert told("run", "warm_cache", "-p", persona)["errors"] == []


def active(client: MemoryClient) -> set[str]:
    """The tasks that workers are at."""
    dispatcher = client._dispatcher
    assert isinstance(dispatcher, CeleryDispatcher)
    found = dispatcher._app.control.inspect(timeout=0.5).active() or {}
    return {each["name"] for tasks in found.values() for each in tasks}
