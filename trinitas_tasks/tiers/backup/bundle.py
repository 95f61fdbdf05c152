"""The file of a backup: a gzipped tar whose first member is the manifest, with size and checksum of all others.

It is written elsewhere, read back whole, and only then given its name. What reads it trusts nothing: a file that
was cut off or altered is refused before any of it is used.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trinitas_tasks.errors import BackupError
from trinitas_tasks.model import complaint

VERSION: Final = 1
"""Of the format; a higher one was written by a newer version."""
MANIFEST: Final = "manifest.json"
ARCHIVE, UNARCHIVED = "archive.db", "unarchived.jsonl"
"""The members: a copy of the archive, and what was not in it yet."""
MEMBERS: Final = (ARCHIVE, UNARCHIVED)
MB: Final = 1 << 20
CHUNK: Final = 1 << 20
MANIFEST_BYTES: Final = 1 << 20
LEVEL: Final = 3
"""Vectors hardly compress: higher levels take long for little."""

Watch = Callable[[str, int, int], None]
"""Told what is being done, and how many bytes of how many; what it raises breaks off."""


class Member(BaseModel):
    """One file within a backup."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """What a backup holds. ``began``: what was acknowledged before is in it; ``highest`` is the highest version of all
    that is, ``change`` the archive's last change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trinitas: Literal["backup"] = "backup"
    version: int = VERSION
    package: str
    began: datetime
    created: datetime
    revision: str
    models: list[str]
    counts: dict[str, int]
    highest: int
    change: int
    unreadable: int = 0
    members: dict[str, Member] = Field(default_factory=dict)


def write(
    file: Path, manifest: Manifest, members: Mapping[str, Path], *, scratch: Path, level: int, watch: Watch
) -> Manifest:
    """Write a backup of these files; the manifest with their checksums. ``scratch``: where it stands until it is read
    back, on the same disk. Raises: BackupError; there is no backup then."""
    with _explained(f"the backup {file} cannot be written"):
        summed = manifest.model_copy(update={"members": {name: _summed(path) for name, path in members.items()}})
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:
            _write(raw, summed, members, level, watch)
            raw.flush()
            os.fsync(raw.fileno())
    verify(scratch, watch=watch)
    with _explained(f"the backup {file} cannot be written"):
        scratch.replace(file)
        _sync(file.parent)
    return summed


def verify(file: Path, *, watch: Watch) -> Manifest:
    """Read a backup to its end; its manifest. Raises: BackupError for one that is torn, altered or newer."""
    return _read(file, None, watch)


def extract(file: Path, folder: Path, *, watch: Watch) -> Manifest:
    """As verify, and put the members into a folder. What is there after an error is not to be used."""
    return _read(file, folder, watch)


def _write(raw: IO[bytes], manifest: Manifest, members: Mapping[str, Path], level: int, watch: Watch) -> None:
    total, done = sum(each.size for each in manifest.members.values()), 0
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        text = manifest.model_dump_json(indent=2).encode()
        tar.addfile(_entry(MANIFEST, len(text), manifest), io.BytesIO(text))
        for name, path in members.items():
            with path.open("rb") as content:
                size = manifest.members[name].size
                tar.addfile(_entry(name, size, manifest), _Told(content, done, total, watch))
                done += size


class _Told:
    """A file that tells how far it was read, after so many bytes of others."""

    def __init__(self, file: IO[bytes], before: int, total: int, watch: Watch) -> None:
        self._file, self._read, self._total, self._watch = file, before, total, watch

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._read += len(data)
        self._watch("packing", self._read, self._total)
        return data


def _entry(name: str, size: int, manifest: Manifest) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o600, int(manifest.created.timestamp())
    return entry


def _read(file: Path, folder: Path | None, watch: Watch) -> Manifest:
    with _explained(f"the backup {file} cannot be used"), file.open("rb") as raw, gzip.GzipFile(fileobj=raw) as packed:
        stream = _Stream(packed)
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            entries = iter(tar)
            manifest = _manifest(tar, next(entries, None))
            total, done = sum(each.size for each in manifest.members.values()), 0
            if folder is not None:
                _check_room(folder, total)
            left = dict(manifest.members)
            for entry in entries:
                expected = left.pop(entry.name, None)
                content = tar.extractfile(entry) if entry.isreg() else None
                if expected is None or content is None:
                    raise BackupError(f"the backup {file} is altered: {entry.name} does not belong in it")
                if entry.size != expected.size:
                    raise BackupError(f"its {entry.name} is not as large as its manifest says: it was altered")
                for size in _checked(content, expected, entry.name, folder):
                    watch("checking" if folder is None else "unpacking", done + size, total)
                done += expected.size
            ended = tar.offset
        while stream.read(CHUNK):  # to the end: there gzip compares its own checksum
            pass
    if left:
        raise BackupError(f"the backup {file} is torn: {', '.join(left)} is missing")
    if not stream.has_nothing_behind(ended):
        raise BackupError(f"the backup {file} is altered: something was put behind its end")
    return manifest


class _Stream(io.BufferedIOBase):
    """What is packed, and how it ends."""

    def __init__(self, packed: gzip.GzipFile) -> None:
        self._packed, self._read, self._last = packed, 0, b""

    def read(self, size: int | None = -1, /) -> bytes:
        data = self._packed.read(-1 if size is None else size)
        self._read += len(data)
        self._last = (self._last + data)[-2 * tarfile.RECORDSIZE :]
        return data

    def has_nothing_behind(self, offset: int) -> bool:
        """Whether only so many zeros follow there as a tar ends with."""
        behind = self._read - offset
        return 0 <= behind <= len(self._last) and not any(self._last[len(self._last) - behind :])


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise BackupError(f"{folder} has {free // MB:,} MB free, and what is packed in it takes {size // MB:,} MB")


def _manifest(tar: tarfile.TarFile, entry: tarfile.TarInfo | None) -> Manifest:
    content = tar.extractfile(entry) if entry is not None and entry.name == MANIFEST else None
    if content is None:
        raise BackupError(f"it does not begin with a {MANIFEST}: is it a backup of trinitas?")
    text = content.read(MANIFEST_BYTES)
    found = _Version.model_validate_json(text)
    if found.version > VERSION:
        raise BackupError(f"it has format {found.version}, this version knows {VERSION}: upgrade trinitas-tasks")
    manifest = Manifest.model_validate_json(text)
    if set(manifest.members) != set(MEMBERS):
        raise BackupError(f"its manifest names {', '.join(sorted(manifest.members))}, not {', '.join(MEMBERS)}")
    return manifest


class _Version(BaseModel):
    trinitas: Literal["backup"]
    version: int


def _checked(content: IO[bytes], expected: Member, name: str, folder: Path | None) -> Iterator[int]:
    """How many bytes were read by now. Raises: BackupError where they are not the expected ones."""
    digest, size = hashlib.sha256(), 0
    with _out(folder, name) as out:
        while data := content.read(CHUNK):
            digest.update(data)
            size += len(data)
            out.write(data)
            yield size
        out.flush()
        if folder is not None:
            os.fsync(out.fileno())
    if (size, digest.hexdigest()) != (expected.size, expected.sha256):
        raise BackupError(f"its {name} is not what its manifest says: it was altered")


@contextmanager
def _out(folder: Path | None, name: str) -> Iterator[Any]:
    if folder is None:
        yield _Nowhere()
        return
    descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        yield out


class _Nowhere:
    def write(self, data: bytes) -> None:
        """Forget it."""

    def flush(self) -> None:
        """Nothing to do."""


def _summed(path: Path) -> Member:
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256")
    return Member(size=path.stat().st_size, sha256=digest.hexdigest())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(failed: str) -> Iterator[None]:
    try:
        yield
    except BackupError as error:
        said = str(error)
        raise BackupError(said if said.startswith("the backup") else f"{failed}: {said}") from error
    except ValidationError as error:
        raise BackupError(f"{failed}: its manifest is altered: {complaint(error)}") from error
    except EOFError as error:
        raise BackupError(f"{failed}: it is cut off") from error
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise BackupError(f"{failed}: it is torn or altered, or no backup: {error}") from error
    except OSError as error:
        raise BackupError(f"{failed}: {error.strerror or error}") from error
