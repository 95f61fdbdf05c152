"""What a worker can tell a doctor: gathered here, judged in services.doctor."""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from packaging.requirements import Requirement

from trinitas_tasks.errors import TrinitasError
from trinitas_tasks.model import utc_now
from trinitas_tasks.services.doctor.facts import Address, Installed, WorkerFacts

if TYPE_CHECKING:
    from trinitas_tasks.runtime import Runtime

DISTRIBUTION: Final = "trinitas-tasks"
OF_CLIENTS: Final = ("celery", "kombu", "redis")
OF_WORKERS: Final = (*OF_CLIENTS, "chromadb", "sqlalchemy", "tantivy", "torch")
"""Libraries of which another version has broken something before."""
PROBE_SECONDS: Final = 2.0
LETTERS: Final = 100
RUNS: Final = 100
LATELY_SECONDS: Final = 3600


def gather(run: Runtime) -> WorkerFacts:
    """The facts; what cannot be told is left out. Never raises for what does not work: it says so."""
    return WorkerFacts(
        **_archive(run), **_full_text(run), **_model(run),
        **_chroma(run.settings.chromadb_host, run.settings.chromadb_port),
        packages=packages(OF_WORKERS),
    )  # fmt: skip


def _archive(run: Runtime) -> dict[str, Any]:
    try:
        return {
            "archive": run.archive.facts(),
            "memories": {each: sum(run.archive.stats(each).by_type.values()) for each in run.archive.personas()},
            "dead_letters": len(run.archive.dead(LETTERS)),
            **_compared(run, utc_now()),
        }
    except TrinitasError as error:
        return {"archive_error": str(error)}


def _full_text(run: Runtime) -> dict[str, Any]:
    try:
        lag = run.fulltext.lag()
    except TrinitasError as error:
        return {"fulltext_error": str(error)}
    return {"fulltext_behind": lag.behind, "fulltext_memories": lag.documents}


def _compared(run: Runtime, now: datetime) -> dict[str, Any]:
    runs = [(each, (now - each.started).total_seconds()) for each in run.archive.runs("reconcile", RUNS)]
    found: dict[str, int] = {}
    for each, seconds in runs:
        for kind, count in each.detail.items():
            if seconds < LATELY_SECONDS and isinstance(count, int):
                found[kind] = found.get(kind, 0) + count
    return {"compared_seconds": runs[0][1] if runs else None, "differences": found}


def _model(run: Runtime) -> dict[str, Any]:
    """Of the usual one and those that personas have of their own."""
    try:
        names = [run.embedder.name]  # loaded, so verified
    except TrinitasError as error:
        return {"model_error": str(error)}
    try:
        models = run.models
        names += sorted({f"{models.of(persona).name} of {persona}" for persona in models.own})
    except TrinitasError as error:
        return {"model_error": f"of a persona: {error}"}
    # the shipped ones have checksums of their own, a folder has that of the settings or the definition
    chosen = {run.usual, *models.own.values()}
    unchecked = any(Path(each.model).expanduser().is_dir() and each.sha256 is None for each in chosen)
    return {"model": ", ".join(names), "model_checked": not unchecked}


def _chroma(host: str, port: int) -> dict[str, Any]:
    found: dict[str, Any] = {"chroma_client": packages(["chromadb"]).get("chromadb", (None,))[0]}
    try:
        found["chroma"] = address(host, port, answers=lambda other: bool(chroma_version(other, port)))
        found["chroma_server"] = chroma_version(host, port)
    except OSError as error:
        found["chroma_error"] = f"Chroma at {host}:{port}: {error}"
    return found


def chroma_version(host: str, port: int) -> str:
    """What the server says of itself. Raises: OSError."""
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/api/v2/version")
        return str(json.loads(connection.getresponse().read()))
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"no answer of Chroma's: {error}") from error
    finally:
        connection.close()


def address(host: str, port: int, *, password: bool = False, answers: Callable[[str], bool]) -> Address:
    """Where a server is. ``answers`` tells whether it does so without a password at another address of this machine.

    Raises: OSError where the host has no address.
    """
    found = {ipaddress.ip_address(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    local = all(each.is_loopback for each in found)
    elsewhere = None
    if local and (outer := outer_address()):
        try:
            elsewhere = f"{outer}:{port}" if answers(outer) else None
        except OSError:
            elsewhere = None
    public = any(each.is_global for each in found)
    return Address(where=f"{host}:{port}", local=local, public=public, password=password, elsewhere=elsewhere)


def outer_address() -> str | None:
    """This machine's address as others see it, if there is one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address of nobody (RFC 5737): nothing is sent
        except OSError:
            return None
        return str(probe.getsockname()[0])


def packages(names: Sequence[str]) -> Installed:
    """Of the libraries that are installed: the version, and the versions that this package asks for."""
    try:
        wanted = {each.name: str(each.specifier) for each in map(Requirement, metadata.requires(DISTRIBUTION) or ())}
    except metadata.PackageNotFoundError:  # run from its sources
        wanted = {}
    found = {}
    for name in names:
        try:
            found[name] = (metadata.version(name), wanted.get(name, ""))
        except metadata.PackageNotFoundError:
            continue
    return found
