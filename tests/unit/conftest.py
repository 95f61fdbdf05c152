"""Clients and the command line over stubs, for every unit test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.clients import Bench
from tests.unit.commands import CommandLine


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
