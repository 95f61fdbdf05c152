"""What every vector tier promises, and what Chroma does when its server stalls, dies or loses its files."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.contract.archives import MODEL
from tests.contract.chroma_server import ChromaServer
from tests.support import free_port
from trinitas_tasks.errors import DeadlineExceeded, Unavailable
from trinitas_tasks.tiers.vectors.chroma import CHUNK, ChromaVectors, collection_name
from trinitas_tasks.tiers.vectors.interface import VectorTier

DIM = 8
CALLS: list[Callable[[VectorTier], object]] = [
    lambda tier: tier.ping(),
    lambda tier: tier.query("athena", made(1)[0], 1),
    lambda tier: tier.upsert("athena", ["x"], made(1)),
    lambda tier: tier.delete("athena", ["x"]),
    lambda tier: tier.count("athena"),
]


def made(count: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)


def ids_of(tier: VectorTier, persona: str, vector: NDArray[np.float32], limit: int = 10) -> list[str]:
    return [near.id for near in tier.query(persona, vector, limit)]


def test_the_most_similar_come_first_with_their_cosine(vectors: VectorTier) -> None:
    stored = np.array([[1, 0], [0, 2], [3, 3], [-1, 0]], dtype=np.float32)
    vectors.upsert("athena", ["east", "north", "between", "west"], stored)
    near = vectors.query("athena", np.array([10, 1], dtype=np.float32), 3)
    assert [each.id for each in near] == ["east", "between", "north"]
    assert [each.similarity for each in near] == pytest.approx([0.99504, 0.77396, 0.09950], abs=1e-4)
    [opposite] = [each for each in vectors.query("athena", stored[0], 4) if each.id == "west"]
    assert opposite.similarity == pytest.approx(-1)


def test_an_unknown_persona_has_nothing_and_gets_nothing(vectors: VectorTier) -> None:
    assert vectors.query("nobody", made(1)[0], 10) == []
    assert vectors.count("nobody") == 0
    vectors.delete("nobody", ["m1"])


def test_a_known_id_is_overwritten(vectors: VectorTier) -> None:
    first, second = made(2)
    vectors.upsert("athena", ["m1"], first[np.newaxis])
    vectors.upsert("athena", ["m1", "m2", "m1"], np.stack([first, first, second]))
    assert vectors.count("athena") == 2
    assert {near.id: near.similarity for near in vectors.query("athena", second, 2)}["m1"] == pytest.approx(1, abs=1e-5)


def test_deleted_ids_are_not_found(vectors: VectorTier) -> None:
    stored = made(5)
    vectors.upsert("athena", [f"m{n}" for n in range(5)], stored)
    vectors.delete("athena", ["m1", "m3", "unknown", "m1"])
    assert vectors.count("athena") == 3
    assert set(ids_of(vectors, "athena", stored[1])) == {"m0", "m2", "m4"}
    vectors.delete("athena", ["m0", "m2", "m4"])
    assert ids_of(vectors, "athena", stored[1]) == []


@pytest.mark.parametrize("other", ["Athena", "athena-b", "a", "athena_x", "a" * 64, "A" + "a" * 63])
def test_personas_never_mix(vectors: VectorTier, other: str) -> None:
    one, two = made(2)
    vectors.upsert("athena", ["m1", "mine"], np.stack([one, one]))
    vectors.upsert(other, ["m1"], two[np.newaxis])
    assert ids_of(vectors, other, one) == ["m1"]
    vectors.delete(other, ["m1", "mine"])
    assert sorted(ids_of(vectors, "athena", two)) == ["m1", "mine"]
    assert vectors.count(other) == 0


def test_a_limit_is_kept_whatever_is_there(vectors: VectorTier) -> None:
    stored = made(1000)
    ids = [f"m{n}" for n in range(1000)]
    vectors.upsert("athena", ids, stored)
    assert len(ids) > 2 * CHUNK
    assert vectors.count("athena") == 1000
    assert ids_of(vectors, "athena", stored[7], 1) == ["m7"]
    assert len(set(ids_of(vectors, "athena", stored[7], 500))) == 500
    assert len(set(ids_of(vectors, "athena", stored[7], 1000))) == 1000
    vectors.delete("athena", ids[:900])
    assert set(ids_of(vectors, "athena", stored[7], 1000)) == set(ids[900:])


def test_nothing_to_do_is_done(vectors: VectorTier) -> None:
    vectors.ping()
    vectors.upsert("athena", [], np.empty((0, DIM), dtype=np.float32))
    vectors.delete("athena", [])
    assert vectors.count("athena") == 0


def test_any_id_of_a_memory_is_an_id(vectors: VectorTier) -> None:
    ids = ["a", "a/b:c@d+e.f_g-h", "x" * 128, "0191e7a4-0000-7000-8000-000000000000"]
    vectors.upsert("athena", ids, made(4))
    assert sorted(ids_of(vectors, "athena", made(1)[0])) == sorted(ids)


def test_vectors_of_zeros_do_no_harm(vectors: VectorTier) -> None:
    vectors.upsert("athena", ["zero", "one"], np.stack([np.zeros(DIM, np.float32), made(1)[0]]))
    near = vectors.query("athena", made(1)[0], 2)
    assert [each.id for each in near] == ["one", "zero"]
    assert near[1].similarity == pytest.approx(0)


def test_threads_share_a_tier(vectors: VectorTier) -> None:
    stored = made(80)

    def work(thread: int) -> None:
        mine = range(thread * 10, thread * 10 + 10)
        for n in mine:
            vectors.upsert(f"p{thread % 2}", [f"m{n}"], stored[n][np.newaxis])
            assert f"m{n}" in ids_of(vectors, f"p{thread % 2}", stored[n], 100)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert (vectors.count("p0"), vectors.count("p1")) == (40, 40)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ChromaServer]:
    """A server that the test may end."""
    server = ChromaServer(tmp_path / "chroma")
    server.start()
    yield server
    server.stop()


@contextmanager
def tier_at(port: int, *, deadline_ms: int = 20_000, model: str = MODEL) -> Iterator[ChromaVectors]:
    tier = ChromaVectors("127.0.0.1", port, namespace="own", model=model, deadline_ms=deadline_ms)
    yield tier
    tier.close()


@pytest.mark.parametrize("call", CALLS, ids=["ping", "query", "upsert", "delete", "count"])
def test_a_stalled_server_costs_no_more_than_the_deadline(
    chroma_server: ChromaServer, call: Callable[[VectorTier], object]
) -> None:
    with tier_at(chroma_server.port, deadline_ms=400) as never_connected, tier_at(chroma_server.port) as connected:
        connected.upsert("athena", ["m1"], made(1))
        connected._deadline_seconds = 0.4
        with chroma_server.paused():
            for tier in (never_connected, connected):
                began = time.monotonic()
                with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.4 s") as caught:
                    call(tier)
                assert time.monotonic() - began < 2
                assert caught.value.__cause__ is not None
        connected._deadline_seconds = 20
        assert connected.count("athena") == 1


@pytest.mark.parametrize("call", CALLS, ids=["ping", "query", "upsert", "delete", "count"])
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
        tier.upsert("athena", ["m1", "m2"], made(2))
        own_server.stop()
        with pytest.raises(Unavailable):
            tier.query("athena", made(1)[0], 1)
        own_server.start()
        assert ids_of(tier, "athena", made(2)[1], 1) == ["m2"]


def test_a_server_that_lost_its_files_is_empty_and_fills_again(own_server: ChromaServer) -> None:
    with tier_at(own_server.port) as tier:
        for persona in ("queried", "counted", "deleted", "stored"):
            tier.upsert(persona, ["m1"], made(1))
        own_server.stop()
        shutil.rmtree(own_server.folder)
        own_server.start()
        assert tier.query("queried", made(1)[0], 1) == []
        assert tier.count("counted") == 0
        tier.delete("deleted", ["m1"])
        tier.upsert("stored", ["m2"], made(1))
        assert ids_of(tier, "stored", made(1)[0]) == ["m2"]


def test_models_never_mix(chroma_server: ChromaServer, chroma: ChromaVectors) -> None:
    chroma.upsert("athena", ["m1"], made(1))
    with tier_at(chroma_server.port, model="org/other model:7") as other:
        other.upsert("athena", ["m1"], np.ones((1, 3), np.float32))
        assert ids_of(other, "athena", np.ones(3, np.float32)) == ["m1"]
    assert chroma.count("athena") == 1


def test_asking_makes_no_collection(own_server: ChromaServer) -> None:
    with tier_at(own_server.port) as tier:
        tier.query("athena", made(1)[0], 1)
        tier.count("athena")
        tier.delete("athena", ["m1"])
        assert tier._connected().count_collections() == 0


def test_a_refused_vector_is_unavailable_with_the_reason(chroma: ChromaVectors) -> None:
    chroma.upsert("athena", ["m1"], made(1))
    with pytest.raises(Unavailable, match="dimension of 8, got 3"):
        chroma.upsert("athena", ["m2"], np.ones((1, 3), np.float32))
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
            for call in CALLS[:2]:
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
