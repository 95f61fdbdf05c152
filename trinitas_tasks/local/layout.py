"""The data directory of an embedded stack: what lies where, who may read it, and which format it has."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from trinitas_tasks.errors import StackError
from trinitas_tasks.settings import STACK_FILE

FORMAT = 1
"""Number of the layout below; a higher one on disk was written by a newer version."""

MIN_FREE_MB = 100


@dataclass(frozen=True, slots=True)
class Home:
    """One data directory; all paths are absolute."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> Home:
        return cls(path.expanduser().resolve())

    @property
    def run(self) -> Path:
        return self.record.parent

    @property
    def record(self) -> Path:
        return self.path / STACK_FILE

    @property
    def secrets(self) -> Path:
        return self.run / "secrets.json"

    @property
    def supervisor_conf(self) -> Path:
        return self.run / "supervisord.conf"

    @property
    def supervisor_pid(self) -> Path:
        return self.run / "supervisord.pid"

    @property
    def valkey_conf(self) -> Path:
        return self.run / "valkey.conf"

    @property
    def beat_schedule(self) -> Path:
        return self.run / "beat-schedule"

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def prepare(self, chroma: Path) -> None:
        """Make the folders. Raises: StackError for a newer format, a full disk, a refusal."""
        with self.usable():
            self._check_format()
            for folder in (self.run, self.logs, self.valkey, chroma):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.run.chmod(0o700)
            free_mb = shutil.disk_usage(self.path).free // 2**20
        if free_mb < MIN_FREE_MB:
            raise StackError(f"{self.path}: only {free_mb} MB free on this disk, {MIN_FREE_MB} MB are needed")

    def _check_format(self) -> None:
        file = self.path / "version"
        if not file.exists():
            write_private(file, f"{FORMAT}\n")
        found = file.read_text(encoding="utf-8", errors="replace").strip()
        if not found.isdecimal():
            raise StackError(f"{file}: {found[:40]!r} is not the number of a data format; is this the right --home?")
        if int(found) > FORMAT:
            raise StackError(
                f"{self.path} was written by a newer version (data format {found}, this one knows {FORMAT}): "
                "upgrade trinitas-tasks, or choose another --home"
            )

    @contextmanager
    def usable(self) -> Iterator[None]:
        """Map what the file system refuses."""
        try:
            yield
        except OSError as error:
            raise StackError(
                f"{self.path} cannot be the data directory: {error.strerror or error}"
                f"{f' ({error.filename})' if error.filename else ''}; choose another with --home"
            ) from error

    @contextmanager
    def lock(self, wait_seconds: float = 0.0, *, meanwhile: Callable[[], object] | None = None) -> Iterator[None]:
        """Hold this home alone; a crash lets go of it. Raises: StackError naming who holds it after the wait."""
        with self.usable():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.run.mkdir(mode=0o700, exist_ok=True)
            handle = os.fdopen(os.open(self.run / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+")
        with handle:
            ends = time.monotonic() + wait_seconds
            while not _locked(handle.fileno()):
                if time.monotonic() >= ends:
                    holder = handle.read().strip() or "unknown"
                    raise StackError(f"another `trinitas` command is at work in {self.path} (process {holder})")
                if meanwhile is not None:
                    meanwhile()
                time.sleep(0.1)
            with suppress(OSError):  # of a full disk: then it is not told who holds it
                os.ftruncate(handle.fileno(), 0)
                os.pwrite(handle.fileno(), f"{os.getpid()}\n".encode(), 0)
            yield


def write_private(path: Path, text: str) -> None:
    """Replace a file at once and for good; only its owner may read it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
