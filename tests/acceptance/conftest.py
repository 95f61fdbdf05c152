"""One embedded stack for all acceptance tests of a run (of one xdist worker), and a client of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from trinitas_tasks import MemoryClient, Settings, load_settings
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.policy.personas import Persona

TRINITAS = Path(sys.executable).with_name("trinitas")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of a running stack."""
    folder = tmp_path_factory.mktemp("home")
    stack = Stack(load_settings(folder=folder, overrides={"home": folder, "lease_seconds": 10}))
    stack.up()
    yield folder
    stack.down()


@pytest.fixture(scope="session")
def stack_settings(home: Path) -> Settings:
    """Settings that reach it; patient, since the tests keep both cores busy."""
    return load_settings(folder=home, overrides={"home": home, "redis_timeout_ms": 5000, "deadline_ms": 20_000})


@pytest.fixture(scope="session")
def operator(stack_settings: Settings) -> Iterator[MemoryClient]:
    """A client for what concerns no single persona."""
    with MemoryClient.connect(stack_settings) as client:
        yield client


@pytest.fixture
def persona(operator: MemoryClient) -> str:
    """A persona that nobody else uses; the command line knows it."""
    name = f"p{uuid4().hex[:12]}"
    operator.define(Persona(name=name))
    return name


@pytest.fixture
def client(stack_settings: Settings, persona: str) -> Iterator[MemoryClient]:
    """A client of the real stack."""
    with MemoryClient.connect(stack_settings, persona=persona) as client:
        yield client


def environment(home: Path) -> dict[str, str]:
    """That of a user who has set nothing, but runs the code under test."""
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ} | {"HOME": str(home)}


@pytest.fixture(scope="session")
def address(home: Path) -> Iterator[str]:
    """Of an HTTP server of the stack, for agents."""
    command = [str(TRINITAS), "mcp", "--http", "--port", "0", "--home", str(home)]
    with subprocess.Popen(command, cwd=home, env=environment(home), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()
        assert process.wait(10) == 143


@pytest.fixture
def trinitas(home: Path) -> Run:
    """Runs the command line against the stack, as a user would from another folder."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [TRINITAS, *arguments, "--home", home]
        return subprocess.run(
            command, cwd=home, env=environment(home), capture_output=True, text=True, check=False, timeout=180
        )

    return run
