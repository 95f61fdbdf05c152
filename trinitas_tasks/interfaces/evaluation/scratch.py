"""A stack of one's own in a temporary folder, gone without a trace when it is no longer needed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from trinitas_tasks.errors import StackError
from trinitas_tasks.local.layout import Home
from trinitas_tasks.local.ports import LOOPBACK
from trinitas_tasks.local.records import Record
from trinitas_tasks.local.stack import Stack
from trinitas_tasks.local.watcher import Watcher
from trinitas_tasks.policy.life import LifeTask
from trinitas_tasks.settings import Settings, load_settings

PREFIX: Final = "trinitas-eval-"
OWNER: Final = "owner"
"""The file that whoever made a scratch folder holds locked."""
PRIVATE: Final[dict[str, Any]] = {
    "redis_url": None,
    "redis_host": None,
    "chromadb_host": LOOPBACK,
    "chromadb_path": None,
    "sqlite_path": None,
    "archive_url": None,
    "spool_path": None,
    "fulltext_path": None,
    "schedule": {task: 0 for task in LifeTask if task is not LifeTask.SWEEP_OUTBOX},
}
"""Nothing of it may lead to anybody's memories, and nothing may become of the documents meanwhile; all other settings
are those in force."""

PATIENCE_MS: Final = 5000
"""How long Redis is waited for: on a busy machine an evaluation rather takes longer than that it is broken off."""


@contextmanager
def scratch(*, watcher: Watcher, overrides: dict[str, Any]) -> Iterator[Settings]:
    """Settings of a stack that runs for as long as this context, in a folder that is removed with it.

    What evaluations that were killed left behind is removed too. Raises: StackError.
    """
    for abandoned in _abandoned():
        _remove(abandoned)
    folder = _made()
    try:
        with _owned(folder):
            Stack(_settings(folder)).up(watcher=_Hasty(watcher))
            record = Record.read(Home.at(folder))
            assert record is not None
            yield _settings(
                folder,
                {
                    **overrides,
                    "redis_timeout_ms": PATIENCE_MS,
                    "redis_url": record.redis_url,
                    "chromadb_host": record.chromadb_host,
                    "chromadb_port": record.chromadb_port,
                },
            )
    finally:
        _remove(folder)


class _Hasty:
    """Asked to end, it ends at once: the orderly end of a stack that was just being started takes long."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._ended: BaseException | None = None

    def ready(self, name: str) -> None:
        """See Watcher."""
        self._watcher.ready(name)

    def waiting(self, names: Sequence[str]) -> None:
        """See Watcher."""
        if self._ended is not None:
            raise self._ended
        try:
            self._watcher.waiting(names)
        except BaseException as ended:
            self._ended = ended
            raise


def _made() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
    except OSError as error:
        raise StackError(f"no temporary folder for the evaluation: {error}; set TMPDIR to another place") from error


def _settings(folder: Path, more: dict[str, Any] | None = None) -> Settings:
    return load_settings(overrides={**PRIVATE, **(more or {}), "home": folder}, stack=False)


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Hold the folder: whoever finds it sees that it is in use, for as long as this process lives."""
    unnamed = folder / f"{OWNER}.{os.getpid()}"
    with unnamed.open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        unnamed.rename(folder / OWNER)  # only now: a folder whose owner is not locked counts as abandoned
        yield


def _abandoned() -> Iterator[Path]:
    """Scratch folders of this user whose makers are dead."""
    for folder in Path(tempfile.gettempdir()).resolve().glob(f"{PREFIX}*"):
        try:
            if folder.lstat().st_uid != os.getuid() or folder.is_symlink():
                continue
            with (folder / OWNER).open() as owner:
                if _is_free(owner):
                    yield folder
        except OSError:  # just being made, or removed
            continue


def _is_free(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(folder: Path) -> None:
    """End what runs there, at once: nothing in it is worth an orderly end."""
    stack = Stack(_settings(folder))
    stack.kill()
    stack.down()  # what the supervisor started again in its last moment
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise StackError(f"{folder} cannot be removed: {error}; it holds nothing that is needed") from error
