"""One client for a process, made when somebody first asks, and anew when the stack moved."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tests.unit.isolation import isolated
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.errors import Forbidden, SettingsError
from trinitas_tasks.interfaces.mcp.hallway import Hallway
from trinitas_tasks.policy.access import Principal
from trinitas_tasks.settings import load_settings


class House:
    """A folder in which an embedded stack may run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = folder / "home" / "run" / "stack.json"
        self.stack.parent.mkdir(parents=True)
        self.hallway = Hallway(lambda: load_settings(folder=folder), "mcp", users=True)

    def starts(self, port: int) -> None:
        told = {"redis_url": f"redis://127.0.0.1:{port}/0", "chromadb_host": "127.0.0.1", "chromadb_port": 1}
        beside = self.stack.with_suffix(".new")
        beside.write_text(json.dumps(told))
        beside.replace(self.stack)

    def client(self) -> MemoryClient:
        with self.hallway.door(None) as door:
            return door.client


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    return House(isolated(tmp_path, monkeypatch))


def test_it_opens_when_the_stack_runs_and_not_before(house: House) -> None:
    for _ in range(2):
        with pytest.raises(SettingsError, match="trinitas up --detach"):
            house.client()
    house.starts(1)
    first = house.client()
    assert house.client() is first
    house.hallway.close()


def test_a_stack_that_moved_is_followed_and_the_old_client_closed_when_nobody_uses_it(house: House) -> None:
    house.starts(1)
    closed: list[str] = []
    with house.hallway.door(None) as door:
        before = door.client
        before.close = lambda: closed.append("before")  # type: ignore[method-assign]  # to see when
        house.starts(2)
        assert house.client() is not before
        assert not closed
    assert closed == ["before"]
    house.hallway.close()


def test_the_client_stays_while_the_stack_is_away_or_comes_back_where_it_was(house: House) -> None:
    house.starts(1)
    client = house.client()
    house.stack.unlink()
    assert house.client() is client
    house.starts(1)
    assert house.client() is client
    house.hallway.close()


def test_all_calls_of_a_process_share_one_client(house: House) -> None:
    house.starts(1)
    found: list[MemoryClient] = []
    threads = [threading.Thread(target=lambda: found.append(house.client())) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert (len(found), len(set(map(id, found)))) == (8, 1)
    house.hallway.close()


def test_a_door_is_of_whom_the_transport_let_in_or_of_this_machines_user(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.starts(1)
    monkeypatch.setenv("TRINITAS_PERSONA", "hestia")
    with house.hallway.door(Principal("token x")) as door:
        assert (door.principal.name, door.name) == ("token x", "mcp")
    with house.hallway.door(None) as door:
        assert (door.principal.name.partition(" ")[0], door.principal.sole()) == ("user", "hestia")
    house.hallway.close()


def test_where_tokens_are_needed_somebody_without_one_is_nobody(house: House) -> None:
    """Whatever a transport forgets to say."""
    house.starts(1)
    guarded = Hallway(lambda: load_settings(folder=house.folder), "http", users=False)
    with pytest.raises(Forbidden), guarded.door(None):
        pass
    with guarded.door(Principal("token x")) as door:
        assert door.name == "http"
    guarded.close()
