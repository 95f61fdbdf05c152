"""Clients and the command line over stubs, for every unit test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.clients import Bench
from tests.unit.commands import CommandLine
from tests.unit.doors import USER, Enter, Notebook
from trinitas_tasks.client import MemoryClient
from trinitas_tasks.interfaces.door import Door
from trinitas_tasks.policy.access import EVERY_RIGHT, Principal, Right


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    for client in made.closing:
        client.close()


@pytest.fixture
def trinitas(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CommandLine:
    """A command line with a home of its own, and without what this machine's user has set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRINITAS_HOME", str(tmp_path))
    return CommandLine(bench, monkeypatch)


@pytest.fixture
def ledger() -> Notebook:
    """The one of the doors."""
    return Notebook()


@pytest.fixture
def enter(bench: Bench, ledger: Notebook) -> Enter:
    """Makes doors over stubs."""
    client = bench.client(persona=None)

    def made(*personas: str, rights: frozenset[Right] = EVERY_RIGHT, of: MemoryClient | None = None) -> Door:
        who = Principal("token x (1)", rights, frozenset(personas)) if personas else USER
        return Door(of or client, who, ledger, "http", clock=bench.world.now)

    return made
