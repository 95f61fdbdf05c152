"""The archives and the vector tiers under contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.contract.archives import MODEL, url_of
from tests.contract.chroma_server import ChromaServer
from trinitas_tasks.tiers.archive.interface import Archive
from trinitas_tasks.tiers.archive.memory import MemoryArchive
from trinitas_tasks.tiers.archive.sql import SqlArchive
from trinitas_tasks.tiers.vectors.chroma import ChromaVectors
from trinitas_tasks.tiers.vectors.interface import VectorTier
from trinitas_tasks.tiers.vectors.memory import MemoryVectors


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A migrated SQLite file, in a folder whose name SQLite must not misread."""
    path = tmp_path / "100% ä b#c" / "archive.db"
    archive = SqlArchive(url_of(path))
    archive.migrate()
    archive.close()
    return path


@pytest.fixture
def sql(database: Path) -> Iterator[SqlArchive]:
    """A SQL archive with the newest schema, impatient with locks."""
    archive = SqlArchive(url_of(database), busy_timeout_ms=300)
    yield archive
    archive.close()


@pytest.fixture(params=["memory", "sql"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    """Every archive in turn."""
    if request.param == "memory":
        yield MemoryArchive()
        return
    made = SqlArchive(url_of(tmp_path / "archive.db"))
    made.migrate()
    yield made
    made.close()


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    """A real Chroma for the whole run (of one xdist worker)."""
    server = ChromaServer(tmp_path_factory.mktemp("chroma"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def chroma(chroma_server: ChromaServer) -> Iterator[ChromaVectors]:
    """A vector tier on the run's Chroma, in a namespace of its own."""
    tier = ChromaVectors(
        "127.0.0.1", chroma_server.port, namespace=f"t{uuid4().hex[:12]}", model=MODEL, deadline_ms=20_000
    )
    yield tier
    tier.close()


@pytest.fixture(params=["memory", "chroma"])
def vectors(request: pytest.FixtureRequest) -> VectorTier:
    """Every vector tier in turn."""
    if request.param == "memory":
        return MemoryVectors()
    tier: VectorTier = request.getfixturevalue("chroma")
    return tier
