"""Servers and namespaces for every test."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import settings

from tests.support import Valkey

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("thorough", max_examples=2000, deadline=None)
"""``--hypothesis-profile ci`` judges a commit by the same examples each time, ``thorough`` looks for new ones."""


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A real Valkey for the whole run (of one xdist worker)."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(valkey: Valkey) -> str:
    """Where the run's Valkey is, with its password."""
    return valkey.url


@pytest.fixture
def namespace(valkey: Valkey) -> Iterator[str]:
    """A namespace of the test's own; what was written outside of it fails the test."""
    name = f"t{uuid4().hex[:12]}"
    yield name
    with valkey.client() as redis:
        keys = list(redis.scan_iter(count=1000))
        if keys:
            redis.delete(*keys)
    stray = [key for key in keys if not key.startswith(f"{name}:")]
    assert not stray, f"keys without an owner: {stray[:10]}"
