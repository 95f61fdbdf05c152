"""The embedded stack where nothing needs to run: refusals, files, command lines, logs."""

from __future__ import annotations

import json
import os
import shlex
import socket
import stat
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
from pydantic import SecretStr

from trinitas_tasks.errors import StackError
from trinitas_tasks.local import processes
from trinitas_tasks.local.environment import environment
from trinitas_tasks.local.layout import FORMAT, Home
from trinitas_tasks.local.logs import Follower, last_lines
from trinitas_tasks.local.marks import MARK
from trinitas_tasks.local.plan import Options, configured_redis, plan
from trinitas_tasks.local.ports import FREE_PORTS, choose
from trinitas_tasks.local.records import Record, Secrets
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.local.supervision import configuration
from trinitas_tasks.settings import Settings, load_settings

TRINITAS = str(Path(sys.executable).with_name("trinitas"))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("REDIS_URL", "REDIS_HOST", "CHROMADB_HOST", "CHROMADB_PORT", "TRINITAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    return load_settings(folder=tmp_path, overrides={"home": tmp_path / "home"})


@pytest.fixture
def home(settings: Settings) -> Home:
    return Home.at(settings.home)


def refused(settings: Settings, options: Options | None = None) -> str:
    with pytest.raises(StackError) as raised:
        Stack(settings).up(options or Options(workers=False))
    assert not (settings.home / "run" / "stack.json").exists()
    return str(raised.value)


def test_a_home_that_cannot_be_made_is_one_clear_line() -> None:
    command = [TRINITAS, "up", "--home", "/proc/trinitas"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: /proc/trinitas cannot be the data directory: ")
    assert done.stderr.count("\n") == 1


def test_a_home_that_is_a_file_is_refused(settings: Settings) -> None:
    settings.home.touch()
    assert "cannot be the data directory" in refused(settings)


def test_a_newer_data_format_is_refused(settings: Settings) -> None:
    settings.home.mkdir()
    (settings.home / "version").write_text(f"{FORMAT + 1}\n")
    message = refused(settings)
    assert f"data format {FORMAT + 1}, this one knows {FORMAT}" in message
    assert "upgrade trinitas-tasks" in message


def test_a_version_file_of_something_else_is_refused(settings: Settings) -> None:
    settings.home.mkdir()
    (settings.home / "version").write_text("Debian 12")
    assert "'Debian 12' is not the number of a data format" in refused(settings)


def test_unreadable_passwords_are_refused_not_replaced(settings: Settings, home: Home) -> None:
    home.run.mkdir(parents=True)
    home.secrets.write_text("{")
    assert f"{home.secrets} cannot be read" in refused(settings)
    assert home.secrets.read_text() == "{"


def test_of_two_ups_at_once_one_is_refused(settings: Settings, home: Home) -> None:
    with home.lock():
        message = refused(settings)
    assert message == f"another `trinitas` command is at work in {home.path} (process {os.getpid()})"


@pytest.mark.parametrize("option", ["redis_port", "chroma_port", "flower_port"])
def test_a_taken_port_is_named_with_who_has_it(settings: Settings, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {name: port if name == option else None for name in ("redis_port", "chroma_port", "flower_port")}
        message = refused(settings, Options(workers=False, flower=option == "flower_port", **ports))
    assert f"port {port}, wanted for" in message
    assert f"by process {os.getpid()}" in message
    assert f"--{option.replace('_', '-')}" in message


def test_a_redis_that_does_not_answer_is_named_without_its_password(settings: Settings) -> None:
    url = SecretStr("redis://:sesame@127.0.0.1:1/0")
    message = refused(settings.model_copy(update={"redis_url": url}))
    assert "redis://:***@127.0.0.1:1/0, which does not answer" in message


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "psutil.py").write_text("raise ModuleNotFoundError('No module named psutil', name='psutil')")
    command = [TRINITAS, "status", "--home", str(tmp_path / "home")]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: psutil is not installed: pip install 'trinitas-tasks[embedded]'\n"


def test_nothing_runs_in_a_home_that_is_not_there(settings: Settings) -> None:
    stack = Stack(settings)
    assert not stack.status().running
    assert stack.down() is False
    assert not settings.home.exists()


def test_a_free_port_is_outside_the_range_of_outgoing_ones() -> None:
    port = choose(None, None, server="Chroma", option="--chroma-port")
    assert port in FREE_PORTS
    assert choose(None, port, server="Chroma", option="--chroma-port") == port


def test_no_command_line_carries_a_password(settings: Settings, home: Home) -> None:
    planned = plan(settings, home, Options(flower=True, flower_port=choose(None, None, server="", option="")), None)
    words = " ".join(word for process in planned.processes for word in process.command)
    passwords = [value for value in planned.secrets.model_dump().values() if isinstance(value, str)]
    assert len(passwords) == 3
    assert not [password for password in passwords if password in words]
    assert planned.environment["REDIS_URL"] == planned.record.redis_url
    assert not home.path.exists()


@pytest.mark.parametrize(
    ("queue", "pool", "threads"), [("search", "solo", 1), ("ingest", "threads", 1), ("lifecycle", "threads", 2)]
)
def test_a_worker_takes_one_queue_and_so_many_tasks_at_a_time(queue: str, pool: str, threads: int) -> None:
    command = shlex.join(processes.worker(queue).command[1:])
    assert command == (
        f"-m celery -A trinitas_tasks.tasks.worker worker -Q {queue} -n {queue}@%h --loglevel=INFO -E "
        f"--pool={pool} --concurrency={threads}"
    )


def test_odd_names_stand_whole_in_the_supervisor_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "100 % 'quoted' \"twice\" ünï"
    text = configuration(
        Home.at(tmp_path),
        [processes.chroma(folder, host="127.0.0.1", port=1)],
        socket_path=tmp_path / "socket",
        password="secret",
    )
    parser = RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(text)
    command = parser["program:chroma"]["command"].replace("%%", "%")
    assert str(folder) in shlex.split(command)


@pytest.mark.parametrize("name", ["one ;two", "one #two", "one\ntwo"])
def test_names_that_would_be_cut_are_refused(tmp_path: Path, name: str) -> None:
    chroma = processes.chroma(tmp_path / name, host="127.0.0.1", port=1)
    with pytest.raises(StackError, match="choose a path without"):
        configuration(Home.at(tmp_path), [chroma], socket_path=tmp_path / "socket", password="secret")


def test_the_processes_get_the_settings_in_force(
    settings: Settings, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://elsewhere")
    monkeypatch.setenv("NO_PROXY", "example.org")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "memory.yaml").write_text("memory: {sqlite: {path: data/own.db}}")
    in_force = load_settings(overrides={"home": settings.home, "batch_size": 7, "async_writes": False})
    record = plan(in_force, home, Options(), None).record
    found = environment(in_force, home, record)
    assert found["SQLITE_PATH"] == str(tmp_path / "data" / "own.db")
    assert (found["BATCH_SIZE"], found["ASYNC_WRITES"]) == ("7", "false")
    assert (found["TRINITAS_HOME"], found[MARK]) == (str(home.path), str(home.path))
    assert "CELERY_BROKER_URL" not in found
    assert found["NO_PROXY"] == "example.org,127.0.0.1,localhost"


@pytest.mark.parametrize("name", ["ARCHIVE_URL", "archive_url", "SQLITE_PATH"])
def test_what_was_overridden_does_not_come_back_from_the_environment(
    settings: Settings, home: Home, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "sqlite:////elsewhere.db")
    monkeypatch.setenv("BATCH_SIZE", "7")
    nobodys = {"home": settings.home, "archive_url": None, "sqlite_path": None}
    in_force = load_settings(overrides=nobodys)
    found = environment(in_force, home, plan(in_force, home, Options(), None).record)
    assert name not in found
    assert found["BATCH_SIZE"] == "7"


def test_the_redis_of_a_dead_stack_is_not_one_the_user_configured(settings: Settings, home: Home) -> None:
    home.run.mkdir(parents=True)
    planned = plan(settings, home, Options(), None)
    planned.record.write(home)
    told = load_settings(folder=settings.home, overrides={"home": settings.home})
    assert told.redis() == planned.record.redis_url
    assert configured_redis(told, home) is None
    configured = told.model_copy(update={"redis_url": SecretStr("redis://elsewhere/0")})
    assert configured_redis(configured, home) == "redis://elsewhere/0"


def test_records_and_secrets_are_read_back_and_private(settings: Settings, home: Home) -> None:
    home.run.mkdir(parents=True)
    planned = plan(settings, home, Options(), None)
    planned.record.write(home)
    planned.secrets.write(home)
    assert Record.read(home) == planned.record
    assert Secrets.read(home) == planned.secrets
    assert {stat.S_IMODE(path.stat().st_mode) for path in (home.record, home.secrets)} == {0o600}
    assert {"redis_url", "chromadb_host", "chromadb_port", "version", "pid", "flower"} <= set(
        json.loads(home.record.read_text())
    )


@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_last_lines(tmp_path: Path, count: int) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"{number}{'x' * 5000}\n" for number in range(50)))
    assert last_lines(log, count) == log.read_text().splitlines()[50 - min(count, 50) :]
    assert last_lines(tmp_path / "none", count) == []


def test_a_follower_loses_no_line_when_the_log_is_rotated(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n")
    follower = Follower({"log": log})
    with log.open("a") as file:
        file.write("first\nsec")
    assert list(follower.news()) == [("log", "first")]
    with log.open("a") as file:
        file.write("ond\n")
    log.rename(tmp_path / "log.1")
    log.write_text("third\n")
    assert list(follower.news()) == [("log", "second"), ("log", "third")]
    assert list(follower.news()) == []
    follower.close()
