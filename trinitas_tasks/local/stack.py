"""The embedded stack of one home: start it, look at it, stop it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from datetime import datetime

import psutil

from trinitas_tasks.errors import StackError
from trinitas_tasks.local import marks, probes, processes, supervision
from trinitas_tasks.local.layout import Home, write_private
from trinitas_tasks.local.plan import Options, Plan, configured_redis, plan
from trinitas_tasks.local.processes import SERVERS
from trinitas_tasks.local.readiness import LOOK_SECONDS, Start
from trinitas_tasks.local.records import Record, Secrets
from trinitas_tasks.local.supervision import DEAD, Info, Supervisor
from trinitas_tasks.local.switch import settle
from trinitas_tasks.local.watcher import Quiet, Watcher
from trinitas_tasks.settings import Settings, hide_password

UP_SECONDS = 180.0
STOP_SECONDS = 20.0
"""A little more than the supervisor grants each process before it kills it."""
UNLOCK_SECONDS = 60.0
ENDING_SECONDS = 2.0
"""How long a supervisor that answers no more may take to be gone."""


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process; ``pid`` and ``uptime_seconds`` are None while it does not live."""

    name: str
    state: str
    pid: int | None
    uptime_seconds: int | None
    address: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """What runs in a home. ``leftovers`` are processes whose supervisor is gone: `up` and `down` end them."""

    home: str
    running: bool
    complete: bool = False
    """Whether every process runs."""
    version: str | None = None
    pid: int | None = None
    started: datetime | None = None
    redis: str | None = None
    chroma: str | None = None
    flower: str | None = None
    processes: tuple[ProcessStatus, ...] = ()
    leftovers: tuple[int, ...] = ()


class Stack:
    """The stack in ``settings.home``. All methods raise StackError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.home = Home.at(settings.home)
        self._redis_url = configured_redis(settings, self.home)

    def up(
        self,
        options: Options | None = None,
        *,
        watcher: Watcher | None = None,
        deadline_seconds: float = UP_SECONDS,
    ) -> bool:
        """Start what does not run and return when all of it works; False if all of it ran already.

        A stack that cannot be started is stopped again before the error is raised.
        """
        watcher, options = watcher or Quiet(), options or Options()
        with self.home.lock():
            record = self._living()
            if record is not None:
                _check_same(options, record, self.home)
                return self._complete(record, watcher, deadline_seconds)
            self._clear(watcher)
            self._settle()
            try:
                return self._complete(self._launch(options), watcher, deadline_seconds)
            except BaseException:
                self._stop(watcher)
                raise

    def down(self, *, watcher: Watcher | None = None) -> bool:
        """Stop everything and wait until it is gone; False if nothing ran."""
        watcher = watcher or Quiet()
        if not self.home.run.is_dir():
            return self._clear(watcher)
        broken_off: list[bool] = []
        with self.home.lock(UNLOCK_SECONDS, meanwhile=lambda: broken_off.append(self._break_off())):
            return self._stop(watcher) or any(broken_off)

    def kill(self) -> None:
        """End every process of this home at once, without asking."""
        marks.end(marks.marked(self.home), grace_seconds=0.0, look=Quiet().waiting)
        self._forget()

    def status(self) -> Status:
        record = self._living()
        found = None if record is None else self._processes(record)
        if record is None or found is None:
            return Status(str(self.home.path), False, leftovers=tuple(each.pid for each in marks.marked(self.home)))
        shown = tuple(
            ProcessStatus(
                name=name,
                state=found[name].state,
                pid=found[name].pid or None,
                uptime_seconds=found[name].now - found[name].started if found[name].pid else None,
                address=_address(name, record),
            )
            for name in record.processes
        )
        return Status(
            home=str(self.home.path),
            running=True,
            complete=all(each.state == "RUNNING" for each in shown),
            version=record.version,
            pid=record.pid,
            started=record.started,
            redis=hide_password(record.redis_url),
            chroma=f"http://{record.chromadb_host}:{record.chromadb_port}",
            flower=record.flower.url if record.flower else None,
            processes=shown,
        )

    def _processes(self, record: Record) -> dict[str, Info] | None:
        """None where the supervisor ended while it was asked. Raises: StackError."""
        try:
            return self._supervisor(record).processes()
        except StackError:
            until = time.monotonic() + ENDING_SECONDS
            while self._living() is not None:  # a killed process closes its connections a moment before it is gone
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)
            return None

    def _living(self) -> Record | None:
        """The record, if the supervisor that it names lives and is this home's (pids are used again)."""
        record = Record.read(self.home)
        if record is None or record.pid is None:
            return None
        try:
            process = psutil.Process(record.pid)
            ours = process.environ().get(marks.MARK) == str(self.home.path)
            ours = ours and str(self.home.supervisor_conf) in process.cmdline()
        except (psutil.Error, OSError):
            return None
        return record if ours and not marks.is_gone(process) else None

    def _break_off(self) -> bool:
        """Take the supervisor from an `up` that still waits for it: it gives up, and lets go of the home."""
        record = self._living()
        if record is not None:
            with contextlib.suppress(StackError):
                self._supervisor(record).shutdown()
        return record is not None

    def _supervisor(self, record: Record) -> Supervisor:
        return Supervisor(record.socket, Secrets.read(self.home).supervisor_password)

    def _settle(self) -> None:
        """A restore that was broken off comes to its end before anybody sees what it left."""
        archive = self._settings.archive_file()
        if archive is not None:
            with self.home.usable():
                settle(archive)

    def _launch(self, options: Options) -> Record:
        self.home.prepare(self._settings.chroma_folder())
        planned = plan(self._settings, self.home, options, self._redis_url)
        record = planned.record
        if "valkey" not in record.processes and not probes.redis_answers(record.redis_url):
            raise StackError(
                f"REDIS_URL or REDIS_HOST names {hide_password(record.redis_url)}, which does not answer: "
                "start it, or unset them and a private Valkey is used"
            )
        self._write(planned)
        supervision.launch(self.home, planned.environment)
        record = record.model_copy(update={"pid": self._supervisor(record).pid()})
        record.write(self.home)
        return record

    def _write(self, planned: Plan) -> None:
        record, secrets = planned.record, planned.secrets
        secrets.write(self.home)
        with self.home.usable():
            if record.socket.parent != self.home.run:
                record.socket.parent.mkdir(mode=0o700)
            if secrets.redis_port is not None:
                conf = processes.valkey_conf(
                    folder=self.home.valkey, port=secrets.redis_port, password=secrets.valkey_password
                )
                write_private(self.home.valkey_conf, conf)
            conf = supervision.configuration(
                self.home, planned.processes, socket_path=record.socket, password=secrets.supervisor_password
            )
            write_private(self.home.supervisor_conf, conf)
        record.write(self.home)

    def _complete(self, record: Record, watcher: Watcher, deadline_seconds: float) -> bool:
        start = Start(self._settings, record, self._supervisor(record), deadline_seconds)
        servers = [name for name in record.processes if name in SERVERS]
        others = [name for name in record.processes if name not in SERVERS]
        any_started = False
        for names in (servers, others):
            if start.start(names):
                any_started = True
                start.wait_ready(names, watcher)
        return any_started

    def _stop(self, watcher: Watcher) -> bool:
        """Stop what runs, end what is left over, and take the record away. The lock is held."""
        record = self._living()
        if record is not None:
            with contextlib.suppress(StackError):
                self._stop_gracefully(record, watcher)
        return self._clear(watcher) or record is not None

    def _stop_gracefully(self, record: Record, watcher: Watcher) -> None:
        supervisor = self._supervisor(record)
        others = {name for name in record.processes if name not in SERVERS}
        for name in others:
            supervisor.stop(name)
        ends = time.monotonic() + STOP_SECONDS
        while others and time.monotonic() < ends:
            watcher.waiting(sorted(others))
            time.sleep(LOOK_SECONDS)
            found = supervisor.processes()
            others = {name for name in others if found[name].state not in DEAD}
        supervisor.shutdown()
        ends = time.monotonic() + 2 * STOP_SECONDS
        while self._living() is not None and time.monotonic() < ends:
            watcher.waiting([name for name in SERVERS if name in record.processes])
            time.sleep(LOOK_SECONDS)

    def _clear(self, watcher: Watcher) -> bool:
        """End the processes of a supervisor that is gone; returns whether there were any."""
        left = marks.marked(self.home)
        marks.end(left, grace_seconds=STOP_SECONDS, look=watcher.waiting)
        self._forget()
        return bool(left)

    def _forget(self) -> None:
        record = Record.read(self.home)
        if record is not None and record.socket.parent != self.home.run:
            record.socket.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                record.socket.parent.rmdir()
        if self.home.run.is_dir():
            with self.home.usable():
                for file in (self.home.record, self.home.supervisor_pid, self.home.run / "supervisor.sock"):
                    file.unlink(missing_ok=True)


def _check_same(options: Options, record: Record, home: Home) -> None:
    """Refuse options that a running stack does not have."""
    redis_port = record.redis_url.rpartition(":")[2].partition("/")[0]
    asked = {
        "--workers": options.workers and "beat" not in record.processes,
        "--flower": options.flower and record.flower is None,
        "--flower-port": options.flower_port and record.flower and options.flower_port != record.flower.port,
        "--redis-port": options.redis_port and str(options.redis_port) != redis_port,
        "--chroma-port": options.chroma_port and options.chroma_port != record.chromadb_port,
    }
    if differing := [option for option, differs in asked.items() if differs]:
        raise StackError(
            f"a stack runs already in {home.path}, but not with this {', '.join(differing)}: run `trinitas down` first"
        )


def _address(name: str, record: Record) -> str | None:
    if name == "valkey":
        return hide_password(record.redis_url)
    if name == "chroma":
        return f"http://{record.chromadb_host}:{record.chromadb_port}"
    if name == "flower" and record.flower is not None:
        return record.flower.url
    return None
