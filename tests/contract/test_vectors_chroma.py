"""What Chroma does when its server stalls, dies or loses its files."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from tests.contract.archives import MODEL
from tests.contract.chroma_server import ChromaServer, ids_of, made, put, tier_at
from tests.support import free_port, wait_until
from trinitas_tasks.errors import DeadlineExceeded, Unavailable
from trinitas_tasks.tiers.breaker import Breaker
from trinitas_tasks.tiers.vectors.chroma import ChromaVectors
from trinitas_tasks.tiers.vectors.interface import VectorTier
from trinitas_tasks.tiers.vectors.spaces import collection_name

CALLS: dict[str, Callable[[VectorTier], object]] = {
    "ping": lambda tier: tier.ping(),
    "query": lambda tier: tier.query("athena", made(1)[0], 1),
    "upsert": lambda tier: tier.upsert("athena", ["x"], made(1), [1]),
    "delete": lambda tier: tier.delete("athena", ["x"]),
    "count": lambda tier: tier.count("athena"),
    "versions": lambda tier: tier.versions("athena", ["x"]),
    "listed": lambda tier: tier.listed("athena", 0, 1),
    "verify": lambda tier: tier.verify("athena", ["x"], made(1)),
    "clear": lambda tier: tier.clear("athena"),
    "drop": lambda tier: tier.drop("athena"),
    "rebuild": lambda tier: tier.spare().clear("athena"),
}


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ChromaServer]:
    """A server that the test may end."""
    server = ChromaServer(tmp_path / "chroma")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_a_stalled_server_costs_no_more_than_the_deadline(
    chroma_server: ChromaServer, call: Callable[[VectorTier], object]
) -> None:
    with tier_at(chroma_server.port, deadline_ms=400) as never_connected, tier_at(chroma_server.port) as connected:
        put(connected, "athena", ["m1"], made(1))
        connected._connection.deadline_seconds = connected._connection._query_seconds = 0.4
        with chroma_server.paused():
            for tier in (never_connected, connected):
                began = time.monotonic()
                with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.4 s") as caught:
                    call(tier)
                assert time.monotonic() - began < 2
                assert caught.value.__cause__ is not None
        connected._connection.deadline_seconds = 20
        assert connected.count("athena") == 1


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_without_a_server_a_call_fails_at_once(call: Callable[[VectorTier], object]) -> None:
    with tier_at(free_port()) as tier:
        began = time.monotonic()
        with pytest.raises(Unavailable, match="refused; does the server run"):
            call(tier)
        assert time.monotonic() - began < 2


def test_a_server_that_accepts_nobody_costs_no_more_than_the_deadline() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with tier_at(full.getsockname()[1], deadline_ms=300) as tier:
            for _ in range(3):
                began = time.monotonic()
                with pytest.raises(DeadlineExceeded):
                    tier.count("athena")
                assert time.monotonic() - began < 2


def test_vectors_survive_a_killed_server(own_server: ChromaServer) -> None:
    with tier_at(own_server.port) as tier:
        put(tier, "athena", ["m1", "m2"], made(2))
        own_server.stop()
        with pytest.raises(Unavailable):
            tier.query("athena", made(1)[0], 1)
        own_server.start()
        assert ids_of(tier, "athena", made(2)[1], 1) == ["m2"]


def test_a_server_that_lost_its_files_is_empty_and_fills_again(own_server: ChromaServer) -> None:
    with tier_at(own_server.port) as tier:
        for persona in ("queried", "counted", "deleted", "stored"):
            put(tier, persona, ["m1"], made(1))
        own_server.stop()
        shutil.rmtree(own_server.folder)
        own_server.start()
        assert tier.query("queried", made(1)[0], 1) == []
        assert tier.count("counted") == 0
        tier.delete("deleted", ["m1"])
        put(tier, "stored", ["m2"], made(1))
        assert ids_of(tier, "stored", made(1)[0]) == ["m2"]


def test_one_call_finds_the_server_away_and_the_next_ones_cost_nothing(own_server: ChromaServer) -> None:
    breaker = Breaker("Chroma", retry_seconds=0.05)
    with closing(
        ChromaVectors(
            "127.0.0.1", own_server.port, namespace="own", model=MODEL, deadline_ms=400, query_ms=200, breaker=breaker
        )
    ) as tier:
        wait_until(lambda: not tier.count("nobody"))
        with own_server.paused():
            with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.2 s"):
                tier.query("athena", made(1)[0], 1)
            began = time.monotonic()
            for call in list(CALLS.values())[1:]:
                with pytest.raises(Unavailable, match="tried again every"):
                    call(tier)
            assert time.monotonic() - began < 0.2
        wait_until(lambda: not breaker.is_open)
        breaker.close()


def test_models_never_mix(chroma_server: ChromaServer, chroma: ChromaVectors) -> None:
    put(chroma, "athena", ["m1"], made(1))
    with tier_at(chroma_server.port, model="org/other model:7") as other:
        put(other, "athena", ["m1"], np.ones((1, 3), np.float32))
        assert ids_of(other, "athena", np.ones(3, np.float32)) == ["m1"]
    assert chroma.count("athena") == 1


def test_asking_makes_no_collection(own_server: ChromaServer) -> None:
    with tier_at(own_server.port) as tier:
        tier.query("athena", made(1)[0], 1)
        tier.count("athena")
        tier.delete("athena", ["m1"])
        assert tier._connection.api.count_collections() == 0


def test_a_refused_vector_is_unavailable_with_the_reason(chroma: ChromaVectors) -> None:
    put(chroma, "athena", ["m1"], made(1))
    with pytest.raises(Unavailable, match="dimension of 8, got 3"):
        put(chroma, "athena", ["m2"], np.ones((1, 3), np.float32))
    with pytest.raises(Unavailable, match="dimension of 8, got 3"):
        chroma.query("athena", np.ones(3, np.float32), 1)


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (200, b"{}"), (404, b"?"), (500, b"{}"), (302, b"")])
def test_another_server_on_the_port_is_unavailable(status: int, body: bytes) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        with tier_at(server.server_port) as tier:
            for call in list(CALLS.values())[:2]:
                with pytest.raises(Unavailable, match="Chroma at"):
                    call(tier)
        server.shutdown()
        thread.join()


def test_collection_names_are_valid_and_differ() -> None:
    asked = [
        (namespace, persona, model)
        for namespace in ("a" * 32, "trinitas", "trinitas-a")
        for persona in ("a", "a-b", "A-b", "a-a", "Z" * 64)
        for model in ("all-MiniLM-L6-v2", "org/all-MiniLM-L6-v2", "..", "模型", "m" * 300)
    ]
    names = [collection_name(*each) for each in asked]
    assert len(set(names)) == len(asked)
    assert all(3 <= len(name) <= 512 and ".." not in name for name in names)
    assert all(name.isascii() and name[0].isalnum() and name[-1].isalnum() for name in names)
