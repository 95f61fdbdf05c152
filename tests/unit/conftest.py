"""Clients over stubs, for every unit test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.clients import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    for client in made.closing:
        client.close()
