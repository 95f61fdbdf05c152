"""The embedded stack: real processes, started, hurt and stopped as users and accidents do it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
import pytest
import redis

from tests.support import wait_until
from trinitas_tasks.local.layout import Home
from trinitas_tasks.local.marks import marked
from trinitas_tasks.local.plan import Options
from trinitas_tasks.local.ports import choose
from trinitas_tasks.local.records import Record
from trinitas_tasks.local.stack import Stack, Status
from trinitas_tasks.settings import Settings, load_settings

TRINITAS = str(Path(sys.executable).with_name("trinitas"))
SERVERS = Options(workers=False)
OURS = ("TRINITAS_", "REDIS_", "CHROMADB_", "SQLITE_", "ARCHIVE_URL")
ALL = ["valkey", "chroma", "search", "ingest", "lifecycle", "beat", "flower"]


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | more


def trinitas(*arguments: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    command = [TRINITAS, *arguments, "--home", str(home)]
    return subprocess.run(
        command, env=environment(**more), cwd=home.parent, capture_output=True, text=True, timeout=120, check=False
    )


def ok(*arguments: str, home: Path, **more: str) -> str:
    done = trinitas(*arguments, home=home, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def background(*arguments: str, home: Path) -> subprocess.Popen[str]:
    command = [TRINITAS, *arguments, "--home", str(home)]
    return subprocess.Popen(
        command, env=environment(), cwd=home.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def read_until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"it ended without {text!r}")


def settings(home: Path) -> Settings:
    return load_settings(folder=home, overrides={"home": home})


def stack(home: Path) -> Stack:
    return Stack(settings(home))


def status(home: Path) -> Status:
    return stack(home).status()


def pids(home: Path) -> dict[str, int | None]:
    return {each.name: each.pid for each in status(home).processes}


def start_servers(home: Path) -> None:
    assert stack(home).up(SERVERS)


def kill_supervisor(home: Path) -> None:
    pid = status(home).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not status(home).running)


def valkey(home: Path) -> redis.Redis:
    return redis.Redis.from_url(settings(home).redis(), decode_responses=True)


def get(url: str, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def nothing_is_left(home: Path) -> bool:
    return not marked(Home.at(home)) and not (home / "run" / "stack.json").exists()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose stack is stopped after the test; what `down` leaves is an error."""
    yield from clean_home(tmp_path / "home")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One stack with everything, shared by the tests that leave it as it was."""
    for home in clean_home(tmp_path_factory.mktemp("stack") / "home"):
        port = choose(None, None, server="Flower", option="")
        ok("up", "--detach", "--flower-port", str(port), home=home)
        yield home


def clean_home(home: Path) -> Iterator[Path]:
    try:
        yield home
    finally:
        stack(home).down()
        left = marked(Home.at(home))
        for process in left:
            process.kill()
        assert not left


def test_everything_runs_when_up_returns(full: Path) -> None:
    told = json.loads(ok("status", "--json", home=full))
    assert [each["name"] for each in told["processes"]] == ALL
    assert {each["state"] for each in told["processes"]} == {"RUNNING"}


def test_clients_find_the_running_stack_by_its_home(full: Path) -> None:
    found = settings(full)
    with valkey(full) as client:
        assert client.ping()
    assert get(f"http://{found.chromadb_host}:{found.chromadb_port}", "/api/v2/heartbeat") == 200


def test_up_again_says_that_it_runs(full: Path) -> None:
    before = pids(full)
    assert "already running" in ok("up", home=full)
    assert pids(full) == before


def test_up_with_another_port_is_refused_while_it_runs(full: Path) -> None:
    refused = trinitas("up", "--redis-port", "21999", home=full)
    assert refused.returncode == 1
    assert "--redis-port" in refused.stderr
    assert "trinitas down" in refused.stderr


def flower_token(home: Path) -> str:
    password = json.loads((home / "run" / "secrets.json").read_text())["flower_password"]
    return "Basic " + base64.b64encode(f"trinitas:{password}".encode()).decode()


def test_flower_asks_for_the_password(full: Path) -> None:
    url = str(status(full).flower)
    assert get(url, "/workers") == 401
    assert get(url, "/workers", Authorization=flower_token(full)) == 200


def test_flower_shows_what_tasks_did_and_nothing_that_people_wrote(full: Path) -> None:
    ok("remember", "The launch code is walrus.", "-p", "athena", home=full)
    ok("run", "archive_old", "--dry-run", "-p", "athena", home=full)
    ok("recall", "what is the launch code?", "-p", "athena", home=full)
    seen = Request(f"{status(full).flower}/api/tasks", headers={"Authorization": flower_token(full)})

    def succeeded() -> dict[str, Any]:
        with urlopen(seen, timeout=5) as answer:
            tasks = json.load(answer).values()
        return {each["name"]: each for each in tasks if each["state"] == "SUCCESS"}

    names = {"trinitas.run", "trinitas.search", "trinitas.ingest", "trinitas.flush_access"}
    wait_until(lambda: names <= succeeded().keys(), 60)  # of these the last comes by the clock
    shown = succeeded()
    assert shown["trinitas.run"]["args"] == "archive_old, True, athena"
    for each in ("examined: 0", "changed: 0", "seconds: 0.0"):
        assert each in shown["trinitas.run"]["result"]
        assert each.partition(" ")[0] in shown["trinitas.flush_access"]["result"]
    assert shown["trinitas.search"]["args"].startswith("text: (24 characters), persona: athena")
    told = [json.dumps(list(shown.values())), *((path.read_text()) for path in (full / "logs").glob("*.log"))]
    assert not [text for text in told if "launch code" in text]


def test_no_password_is_in_any_command_line(full: Path) -> None:
    secrets = json.loads((full / "run" / "secrets.json").read_text())
    passwords = [value for name, value in secrets.items() if name.endswith("_password")]
    assert len(passwords) == 3
    shown = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert any(str(full) in line for line in shown)
    assert not [line for line in shown if any(password in line for password in passwords)]


def test_only_the_owner_can_read_what_it_writes(full: Path) -> None:
    files = [full, *full.rglob("*")]
    assert len(files) > 20
    assert [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_every_port_is_on_the_loopback_interface(full: Path) -> None:
    listening = {
        connection.laddr.ip
        for process in marked(Home.at(full))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_logs_show_each_process(full: Path) -> None:
    assert "Ready to accept connections" in ok("logs", "valkey", "--lines", "50", home=full)
    assert {"valkey", "beat", "flower"} <= {line.split()[0] for line in ok("logs", home=full).splitlines()}
    unknown = trinitas("logs", "nonsense", home=full)
    assert unknown.returncode == 2
    assert "valkey" in unknown.stderr


@pytest.mark.parametrize("name", ["valkey", "chroma", "lifecycle"])
def test_a_killed_process_comes_back(full: Path, name: str) -> None:
    with valkey(full) as client:
        client.set("kept", name)
    before = pids(full)[name]
    assert before is not None
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: pids(full)[name] != before and status(full).complete, seconds=60)
    with valkey(full) as client:
        assert client.get("kept") == name


def test_data_ports_and_passwords_outlive_a_restart(tmp_path: Path) -> None:
    for home in clean_home(tmp_path / f"with space % and ünïcode, {'long' * 30}"):
        ok("up", "--detach", "--no-workers", home=home)
        url = settings(home).redis()
        with valkey(home) as client:
            client.set("key", "value")
        assert "stopped" in ok("down", home=home)
        assert nothing_is_left(home)
        assert trinitas("status", home=home).returncode == 3
        start_servers(home)
        assert settings(home).redis() == url
        with valkey(home) as client:
            assert client.get("key") == "value"


def test_two_stacks_run_side_by_side(full: Path, home: Path) -> None:
    start_servers(home)
    assert not set(pids(full).values()) & set(pids(home).values())
    assert stack(home).down()
    assert nothing_is_left(home)
    assert status(full).complete


def test_a_configured_redis_is_used_instead_of_a_private_one(full: Path, home: Path) -> None:
    port = str(choose(None, None, server="Chroma", option=""))
    url = settings(full).redis()
    ok("up", "--detach", "--no-workers", home=home, REDIS_URL=url, CHROMADB_PORT=port)
    assert list(pids(home)) == ["chroma"]
    assert settings(home).redis() == url


def test_a_killed_supervisor_leaves_no_orphan_behind(home: Path) -> None:
    start_servers(home)
    orphans = {each.pid for each in marked(Home.at(home))} - {status(home).pid}
    assert orphans > set(pids(home).values())  # and what Chroma's guard started
    kill_supervisor(home)
    assert set(status(home).leftovers) == orphans
    start_servers(home)
    left = {each.pid for each in marked(Home.at(home))}
    assert len(left) == len(orphans) + 1
    assert not left & orphans
    kill_supervisor(home)
    assert "stopped" in ok("down", home=home)
    assert nothing_is_left(home)


def test_the_record_of_a_dead_stack_stops_nobody(home: Path) -> None:
    (home / "run").mkdir(parents=True)
    Record(
        version="0",
        pid=os.getpid(),  # after a reboot it is another process's
        started=datetime.now(UTC),
        redis_url="redis://:secret@127.0.0.1:1/0",
        chromadb_host="127.0.0.1",
        chromadb_port=1,
        socket=home / "run" / "supervisor.sock",
        processes=("valkey", "chroma"),
    ).write(Home.at(home))
    assert not status(home).running
    start_servers(home)
    assert status(home).complete


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_up_in_the_foreground(home: Path, number: signal.Signals) -> None:
    with background("up", "--no-workers", home=home) as process:
        read_until(process, "Ctrl-C stops everything")
        assert status(home).complete
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    assert nothing_is_left(home)


def test_a_signal_during_the_start_stops_what_was_started(home: Path) -> None:
    with background("up", home=home) as process:
        wait_until(lambda: pids(home).get("search"), seconds=60)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert nothing_is_left(home)


def test_down_ends_an_up_that_is_still_starting(home: Path) -> None:
    with background("up", home=home) as process:
        wait_until(lambda: status(home).running)
        assert "stopped" in ok("down", home=home)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 1, out
    assert nothing_is_left(home)


def test_down_ends_an_up_in_the_foreground(home: Path) -> None:
    with background("up", "--no-workers", home=home) as process:
        read_until(process, "Ctrl-C stops everything")
        ok("down", home=home)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    assert "stopped from elsewhere" in out


def test_a_process_that_cannot_start_is_named_with_its_log(home: Path) -> None:
    (home / "valkey" / "appendonlydir").mkdir(parents=True)
    (home / "valkey" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    refused = trinitas("up", "--detach", "--no-workers", home=home)
    assert refused.returncode == 1
    assert "valkey does not start" in refused.stderr
    assert "manifest" in refused.stderr
    assert str(home / "logs" / "valkey.log") in refused.stderr
    assert nothing_is_left(home)


def test_workers_that_are_not_ready_in_time_are_named(home: Path) -> None:
    refused = trinitas("up", "--detach", "--timeout", "3", home=home)
    assert refused.returncode == 1
    assert "not ready after 3 s: search" in refused.stderr
    assert nothing_is_left(home)
