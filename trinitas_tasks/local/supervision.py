"""The supervisor (supervisord) of a stack: its configuration, its start, and the calls to it."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Error as RpcError
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport

from trinitas_tasks.errors import StackError
from trinitas_tasks.local.layout import Home
from trinitas_tasks.local.processes import Process

USER = "trinitas"
CALL_SECONDS = 10.0
LAUNCH_SECONDS = 30.0
DEAD = ("STOPPED", "EXITED", "FATAL")


@dataclass(frozen=True, slots=True)
class Info:
    """One process as the supervisor sees it; times in seconds since the epoch."""

    name: str
    state: str
    """STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL or UNKNOWN."""
    pid: int
    started: int
    now: int
    note: str


class Supervisor:
    """Calls to a running supervisor. Every call raises StackError when it cannot be reached."""

    def __init__(self, socket_path: Path, password: str) -> None:
        self._socket_path = socket_path
        self._password = password

    def pid(self) -> int:
        return int(self._call("getPID"))

    def processes(self) -> dict[str, Info]:
        return {
            each["name"]: Info(
                name=each["name"],
                state=each["statename"],
                pid=each["pid"],
                started=each["start"],
                now=each["now"],
                note=each["spawnerr"],
            )
            for each in self._call("getAllProcessInfo")
        }

    def start(self, name: str) -> None:
        """Start it, and have it restarted for ever; nothing if it already lives."""
        self._call("startProcess", name, False, fine=Faults.ALREADY_STARTED)

    def stop(self, name: str) -> None:
        """Begin to stop it; nothing if it does not run."""
        self._call("stopProcess", name, False, fine=Faults.NOT_RUNNING)

    def shutdown(self) -> None:
        """Begin to stop everything in reverse order, and itself."""
        self._call("shutdown", fine=Faults.SHUTDOWN_STATE)

    def _call(self, method: str, *arguments: Any, fine: int | None = None) -> Any:
        transport = SupervisorTransport(USER, self._password, f"unix://{self._socket_path}")
        # its own connections wait for ever
        transport._get_connection = lambda: _UnixConnection(self._socket_path)
        try:
            with ServerProxy("http://localhost", transport=transport) as server:
                return getattr(server.supervisor, method)(*arguments)
        except Fault as fault:
            if fault.faultCode == fine:
                return None
            if fault.faultCode == Faults.SHUTDOWN_STATE:
                raise StackError("the stack is being stopped, by `trinitas down` or from elsewhere") from fault
            raise StackError(f"the supervisor refused {method}{arguments}: {fault.faultString}") from fault
        except (OSError, RpcError, http.client.HTTPException) as error:
            raise StackError(f"the supervisor is gone or does not answer: {error} ({self._socket_path})") from error


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CALL_SECONDS)
        self.sock.connect(str(self._path))


def launch(home: Home, environment: Mapping[str, str]) -> None:
    """Start the supervisor as a daemon. When this returns it listens on its socket. Raises: StackError."""
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(home.supervisor_conf)]
    try:
        done = subprocess.run(
            command,
            cwd=home.run,
            env=environment,
            umask=0o077,
            start_new_session=True,  # a Ctrl-C is for the caller, who then stops it in order
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=LAUNCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(f"the supervisor did not start: {error}; its log: {home.log('supervisord')}") from error
    except OSError as error:
        raise StackError(f"the supervisor cannot be started: {error}") from error
    if done.returncode != 0:
        # not into the message: when it complains of its configuration it prints its whole environment
        log = home.log("supervisord")
        with log.open("a", encoding="utf-8") as file:
            file.write(done.stdout)
        raise StackError(f"the supervisor did not start (exit code {done.returncode}): see {log}")


def configuration(home: Home, processes: Sequence[Process], *, socket_path: Path, password: str) -> str:
    """The text of supervisord.conf. Raises: StackError for a path that cannot be written in it."""
    return "\n".join(_sections(home, processes, socket_path, password))


def _sections(home: Home, processes: Sequence[Process], socket_path: Path, password: str) -> Iterator[str]:
    yield f"""\
[unix_http_server]
file={_value(str(socket_path))}
chmod=0600
username={USER}
password={password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisord]
logfile={_beside(home, home.log("supervisord"))}
logfile_maxbytes=5MB
logfile_backups=2
pidfile={_beside(home, home.supervisor_pid)}
umask=077
{f"user={os.geteuid()}" if os.geteuid() == 0 else ""}
"""
    for process in processes:
        environment = ",".join(f'{name}="{value}"' for name, value in process.environment.items())
        yield f"""\
[program:{process.name}]
command={_value(shlex.join(process.command))}
environment={_value(environment)}
priority={process.order}
autostart=false
autorestart=true
startsecs={process.up_seconds}
startretries=1000000
stopsignal={process.stop_signal}
stopwaitsecs={process.stop_seconds}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={_beside(home, home.log(process.name))}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""


def _beside(home: Home, path: Path) -> str:
    """Relative to the folder it starts in: supervisor expands %(name)s in paths more than once."""
    return os.path.relpath(path, home.run)


def _value(text: str) -> str:
    # supervisor expands %(name)s, and cuts a value at a comment sign that follows white space
    if re.search(r"\s[;#]|[\r\n]", text):
        raise StackError(f"{text!r} cannot stand in the supervisor's configuration: choose a path without ' ;' or ' #'")
    return text.replace("%", "%%")
