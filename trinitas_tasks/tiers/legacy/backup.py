"""A copy of the files of a store of version 3.5, with their checksums."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

from trinitas_tasks.errors import Unavailable
from trinitas_tasks.tiers.legacy.layout import parts_of

MANIFEST: Final = "manifest.json"
BLOCK: Final = 1 << 20
NEW: Final = ".new"
"""Ends the name of a file that is being written: one that a killed command left is written anew."""


def files_of(base: Path, parts: Collection[str] | None = None) -> list[Path]:
    """All files that belong to the store, or to these parts of it. Raises: OSError."""
    meant = [part for part in parts_of(base) if parts is None or part.name in parts]
    return list(dict.fromkeys(file for part in meant for file in part.files))


def keep(
    base: Path, target: Path, progress: Callable[[int], None], parts: Collection[str] | None = None
) -> dict[str, Any]:
    """Copy all files of the store, or of these parts of it, into a folder; what is there in this state stays.

    Returns the manifest: of each file its size, time of change and SHA-256. ``progress`` is told how many more bytes
    are done. Raises: Unavailable where a file changes meanwhile, the disk is full, or the copy is not what was read.
    """
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    manifest = _read(target)
    try:
        for file in files_of(base, parts):
            name = file.relative_to(base).as_posix()
            stat = file.stat()
            known = manifest.get(name, {})
            copy = target / name
            if (known.get("bytes"), known.get("mtime_ns")) != (stat.st_size, stat.st_mtime_ns) or not copy.exists():
                manifest[name] = {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": _copy(file, copy)}
                _write(target, manifest)
            progress(stat.st_size)
    except OSError as error:
        raise Unavailable(f"{base} cannot be backed up in {target}: {error}") from error
    return manifest


def _copy(file: Path, target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = file.stat()
    scratch = target.with_name(target.name + NEW)
    shutil.copyfile(file, scratch)
    digest = _digest(scratch)
    after = file.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or _digest(file) != digest:
        scratch.unlink()
        raise Unavailable(f"{file} changes while it is backed up: end the program that writes it, then try again")
    scratch.replace(target)
    return digest


def _digest(file: Path) -> str:
    found = hashlib.sha256()
    with file.open("rb") as data:
        while block := data.read(BLOCK):
            found.update(block)
    return found.hexdigest()


def _read(target: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _write(target: Path, manifest: dict[str, Any]) -> None:
    scratch = target / (MANIFEST + NEW)
    scratch.write_text(json.dumps(manifest, ensure_ascii=False, indent=1), encoding="utf-8")
    scratch.replace(target / MANIFEST)
