"""A memory in parts is found by any of them, answered once, and wholly replaced and taken away."""

from __future__ import annotations

import json
from collections import Counter
from itertools import count

import httpx
import numpy as np
import pytest
from chromadb.api.types import Metadata
from numpy.typing import NDArray

from tests.contract.chroma_server import ChromaServer, ids_of, made, tier_at
from tests.contract.test_vectors_rebuild import Killed, killed_after, watched
from trinitas_tasks.policy.text import MAX_PARTS
from trinitas_tasks.tiers.vectors.chroma import ChromaVectors
from trinitas_tasks.tiers.vectors.interface import Torn, VectorTier
from trinitas_tasks.tiers.vectors.parts import CHUNK


def put(tier: VectorTier, sizes: dict[str, int], version: int = 1, persona: str = "athena") -> None:
    """Memories in so many parts; which vectors they have follows from id and version."""
    tier.upsert(
        persona, list(sizes), [vectors_of(id_, size, version) for id_, size in sizes.items()], [version] * len(sizes)
    )


def vectors_of(id_: str, size: int, version: int = 1) -> NDArray[np.float32]:
    return made(size, seed=sum(map(ord, id_)) * 100 + version)


def stored(tier: ChromaVectors, persona: str = "athena") -> set[str]:
    """Under which ids there is anything at all."""
    with tier._connection.bounded("look"):
        collection = tier._live.at(persona, create=True)
        assert collection is not None
        return set(collection.get(include=[])["ids"])


def test_a_memory_is_found_by_each_of_its_parts_and_answered_once(vectors: VectorTier) -> None:
    put(vectors, {"long": 5, "short": 1, "other": 3})
    for part in vectors_of("long", 5):
        near = vectors.query("athena", part, 10)
        assert near[0].id == "long"
        assert near[0].similarity == pytest.approx(1, abs=1e-5)
        assert sorted(each.id for each in near) == ["long", "other", "short"]


def test_a_memory_is_as_near_as_its_best_part(vectors: VectorTier) -> None:
    sizes = {f"m{n}": 1 + n % 4 for n in range(40)}
    put(vectors, sizes)
    asked = made(1, seed=5)[0]
    asked /= np.linalg.norm(asked)
    best = {
        id_: max(float(part @ asked / np.linalg.norm(part)) for part in vectors_of(id_, size))
        for id_, size in sizes.items()
    }
    near = vectors.query("athena", asked, 40)
    assert dict(near) == pytest.approx(best, abs=1e-4)
    assert [each.similarity for each in near] == sorted((each.similarity for each in near), reverse=True)


def test_as_many_memories_come_as_were_asked_for_where_one_has_the_nearest_parts(vectors: VectorTier) -> None:
    asked = made(1, seed=5)[0]
    close = asked + made(MAX_PARTS) / 5
    vectors.upsert("athena", ["long", "longer"], [close, close[::-1]], [1, 1])
    put(vectors, {f"m{n}": 1 for n in range(30)})
    for limit in (1, 2, 3, 10, 20):
        near = vectors.query("athena", asked, limit)
        assert len({each.id for each in near}) == len(near) == limit
        assert {each.id for each in near[:2]} <= {"long", "longer"}
    # an index of graphs may miss one or two of all
    assert 30 <= len({each.id for each in vectors.query("athena", asked, 100)}) <= 32


def test_a_memory_in_fewer_parts_leaves_nothing_of_the_one_before(vectors: VectorTier) -> None:
    put(vectors, {"m1": MAX_PARTS, "m10": 4, "other": 2})
    for size in (5, 3, 1, 4, 1):
        put(vectors, {"m1": size}, version=10 + size)
        assert vectors.parts("athena", ["m1", "m10", "other"]) == [size, 4, 2]
        assert vectors.versions("athena", ["m1"]) == [10 + size]
        for old in vectors_of("m1", MAX_PARTS)[[1, 3, MAX_PARTS - 1]]:
            [near] = [each for each in vectors.query("athena", old, 10) if each.id == "m1"]
            assert near.similarity < 0.999


def test_of_an_id_that_is_given_twice_the_last_parts_count(vectors: VectorTier) -> None:
    first, second = vectors_of("a", 3), vectors_of("b", 2)
    vectors.upsert("athena", ["m1", "m1"], [first, second], [1, 2])
    assert vectors.parts("athena", ["m1"]) == [2]
    vectors.verify("athena", ["m1"], [second])


def test_a_deleted_memory_is_found_by_none_of_its_parts(vectors: VectorTier) -> None:
    put(vectors, {"m1": MAX_PARTS, "m10": 2, "m2": 3})
    vectors.delete("athena", ["m1", "m1", "unknown"])
    assert vectors.parts("athena", ["m1", "m10", "m2"]) == [0, 2, 3]
    assert sorted(ids_of(vectors, "athena", vectors_of("m1", MAX_PARTS)[-1])) == ["m10", "m2"]
    vectors.delete("athena", ["m10", "m2"])
    assert vectors.count("athena") == 0
    assert vectors.listed("athena", 0, 10) == []


def test_memories_are_counted_and_listed_not_parts(vectors: VectorTier) -> None:
    sizes = {f"m{n}": 1 + n % 3 for n in range(2 * CHUNK)}
    put(vectors, sizes)
    assert vectors.count("athena") == len(sizes)
    assert vectors.versions("athena", list(sizes)) == [1] * len(sizes)
    assert vectors.parts("athena", [*sizes, "unknown", "m1"]) == [*sizes.values(), 0, 2]
    assert vectors.parts("nobody", ["m1"]) == [0]
    places, listed = 0, set()
    while page := vectors.listed("athena", places, 150):
        places += len(page)
        listed |= set(page)
    assert listed == set(sizes)


def test_all_parts_are_verified(vectors: VectorTier) -> None:
    put(vectors, {"m1": 3, "m2": CHUNK})
    whole, many = vectors_of("m1", 3), vectors_of("m2", CHUNK)
    vectors.verify("athena", ["m1", "unknown", "m2"], [2 * whole, whole, many])
    wrong = whole.copy()
    wrong[2] = whole[1]
    with pytest.raises(Torn, match="vector of m1 of athena"):
        vectors.verify("athena", ["m2", "m1"], [many, wrong])
    vectors.verify("athena", ["m1"], [np.concatenate([whole, many])])
    vectors.verify("athena", ["m1"], [whole[:2]])


def test_a_rebuilt_space_has_the_parts(vectors: VectorTier) -> None:
    put(vectors, {"m1": 5, "old": 2})
    spare = vectors.spare()
    spare.clear("athena")
    put(spare, {"m1": 3, "new": 2}, version=2)
    assert (spare.count("athena"), vectors.count("athena")) == (2, 2)
    vectors.promote("athena")
    assert vectors.parts("athena", ["m1", "new", "old"]) == [3, 2, 0]
    assert ids_of(vectors, "athena", vectors_of("new", 2, 2)[1], 1) == ["new"]


def test_a_space_without_parts_of_an_earlier_version_takes_them(chroma: ChromaVectors) -> None:
    old = made(3)
    with chroma._connection.bounded("as an earlier version did"):
        collection = chroma._live.at("athena", create=True)
        assert collection is not None
        collection.upsert(ids=["m0", "m1", "m2"], embeddings=old, metadatas=[{"version": 7}] * 3)
    assert ids_of(chroma, "athena", old[1], 1) == ["m1"]
    assert (chroma.count("athena"), chroma.parts("athena", ["m1"])) == (3, [1])
    assert chroma.versions("athena", ["m1"]) == [7]
    chroma.verify("athena", ["m1"], old[1:2])
    put(chroma, {"m1": 4}, version=8)
    assert (chroma.count("athena"), chroma.parts("athena", ["m0", "m1"])) == (3, [1, 4])
    chroma.delete("athena", ["m0", "m1"])
    assert stored(chroma) == {"m2"}


@pytest.mark.parametrize("sizes", [(4, 2), (2, 4), (3, 1), (1, 3)])
def test_an_upsert_that_is_killed_between_any_two_requests_is_whole_when_it_is_repeated(
    chroma_server: ChromaServer, sizes: tuple[int, int]
) -> None:
    before, after = sizes
    for requests in count():
        persona = f"killed-{before}-{after}-{requests}"
        with tier_at(chroma_server.port) as tier:
            put(tier, {"m1": before, "other": 2}, 1, persona)
            try:
                with killed_after(tier, requests):
                    put(tier, {"m1": after}, 2, persona)
                lived = True
            except Killed:
                lived = False
            left = stored(tier, persona)
            assert "m1" in left, "whatever parts there are, the first one is there"
            if not lived:  # it was not told that it is done, so it is done again
                put(tier, {"m1": after}, 2, persona)
            assert tier.parts(persona, ["m1", "other"]) == [after, 2]
            tier.verify(persona, ["m1"], [vectors_of("m1", after, 2)])
            assert len(stored(tier, persona)) == after + 2
        if lived:
            break
    assert requests >= 2


def test_a_delete_that_is_killed_between_any_two_requests_leaves_the_first_part_or_nothing(
    chroma_server: ChromaServer,
) -> None:
    for requests in count():
        persona = f"deleted-{requests}"
        with tier_at(chroma_server.port) as tier:
            put(tier, {f"m{n}": MAX_PARTS for n in range(5)}, 1, persona)
            try:
                with killed_after(tier, requests):
                    tier.delete(persona, [f"m{n}" for n in range(5)])
                lived = True
            except Killed:
                lived = False
            left = stored(tier, persona)
            assert {each.partition("#")[0] for each in left} <= left
            tier.delete(persona, [f"m{n}" for n in range(5)])
            assert stored(tier, persona) == set()
        if lived:
            break
    assert requests > 2


def test_what_two_workers_leave_of_two_versions_is_taken_away_by_the_next(chroma: ChromaVectors) -> None:
    """Each part of the other's, whatever the order in which they wrote."""
    put(chroma, {"m1": 1}, version=2)
    with chroma._connection.bounded("a late worker"):
        collection = chroma._live.at("athena", create=False)
        assert collection is not None
        late: NDArray[np.float32] = vectors_of("m1", 5)
        marks: list[Metadata] = [{"of": "m1", "part": part} for part in (2, 5)]
        collection.upsert(ids=["m1#2", "m1#5"], embeddings=late[[2, 4]], metadatas=marks)
    assert chroma.parts("athena", ["m1"]) == [3], "so a comparison tells"
    put(chroma, {"m1": 3}, version=2)
    assert stored(chroma) == {"m1", "m1#1", "m1#2"}
    chroma.verify("athena", ["m1"], [vectors_of("m1", 3, 2)])


def test_parts_whose_memory_is_gone_are_listed_and_taken_away(chroma: ChromaVectors) -> None:
    put(chroma, {"m1": 3, "other": 1})
    with chroma._connection.bounded("lose the first part"):
        collection = chroma._live.at("athena", create=False)
        assert collection is not None
        collection.delete(ids=["m1"])
    assert set(chroma.listed("athena", 0, 10)) == {"m1", "other"}
    assert chroma.versions("athena", ["m1"]) == [None]
    chroma.delete("athena", ["m1"])
    assert stored(chroma) == {"other"}


def test_all_parts_of_a_memory_are_stored_by_one_request(chroma: ChromaVectors) -> None:
    sizes = {f"m{n}": MAX_PARTS - n for n in range(10)}
    put(chroma, {"first": 1})
    stored_by: list[list[str]] = []

    def watch(request: httpx.Request) -> None:
        if request.url.path.endswith("/upsert"):
            stored_by.append([each.partition("#")[0] for each in json.loads(request.content)["ids"]])

    with watched(chroma, watch):
        put(chroma, sizes)
    assert 3 < len(stored_by) < 10
    assert all(len(each) <= CHUNK for each in stored_by)
    assert Counter(id_ for each in stored_by for id_ in set(each)) == Counter(list(sizes))
    assert chroma.parts("athena", list(sizes)) == list(sizes.values())
