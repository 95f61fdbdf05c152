"""The guard of Chroma over real servers whose files are hurt and which are killed."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from tests.support import free_port, wait_until
from trinitas_tasks.local.chroma_guard.canary import COLLECTIONS

HEAL_SECONDS = 20
INTERVAL = "0.2"


@dataclass
class Guarded:
    """A guard, its folder and its log."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def spawned(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "trinitas_tasks.local.chroma_guard", "--port", str(self.port)]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*command, "--path", str(self.folder), "--interval", INTERVAL],
                env=os.environ | {"RUST_LOG": "warn"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def start(self) -> None:
        self.process = self.spawned()
        wait_until(self.answers, HEAL_SECONDS)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(HEAL_SECONDS)

    @property
    def _log(self) -> Path:
        return self.folder.with_name("log")

    def log(self) -> str:
        return self._log.read_text()

    @property
    def aside(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.broken")

    @property
    def database(self) -> Path:
        return self.folder / "chroma.sqlite3"

    def servers(self) -> list[psutil.Process]:
        """Every process that serves this folder, whoever started it."""
        found = []
        for process in psutil.process_iter():
            try:
                words = process.cmdline()
            except psutil.Error:
                continue
            if "run" in words and str(self.folder) in words:
                found.append(process)
        return found

    def server(self) -> psutil.Process:
        (found,) = wait_until(self.servers)
        return found

    def call(self, method: str, path: str = "", body: dict[str, Any] | None = None) -> Any:
        """What a collection's URL answers; None where nothing does, or an error."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, COLLECTIONS + path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            said = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()
        return said if response.status < 300 else None

    def answers(self) -> bool:
        return self.call("GET") is not None

    def write(self, count: int = 3) -> str:
        """A new collection of so many vectors, flushed to its files after ten; "" where the server cannot."""
        hnsw = {"hnsw": {"sync_threshold": 10, "batch_size": 5}}
        made = self.call("POST", "", {"name": f"test-{uuid4()}", "configuration": hnsw})
        vectors = {"ids": [str(each) for each in range(count)], "embeddings": [[1.0, each] for each in range(count)]}
        return made["id"] if made and self.call("POST", f"/{made['id']}/upsert", vectors) is not None else ""

    def found(self, collection: str) -> list[str]:
        """What a search finds; nothing where the server does not answer."""
        wanted = {"query_embeddings": [[1.0, 0.0]], "n_results": 3, "include": ["distances"]}
        said = self.call("POST", f"/{collection}/query", wanted)
        return said["ids"][0] if said else []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One guard; whatever a test does to its server, the next one finds a sound one, and at the end nothing is left."""
    guarded = Guarded(tmp_path_factory.mktemp("guarded") / "chroma", free_port())
    guarded.start()
    yield guarded
    assert guarded.stop() == 0
    assert not guarded.servers()


@pytest.fixture
def guarded(shared: Guarded) -> Guarded:
    shutil.rmtree(shared.aside, ignore_errors=True)
    wait_until(shared.write, HEAL_SECONDS)
    return shared


def test_a_deleted_folder_comes_back(guarded: Guarded) -> None:
    shutil.rmtree(guarded.folder)
    wait_until(lambda: guarded.write() and guarded.database.exists(), HEAL_SECONDS)


def test_a_replaced_database_is_set_aside(guarded: Guarded) -> None:
    other = guarded.folder.with_name("other")
    shutil.copy(guarded.database, other)
    replacement = other.stat().st_ino  # not its bytes: the server may open it and write before that is noticed
    other.replace(guarded.database)
    wait_until(guarded.aside.exists, HEAL_SECONDS)
    assert (guarded.aside / "chroma.sqlite3").stat().st_ino == replacement
    wait_until(guarded.write, HEAL_SECONDS)


def test_an_emptied_database_is_set_aside(guarded: Guarded) -> None:
    with guarded.database.open("wb"):
        pass
    wait_until(guarded.aside.exists, HEAL_SECONDS)
    wait_until(guarded.write, HEAL_SECONDS)


def test_a_database_damaged_in_the_middle_is_set_aside(guarded: Guarded) -> None:
    """The server goes on answering searches; only writing shows it."""
    with guarded.database.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size // 3)
        file.write(os.urandom(size // 3))
    wait_until(guarded.aside.exists, HEAL_SECONDS)
    wait_until(guarded.write, HEAL_SECONDS)


def test_a_database_that_no_server_can_open_is_set_aside(guarded: Guarded) -> None:
    server = guarded.server()
    server.suspend()  # else it is found out before
    guarded.database.write_bytes(b"garbage" * 10_000)
    server.kill()
    wait_until(guarded.aside.exists, HEAL_SECONDS)
    assert (guarded.aside / "chroma.sqlite3").read_bytes().startswith(b"garbage")
    wait_until(guarded.write, HEAL_SECONDS)


def test_a_folder_over_which_servers_crash_is_set_aside(guarded: Guarded) -> None:
    for _ in range(3):
        server = guarded.server()
        server.send_signal(signal.SIGSEGV)
        wait_until(lambda server=server: server not in guarded.servers())  # type: ignore[misc] # bound per round
    wait_until(guarded.aside.exists, HEAL_SECONDS)
    wait_until(guarded.write, HEAL_SECONDS)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_server_comes_back_with_its_data(guarded: Guarded, number: signal.Signals) -> None:
    collection = guarded.write()
    server = guarded.server()
    server.send_signal(number)
    if number == signal.SIGTERM:  # to the server that is no accident: the supervisor starts both again
        assert guarded.process is not None
        assert guarded.process.wait(HEAL_SECONDS) == 0
        guarded.start()
    wait_until(lambda: len(guarded.found(collection)) == 3, HEAL_SECONDS)
    assert guarded.server() != server
    assert not guarded.aside.exists()


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_killed_guard_takes_its_server_along(guarded: Guarded, is_stopped: bool) -> None:
    collection = guarded.write()
    server = guarded.server()
    if is_stopped:
        if sys.platform != "linux":
            pytest.skip("only Linux ends a stopped process with its parent")
        server.suspend()
    assert guarded.process is not None
    guarded.process.kill()
    guarded.process.wait()
    server.wait(HEAL_SECONDS)
    guarded.start()
    assert len(guarded.found(collection)) == 3
    assert guarded.server() != server
    assert not guarded.aside.exists()


def test_a_server_ends_with_its_standard_input(tmp_path: Path) -> None:
    """How it is where the system does not see to it."""
    command = [sys.executable, "-m", "trinitas_tasks.local.chroma_guard.child", "run", "--port", str(free_port())]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([*command, "--path", str(tmp_path)], stdin=subprocess.PIPE, stdout=log, stderr=log)
    with server:
        wait_until((tmp_path / "chroma.sqlite3").exists, HEAL_SECONDS)
        assert server.stdin is not None
        server.stdin.close()
        assert server.wait(HEAL_SECONDS) == -signal.SIGKILL


def test_a_stopped_server_is_not_a_broken_one(guarded: Guarded) -> None:
    collection = guarded.write()
    server, before = guarded.server(), guarded.log().count("timed out")
    server.suspend()
    wait_until(lambda: guarded.log().count("timed out") >= before + 3, HEAL_SECONDS)
    server.resume()
    assert len(guarded.found(collection)) == 3
    assert guarded.server() == server
    assert not guarded.aside.exists()


def test_what_deleted_collections_leave_is_removed_at_the_next_start(guarded: Guarded) -> None:
    def indexes() -> set[str]:
        return {each.name for each in guarded.folder.iterdir() if each.is_dir()}

    kept = guarded.write(20)
    before = indexes()
    deleted = guarded.write(20)
    (leaked,) = indexes() - before
    name = next(each["name"] for each in guarded.call("GET") if each["id"] == deleted)
    assert guarded.call("DELETE", f"/{name}") is not None
    assert leaked in indexes()
    guarded.server().kill()
    wait_until(lambda: leaked not in indexes(), HEAL_SECONDS)
    wait_until(lambda: len(guarded.found(kept)) == 3, HEAL_SECONDS)
    assert indexes() >= before


def test_a_taken_port_is_not_blamed_on_the_folder(guarded: Guarded) -> None:
    collection = guarded.write()
    with guarded.spawned() as second:
        assert second.wait(HEAL_SECONDS) == 0
    assert len(guarded.found(collection)) == 3
    assert not guarded.aside.exists()


def test_the_guard_is_small(guarded: Guarded) -> None:
    assert guarded.process is not None
    assert psutil.Process(guarded.process.pid).memory_info().rss < 40e6
