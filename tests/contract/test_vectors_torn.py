"""What is said of torn files in Chroma, and how a rebuild heals them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.contract.chroma_server import ChromaServer, ids_of, made, put, tier_at
from trinitas_tasks.errors import Unavailable
from trinitas_tasks.tiers.vectors.chroma import ChromaVectors
from trinitas_tasks.tiers.vectors.connection import DEATHS
from trinitas_tasks.tiers.vectors.interface import Torn

SIZE = 1100  # above the 1,000 at which Chroma writes an index to its files
STORED = made(SIZE)
IDS = [f"m{n}" for n in range(SIZE)]


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ChromaServer]:
    """A server that the test may break."""
    server = ChromaServer(tmp_path / "chroma")
    server.start()
    yield server
    server.stop()


def gone(file: Path) -> None:
    file.unlink()


def half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def garbage(file: Path) -> None:
    file.write_bytes(np.random.default_rng(3).bytes(file.stat().st_size))


def folder_gone(file: Path) -> None:
    shutil.rmtree(file.parent)


def index_file(server: ChromaServer, persona: str, name: str) -> Path:
    """A file of the persona's index."""
    with closing(sqlite3.connect(server.folder / "chroma.sqlite3")) as database:
        [(folder,)] = database.execute(
            "SELECT segments.id FROM segments JOIN collections ON collections.id = collection"
            " WHERE scope = 'VECTOR' AND name LIKE ?",
            (f"%.{persona}.%",),
        )
    return server.folder / str(folder) / name


def heal(tier: ChromaVectors, persona: str) -> None:
    spare = tier.spare()
    spare.clear(persona)
    tier.clear(persona)
    put(spare, persona, IDS, STORED)
    tier.promote(persona)
    tier.verify(persona, IDS, STORED)
    assert [ids_of(tier, persona, STORED[n], 1) for n in range(0, SIZE, 100)] == [
        [f"m{n}"] for n in range(0, SIZE, 100)
    ]


DAMAGES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "no-vectors": ("data_level0.bin", gone),
    "bad-header": ("header.bin", garbage),
    "half-the-ids": ("index_metadata.pickle", half),
    # these are answered with success, and nothing or the wrong ones found
    "half-the-vectors": ("data_level0.bin", half),
    "no-ids": ("index_metadata.pickle", gone),
    "no-folder": ("header.bin", folder_gone),
}


@pytest.fixture(scope="module")
def torn_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    """A server with a persona for each damage, and one whose files are whole."""
    server = ChromaServer(tmp_path_factory.mktemp("torn") / "chroma")
    server.start()
    with tier_at(server.port) as tier:
        for persona in DAMAGES:
            put(tier, persona, IDS, STORED)
        put(tier, "whole", ["m0"], STORED[:1])
    server.stop()
    for persona, (name, damage) in DAMAGES.items():
        damage(index_file(server, persona, name))
    server.start()  # files are read at the first call after a start
    yield server
    server.stop()


def told(server: ChromaServer, tier: ChromaVectors, persona: str) -> Torn:
    """What verifying says in the end. An index may also end the server, which is then started as its guard does."""
    for _ in range(DEATHS + 1):
        try:
            tier.verify(persona, IDS, STORED)
        except Torn as torn:
            return torn
        except Unavailable:
            assert server.process is not None
            server.process.wait(10)
            server.start()
    raise AssertionError("nothing was said of torn files")


@pytest.mark.parametrize("persona", DAMAGES)
def test_a_torn_index_is_told_by_verifying_and_healed_by_a_rebuild(torn_server: ChromaServer, persona: str) -> None:
    with tier_at(torn_server.port) as tier:
        tier.ping()
        assert not told(torn_server, tier, persona).whole
        tier.verify("whole", ["m0"], STORED[:1])
        heal(tier, persona)


def test_a_search_that_ends_the_server_again_and_again_is_torn(own_server: ChromaServer) -> None:
    with tier_at(own_server.port) as tier:
        put(tier, "athena", IDS, STORED)
        put(tier, "whole", ["m0"], STORED[:1])
        garbage(index_file(own_server, "athena", "data_level0.bin"))
        for died in range(1, DEATHS + 1):
            own_server.stop()
            own_server.start()
            assert ids_of(tier, "whole", STORED[0]) == ["m0"]
            with pytest.raises(Unavailable) as caught:
                tier.query("athena", STORED[0], 10)
            assert isinstance(caught.value, Torn) == (died == DEATHS)
        assert "ended 3 times at query athena" in str(caught.value)
        own_server.stop()
        own_server.start()
        heal(tier, "athena")


def test_one_death_of_the_server_makes_nothing_torn(own_server: ChromaServer) -> None:
    with tier_at(own_server.port) as tier:
        put(tier, "hermes", ["h1"], made(1))
        for _ in range(DEATHS + 1):
            own_server.stop()
            with pytest.raises(Unavailable) as caught:
                tier.query("hermes", made(1)[0], 1)
            assert not isinstance(caught.value, Torn)


@pytest.mark.parametrize("what", ["the folder", "the database"])
def test_a_database_deleted_under_the_server_needs_a_new_start(own_server: ChromaServer, what: str) -> None:
    with tier_at(own_server.port) as tier:
        put(tier, "athena", ["m1"], made(1))
        if what == "the folder":
            shutil.rmtree(own_server.folder)
        else:
            (own_server.folder / "chroma.sqlite3").unlink()
        tier.ping()
        with pytest.raises(Torn, match="start it again over an empty folder") as caught:
            put(tier, "athena", ["m2"], made(1))
        assert caught.value.whole
        with pytest.raises(Torn, match="start it again over an empty folder"):
            tier.spare().clear("athena")
        own_server.stop()
        own_server.start()
        put(tier, "athena", ["m3"], made(1))
        assert ids_of(tier, "athena", made(1)[0]) == ["m3"]


@pytest.mark.parametrize("damage", [half, garbage])
def test_a_torn_database_needs_a_new_start(own_server: ChromaServer, damage: Callable[[Path], None]) -> None:
    with tier_at(own_server.port) as tier:
        put(tier, "athena", ["m0"], STORED[:1])
        damage(own_server.folder / "chroma.sqlite3")
        tier.ping()
        for call in (lambda: tier.query("athena", STORED[0], 1), lambda: put(tier, "athena", ["m1"], made(1))):
            with pytest.raises(Torn, match="start it again over an empty folder") as caught:
                call()
            assert caught.value.whole
