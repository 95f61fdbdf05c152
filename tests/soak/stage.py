"""The stage of a soak: a private folder, a disk that can be full, a running stack; all of it gone at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.soak.chaos import pid_of
from tests.soak.client import LEASE_SECONDS
from tests.soak.disk import Disk, disk_for
from trinitas_tasks import Settings, load_settings
from trinitas_tasks.errors import StackError
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.settings import GUARDED, environment_name

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a soak happens."""

    folder: Path
    home: Path
    stack: Stack
    disk: Disk

    def settings(self, **overrides: int) -> Settings:
        """The settings of the running stack."""
        return load_settings(
            folder=self.home, overrides={"home": self.home, "lease_seconds": LEASE_SECONDS, **overrides}
        )


@contextlib.contextmanager
def stage(*, disk: str, size_mb: int, keep: bool, say: Say) -> Iterator[Stage]:
    """Set up, and take down whatever happens. ``keep`` leaves the folder, with what was on the disk."""
    folder = Path(tempfile.mkdtemp(prefix="trinitas-soak-"))
    home = folder / "home"
    home.mkdir(mode=0o700)
    made: Disk | None = None
    stack = Stack(load_settings(folder=home, overrides={"home": home, "lease_seconds": LEASE_SECONDS}))
    try:
        made = disk_for(home, disk, size_mb=size_mb, ingest_pid=lambda: pid_of(stack, "ingest"))
        say(f"disk: {made.name}; home: {home}")
        stack.up()
        yield Stage(folder, home, stack, made)
        made.free()
        stack.down()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough
        with contextlib.suppress(StackError):
            stack.kill()  # what is not down yet
        _clear(folder, home, made, keep, say)


def _clear(folder: Path, home: Path, disk: Disk | None, keep: bool, say: Say) -> None:
    if keep:
        shutil.copytree(home, folder / "kept", ignore=shutil.ignore_patterns("*.sock*"), dirs_exist_ok=True)
        say(f"kept: {folder}")
    if disk is not None:
        disk.close()
    shutil.rmtree(home if keep else folder, ignore_errors=True)


def forget_settings() -> None:
    """Take every setting out of the environment: what is broken here must be nobody else's Redis."""
    names = {environment_name(field) for field in Settings.model_fields}
    for name in list(os.environ):
        if name.upper() in names or name.startswith(GUARDED):
            del os.environ[name]
