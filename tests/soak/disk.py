"""A disk that can be full: a file system of the soak's own, or a limit on how far the ingest worker may write."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import psutil

ATTEMPTS = 20
UNMOUNT_SECONDS = 10.0


class Disk(Protocol):
    """Where the home of the stack lies."""

    name: str

    def fill(self) -> None:
        """From now on no room is left. Raises: OSError."""

    def free(self) -> None:
        """As if nothing had been."""

    def close(self) -> None:
        """Take away what was set up; nothing writes there any more."""


class Mounted:
    """A tmpfs on the home: no power cut could test its fsync, but a full one is full for all processes alike.

    It is filled by shrinking it to what is in it: a ballast file would take as much of the machine's memory.
    """

    def __init__(self, home: Path, size_mb: int) -> None:
        self.name = f"a tmpfs of {size_mb} MB on the home, made as small as what is in it"
        self._home = home
        self._bytes = size_mb << 20
        _run("mount", "-t", "tmpfs", "-o", f"size={self._bytes},mode=700", "trinitas-soak", str(home))

    def fill(self) -> None:
        for _ in range(ATTEMPTS):  # it refuses to be smaller than what was written meanwhile
            with contextlib.suppress(OSError):
                self._resize(shutil.disk_usage(self._home).used)
                return
        raise OSError(f"{self._home} could not be made as small as what is in it")

    def free(self) -> None:
        self._resize(self._bytes)

    def close(self) -> None:
        ends = time.monotonic() + UNMOUNT_SECONDS
        while time.monotonic() < ends:
            with contextlib.suppress(OSError):
                _run("umount", str(self._home))
                return
            time.sleep(0.2)
        _run("umount", "--lazy", str(self._home))

    def _resize(self, size: int) -> None:
        _run("mount", "-o", f"remount,size={size}", str(self._home))


class Limited:
    """The ingest worker may not write to files (EFBIG instead of ENOSPC)."""

    name = "RLIMIT_FSIZE on the ingest worker"

    def __init__(self, pid: Callable[[], int | None]) -> None:
        self._pid = pid
        self._limited: psutil.Process | None = None
        self._was = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)

    def fill(self) -> None:
        pid = self._pid()
        if pid is None:
            raise OSError("no ingest worker runs")
        self._limited = psutil.Process(pid)
        self._was = self._limited.rlimit(resource.RLIMIT_FSIZE)
        self._limited.rlimit(resource.RLIMIT_FSIZE, (0, self._was[1]))

    def free(self) -> None:
        if self._limited is not None and self._limited.is_running():
            self._limited.rlimit(resource.RLIMIT_FSIZE, self._was)
        self._limited = None

    def close(self) -> None:
        self.free()


class Plain:
    """A disk that is never full: neither of the others can be had here."""

    name = "none: neither mounting nor limits are allowed here"

    def fill(self) -> None:
        raise OSError(self.name)

    def free(self) -> None:
        pass

    def close(self) -> None:
        pass


def disk_for(home: Path, choice: str, *, size_mb: int, ingest_pid: Callable[[], int | None]) -> Disk:
    """The disk of this choice: "tmpfs", "limit", or "auto", which takes what the machine allows."""
    if choice == "tmpfs" or (choice == "auto" and os.geteuid() == 0):
        try:
            return Mounted(home, size_mb)
        except OSError:
            if choice == "tmpfs":
                raise
    return Limited(ingest_pid) if sys.platform == "linux" else Plain()


def _run(*command: str) -> None:
    """Raises: OSError with what the command said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
